"""A study: many runs of one command, and where each of them stands.

study.json   what was asked, and each run's state     runs/NAME/seed0/   run directories
data/        tokens, made once for all runs           runs/NAME/seed0.log
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import SimpleQueue

from xl_jax.analysis import record
from xl_jax.analysis.record import Record
from xl_jax.config import Config, python_file
from xl_jax.config.command_line import ConfigFlag
from xl_jax.config.domains import integer, several
from xl_jax.errors import InputError
from xl_jax.json_files import plain, read_json, write_json


@dataclass(frozen=True)
class Study:
    """What is run: every setting (a name and its flags) with every seed, on one config file."""

    title: str
    config: str
    settings: Mapping[str, Sequence[str]]
    seeds: tuple[int, ...]

    def __post_init__(self) -> None:
        """Raises InputError: it is not of that form, or two settings share a folder."""
        if not isinstance(self.settings, Mapping) or not self.settings:
            raise InputError(f"settings of a study = {self.settings!r}: name -> list of flags")
        for setting, flags in self.settings.items():
            if isinstance(flags, str) or not all(isinstance(x, str) for x in flags):
                raise InputError(f"setting {setting!r}: {flags!r} is not a list of flags")
            for flag in flags:
                if not flag.startswith("--config."):
                    raise InputError(f"setting {setting!r}: {flag!r} is not --config.FIELD=VALUE")
        seeds = several(integer(), least=1)
        seeds.check("seeds of a study", self.seeds)
        folders: dict[str, str] = {}
        for setting in self.settings:
            other = folders.setdefault(folder_name(setting), setting)
            if not folder_name(setting) or other != setting:
                both = f"{other!r} and {setting!r}" if other != setting else repr(setting)
                raise InputError(f"settings {both}: no folder name of their own, use other letters")
        if len(set(self.seeds)) < len(self.seeds):
            raise InputError(f"seeds of a study = {self.seeds!r}: a seed repeats itself")

    def config_of(self, setting: str) -> Config:
        """The checked config of a setting, with the seed of its file.

        Raises:
          InputError: an unknown field or a bad value; names the setting.
        """
        flag = ConfigFlag("config", Config, lambda: self.config)
        try:
            for argument in self.settings[setting]:
                flag.take(argument)
            flag.load()
            return flag.value()
        except InputError as error:
            raise InputError(f"setting {setting!r}: {error}") from error

    def runs(self, folder: Path) -> list["StudyRun"]:
        """Every run, seed by seed, so that an early look has all settings."""
        data = f"--config.data.dir={folder / 'data'}"
        return [
            StudyRun(
                setting,
                seed,
                folder / "runs" / folder_name(setting) / f"seed{seed}",
                (f"--config={self.config}", *flags, f"--config.seed={seed}", data),
            )
            for seed in self.seeds
            for setting, flags in self.settings.items()
        ]


def load_study(name: str) -> Study:
    """The study that a file defines.

    Raises:
      InputError: there is none, or a setting that no run would accept.
    """
    study = python_file.load("study", python_file.find("study", name), "STUDY")
    if not isinstance(study, Study):
        raise InputError(f"study file {name}: STUDY is no Study: {study!r}")
    for setting in study.settings:
        study.config_of(setting)
    return study


def folder_name(setting: str) -> str:
    return re.sub(r"\W+", "_", setting).strip("_")


@dataclass(frozen=True)
class StudyRun:
    setting: str
    seed: int
    folder: Path
    flags: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.setting}, seed {self.seed}"

    @property
    def log(self) -> Path:
        return self.folder.with_suffix(".log")

    def records(self) -> list[Record]:
        """The records of a finished run. Raises InputError: a damaged file."""
        return record.read_all(sorted((self.folder / "eval").glob("*.json")))


class StudyFolder:
    """The study directory: `study.json` is rewritten whole whenever a run changes its state."""

    def __init__(self, study: Study, folder: Path):
        """Raises InputError: the folder holds another study."""
        self.study, self.folder, self.path = study, folder, folder / "study.json"
        self.runs = study.runs(folder)
        asked = plain(asdict(study))
        self.state = {run.name: "waiting" for run in self.runs}
        if self.path.exists():
            written = read_json(self.path)
            if written["study"] != asked:
                raise InputError(f"{folder} holds another study; name another directory with --out")
            self.state |= {k: v for k, v in written["state"].items() if v == "done"}
        self.asked = asked

    def write(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.path, {"study": self.asked, "state": self.state})

    def run_all(self, parallel: int, done: Callable[[StudyRun], None]) -> list[StudyRun]:
        """Runs what is not done, `parallel` at a time, each on a core of its own; returns the runs
        that failed. `done` is called as each one ends."""
        todo = [run for run in self.runs if self.state[run.name] != "done"]
        cores: SimpleQueue[int] = SimpleQueue()
        for core in range(parallel):
            cores.put(core)

        def execute(run: StudyRun) -> int:
            core = cores.get()
            try:
                return _train(run, core)
            finally:
                cores.put(core)

        failed = []
        with ThreadPoolExecutor(parallel) as pool:
            futures = {pool.submit(execute, run): run for run in todo}
            for future in as_completed(futures):
                run = futures[future]
                self.state[run.name] = "failed" if future.result() else "done"
                failed += [run] if future.result() else []
                self.write()
                done(run)
        return failed

    def records(self) -> dict[str, list[list[Record]]]:
        """setting -> records of each finished seed; settings without one are left out."""
        found: dict[str, list[list[Record]]] = {}
        for run in self.runs:
            if self.state[run.name] == "done":
                found.setdefault(run.setting, []).append(run.records())
        return {name: found[name] for name in self.study.settings if name in found}


def _train(run: StudyRun, core: int) -> int:
    """`train.py` in a process of its own; its output in the run's log. Returns the exit code."""
    run.folder.mkdir(parents=True, exist_ok=True)
    program = str(python_file.CHECKOUT / "train.py")
    command = [sys.executable, program, *run.flags, f"--workdir={run.folder}"]
    environment = dict(os.environ)
    if hasattr(os, "sched_setaffinity"):  # Linux: one core a run, so that they do not wait
        allowed = sorted(os.sched_getaffinity(0))
        pinned = str(allowed[core % len(allowed)])
        pin = f"import os; os.sched_setaffinity(0, {{{pinned}}}); "
        pin += "import sys, runpy; sys.argv = sys.argv[1:]; "
        pin += "sys.path[0] = os.path.dirname(sys.argv[0]); "
        pin += "runpy.run_path(sys.argv[0], run_name='__main__')"
        command = [sys.executable, "-c", pin, *command[1:]]
    with run.log.open("a") as log:
        return subprocess.run(command, stdout=log, stderr=log, env=environment).returncode
