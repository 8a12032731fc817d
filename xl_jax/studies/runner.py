"""Doing a study: what is not finished is worked on, and `study.json` follows."""

import dataclasses
import fcntl
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from xl_jax.config import to_dict
from xl_jax.devices import machine
from xl_jax.errors import InputError
from xl_jax.prepare.pipeline import prepare
from xl_jax.prepare.request import folder_of
from xl_jax.runs.run_directory import keep_start
from xl_jax.studies import study_folder
from xl_jax.studies.executors import Executor, Job
from xl_jax.studies.grid import DATA, StudyRun, runs
from xl_jax.studies.stages import TRAIN, Work, read_stages, work_of
from xl_jax.studies.study import Study
from xl_jax.studies.study_folder import RunState, StudyState

SECONDS = 1.0  # between two looks at the runs
COMPILED, CACHE = "compiled", "JAX_COMPILATION_CACHE_DIR"
Log = Callable[[str], None]


class Runner:
    """A study in its folder.

    Args:
      file, command: how it was called, for `study.json`.
    """

    def __init__(self, study: Study, folder: Path, file: str = "", command: str = ""):
        """Raises InputError: see `grid.runs`."""
        self.study, self.folder = study, folder
        self.runs = runs(study, folder)
        cache = {  # compiled programs are kept for the runs that follow
            CACHE: str((folder / COMPILED).absolute()),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.5",
        }
        if CACHE in os.environ:  # where the user keeps them
            cache = {}
        self.works = {x.id: work_of(x, study.evaluations, cache) for x in self.runs}
        self.states = {x.id: self._look(x) for x in self.runs}
        self.file, self.command = file, command
        self.hardware = machine.hardware()

    def state(self) -> StudyState:
        s = self.study
        return StudyState(
            title=s.title,
            file=self.file,
            command=self.command,
            config=s.config,
            rows={x: list(flags) for x, flags in s.rows.items()},
            pairs={x: list(flags) for x, flags in s.pairs.items()},
            seeds=list(s.seeds),
            evaluations={x: list(flags) for x, flags in s.evaluations.items()},
            reference=s.reference or next(iter(s.rows)),
            expected=list(s.expected),
            versions=machine.versions(),
            hardware=self.hardware,
            runs=[self.states[x.id] for x in self.runs],
        )

    def write(self) -> None:
        study_folder.write(self.folder, self.state())

    def unfinished(self) -> list[StudyRun]:
        return [x for x in self.runs if self.states[x.id].state != "done"]

    def prepare(self, log: Log = print) -> None:
        """The tokens of every run that is not finished yet, each distinct preparation once.

        Raises:
          InputError: a bad corpus or start, said with the first run that needs it.
        """
        data = self.folder / DATA
        needed: dict[Path, StudyRun] = {}
        for run in self.unfinished():
            with _named(run):
                keep_start(run.config, data, log)
                needed.setdefault(folder_of(run.config, data), run)
        for run in needed.values():
            with _named(run):
                prepare(run.config, data, log)

    def run_all(
        self,
        executor: Executor,
        parallel: int,
        changed: Callable[[Sequence[RunState]], None] = lambda _: None,
        seconds: float = SECONDS,
    ) -> list[RunState]:
        """Works on what is not done, at most `parallel` runs at a time. A run that fails is tried
        once more after the others; what fails then is returned.

        Args:
          changed: is called with the states of all runs, every so many `seconds`.

        Raises:
          KeyboardInterrupt: Ctrl-C or SIGTERM, after the runs have saved and stopped.
        """
        waiting = deque((run, False) for run in self.unfinished())
        working: dict[str, tuple[StudyRun, bool, Job]] = {}
        try:
            while waiting or working:
                while waiting and len(working) < parallel:
                    run, again = waiting.popleft()
                    working[run.id] = run, again, executor.submit(self.works[run.id], again)
                time.sleep(seconds)
                for run, again, job in list(working.values()):
                    if job.done():
                        del working[run.id]
                        if self._ended(run, job) and not again:
                            waiting.append((run, True))
                    else:
                        self._set(run, self._look(run, "running"))
                changed([self.states[x.id] for x in self.runs])
        except KeyboardInterrupt:
            self._stop(executor, working)
            raise
        return [x for x in self.states.values() if x.state == "failed"]

    def _ended(self, run: StudyRun, job: Job) -> bool:
        """Notes how a run ended. Returns whether it failed."""
        try:
            error = job.result()
        except Exception as failure:  # of the executor: a job that was killed, a lost node
            error = " ".join(f"{type(failure).__name__}: {failure}".split())
        state = self._look(run, "failed" if error else "done")
        stage = error.partition(": ")[0] if error else ""
        self._set(run, dataclasses.replace(state, error=error, stage=stage))
        return bool(error)

    def _stop(self, executor: Executor, working: Mapping[str, tuple[StudyRun, bool, Job]]) -> None:
        """Waits until the runs have stopped; another Ctrl-C does not let them save."""
        executor.stop()
        while not all(job.done() for _, _, job in working.values()):
            try:
                time.sleep(0.1)
            except KeyboardInterrupt:
                executor.stop()
        for run, _, _ in working.values():
            self._set(run, self._look(run))

    def _set(self, run: StudyRun, state: RunState) -> None:
        if state != self.states[run.id]:
            self.states[run.id] = state
            self.write()

    def _look(self, run: StudyRun, state: str = "") -> RunState:
        """What the disk says of a run; `state` is what the executor says, by default what is
        finished."""
        work: Work = self.works[run.id]
        kept = read_stages(run.folder)
        done = kept.get("done", {})
        state = state or ("waiting" if work.waiting() else "done")
        return RunState(
            id=run.id,
            row=run.row,
            pair=run.pair,
            seed=run.seed,
            flags=list(run.flags),
            folder=str(run.folder.relative_to(self.folder)),
            state=state,
            stage=kept.get("stage", "") if state == "running" else "",
            seconds={name: x["seconds"] for name, x in done.items()},
            commit=done.get(TRAIN, {}).get("commit", ""),
            device=done.get(TRAIN, {}).get("device", ""),
            made={name: [Path(x).stem for x in kept["files"]] for name, kept in done.items()},
            config=to_dict(run.config),
        )


@contextmanager
def _named(run: StudyRun) -> Iterator[None]:
    """An InputError says the run's name first."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{run.name}: {error}") from error


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Within the context no other process of this machine works on the study.

    Raises:
      InputError: one does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"{folder}: another process works on this study") from None
        except OSError:
            pass  # this file system cannot lock; each run's own lock remains
        yield
