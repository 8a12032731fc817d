"""What is done for a run of a study: training, then every evaluation, each a command of its own.

Beside the run's own files its directory has `stages.json`: of every stage, finished or begun, its
flags, the files with its records, seconds, commit and device; and the stage that is going on.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xl_jax.analysis import record
from xl_jax.config import from_dict, python_file, to_dict
from xl_jax.devices import machine
from xl_jax.errors import InputError
from xl_jax.evaluate.runner import USUAL
from xl_jax.json_files import plain, read_json, write_json
from xl_jax.model.shared_model import SharedModel
from xl_jax.studies.grid import StudyRun, run_id

STAGES = "stages.json"
TRAIN = "train"
SAID = "records: "  # how commands name the files that they leave,
DEVICES = "devices: "  # and training what it runs on


@dataclass(frozen=True)
class Stage:
    """A command, without the run's folder. `config`: what the run is, as JSON (of training)."""

    name: str
    program: str
    flags: tuple[str, ...]
    config: Mapping[str, Any] = field(default_factory=dict)

    def command(self, folder: Path) -> list[str]:
        return [self.program, *self.flags, f"--workdir={folder}"]


@dataclass(frozen=True)
class Work:
    """All stages of a run, and what a process elsewhere needs to do them."""

    id: str
    folder: Path
    log: Path
    stages: tuple[Stage, ...]
    environment: Mapping[str, str] = field(default_factory=dict)

    def finished(self, stage: Stage) -> bool:
        """Whether the stage has been done with these flags and its results are whole."""
        done = read_stages(self.folder).get("done", {}).get(stage.name)
        try:
            if stage.name == TRAIN:
                return self._trained(stage) and self._whole(done and done["files"] or self._usual())
            return bool(done) and done["flags"] == list(stage.flags) and self._whole(done["files"])
        except InputError:
            return False

    def _trained(self, stage: Stage) -> bool:
        """A run directory tells of itself, wherever it was made. Raises InputError: it does not."""
        found = to_dict(from_dict(read_json(self.folder / "config.json")))
        config, checkpoints = from_dict(stage.config), self.folder / "checkpoints"
        last = checkpoints / str(config.steps)
        if (start := checkpoints / "0").is_dir() and SharedModel.abstract(config).only_starts:
            last = start  # nothing is trained, so no later step is saved
        same = plain(found["probe"]) == plain(stage.config["probe"])  # decides what is measured
        return run_id(found) == self.id and same and last.is_dir()

    def _usual(self) -> list[str]:
        """Files that training may have left, and the one that it always leaves, last."""
        there = [x.name for x in (self.folder / "eval").glob("*.json") if x.stem in USUAL]
        return [*there, "perplexity.json"]

    def _whole(self, names: Sequence[str]) -> bool:
        """Raises InputError: a file is missing or damaged."""
        return all(record.read(self.folder / "eval" / name) for name in names)

    def waiting(self) -> list[Stage]:
        """The stages that are not finished; training that goes on is measured anew."""
        left = [stage for stage in self.stages if not self.finished(stage)]
        return list(self.stages) if self.stages[0] in left else left


def work_of(
    run: StudyRun,
    evaluations: Mapping[str, Sequence[str]],
    environment: Mapping[str, str] | None = None,
) -> Work:
    """Training and the evaluations of a run."""
    stages = [Stage(TRAIN, "train.py", run.flags, to_dict(run.config))]
    stages += [Stage(name, "eval.py", tuple(flags)) for name, flags in evaluations.items()]
    return Work(run.id, run.folder, run.log, tuple(stages), environment or {})


def read_stages(folder: Path) -> dict[str, Any]:
    """`stages.json` of a run directory; empty where it is missing or damaged."""
    path = folder / STAGES
    try:
        found = read_json(path) if path.exists() else {}
    except InputError:
        return {}
    return found if isinstance(found, dict) else {}


class Children:
    """The commands of this process that run now. `stop` ends them, and no other one begins.

    A shell starts its background commands with SIGINT ignored, and so would they their children,
    which `stop` could not reach then: such a process is made to hear it again.
    """

    def __init__(self) -> None:
        here = threading.current_thread() is threading.main_thread()
        if here and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        self.stopped = False
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen] = set()

    def run(self, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> int:
        """The exit code of a Python program of the checkout; its output is added to `log`."""
        with log.open("a") as output:
            with self._lock:
                if self.stopped:
                    return 128 + signal.SIGINT
                child = subprocess.Popen(
                    [sys.executable, str(python_file.CHECKOUT / command[0]), *command[1:]],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **environment},
                    start_new_session=True,  # Ctrl-C reaches this process, which passes it on
                )
                self._running.add(child)
            try:
                return child.wait()
            finally:
                self._running.discard(child)

    def stop(self, number: int = signal.SIGINT) -> None:
        """Passes a signal on: a training saves first; a second one ends it at once."""
        with self._lock:
            self.stopped = True
            for child in list(self._running):
                child.send_signal(number)


def finish(work: Work, children: Children | None = None, again: bool = False) -> str:
    """Does the stages of a run that are not finished. An evaluation that fails stops no other one.

    Args:
      again: begin with training although it seems finished: a checkpoint may be damaged.

    Returns:
      "" or, of the first stage that failed, its name and the last line of the log.
    """
    failed = ""
    children = children or Children()
    work.folder.mkdir(parents=True, exist_ok=True)
    for stage in work.stages if again else work.waiting():
        start, begin = time.time(), _size(work.log)
        kept = read_stages(work.folder)
        done, begun = kept.get("done", {}), kept.get("begun", {})
        before = done.pop(stage.name, None) or begun.pop(stage.name, None) or {}
        if before.get("flags") != list(stage.flags):
            before = {}
        now = {"stage": stage.name, "since": start}
        write_json(work.folder / STAGES, {"done": done, "begun": begun, **now})
        code = children.run(stage.command(work.folder), work.log, work.environment)
        said = _said_since(work.log, begin)
        device = next((x[len(DEVICES) :] for x in said if x.startswith(DEVICES)), "")
        result = {
            "flags": list(stage.flags),
            "files": [Path(x.removeprefix(SAID)).name for x in said if x.startswith(SAID)],
            "seconds": round(before.get("seconds", 0) + time.time() - start, 1),
            "commit": before.get("commit") or machine.commit(),  # where it began
            "device": before.get("device") or device,
        }
        (begun if code else done)[stage.name] = result
        write_json(work.folder / STAGES, {"done": done, "begun": begun})
        if children.stopped:
            return f"{stage.name}: stopped"
        if code or not work.finished(stage):
            last = next((x for x in reversed(said) if x.strip()), "it said nothing")
            failed = failed or f"{stage.name}: {last} (exit code {code})"
            if stage.name == TRAIN:
                break
    return failed


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _said_since(log: Path, begin: int) -> list[str]:
    with log.open("rb") as file:
        file.seek(begin)
        return file.read().decode(errors="replace").splitlines()
