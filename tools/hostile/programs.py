"""The stages of a run as processes that can be killed.

A warm one is forked from a process that has imported everything, and is then a command like any
other; a cold one is started as a user starts it. Imports are most of what a short command takes.
"""

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from tools.hostile.stages import ROOT, command

IMPORTED = (
    "matplotlib.pyplot",
    *("xl_jax.config_flags", "xl_jax.evaluate.check", "xl_jax.evaluate.mapped_transfer"),
    *("xl_jax.evaluate.runner", "xl_jax.finetune.transfer", "xl_jax.prepare.estimate"),
    *("xl_jax.prepare.beam", "xl_jax.pretrain.loop", "xl_jax.report.run", "xl_jax.report.transfer"),
)
_forks = multiprocessing.get_context("forkserver")


def settings(out: Path) -> dict[str, Any]:
    """Of JAX: compiled programs are kept, so that a trial is quick."""
    return {
        "jax_platforms": "cpu",
        "jax_compilation_cache_dir": str(out / "compiled"),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }


def hear_ctrl_c() -> None:
    """A shell starts what runs in the background with Ctrl-C ignored, and that is inherited."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


class Program:
    """A stage of the run directory `folder`, started; what it says on stderr goes to a file, on
    another disk than the run's, which may be full."""

    def __init__(self, stage: str, folder: Path, cold: bool = False):
        name = f"{folder.name}.{stage}.{time.monotonic_ns()}.txt"
        self.errors = Path(tempfile.gettempdir()) / name
        call = command(stage, folder)
        self.process: subprocess.Popen | multiprocessing.process.BaseProcess
        if cold:
            told = {name.upper(): str(value) for name, value in settings(folder.parent).items()}
            with self.errors.open("wb") as errors:
                self.process = subprocess.Popen(
                    [sys.executable, *call],
                    cwd=ROOT, env={**os.environ, **told}, stdout=subprocess.DEVNULL, stderr=errors
                )  # fmt: skip
        else:
            _forks.set_forkserver_preload([*IMPORTED])
            self.process = _forks.Process(target=_become, args=(call, self.errors, folder.parent))
            self.process.start()
            while not self.errors.exists() and self.process.is_alive():  # not a command yet
                time.sleep(0.005)

    def send(self, number: signal.Signals) -> None:
        assert self.process.pid is not None
        with suppress(ProcessLookupError):  # it has just ended
            os.kill(self.process.pid, number)

    def ends(self, seconds: float | None = None) -> bool:
        """Whether it ends within so many seconds."""
        if isinstance(self.process, subprocess.Popen):
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(seconds)
            return self.process.returncode is not None
        self.process.join(seconds)
        return self.process.exitcode is not None

    def end(self) -> tuple[int, str]:
        """(exit code, what it said on stderr), when it has ended."""
        self.ends()
        done = self.process
        code = done.returncode if isinstance(done, subprocess.Popen) else done.exitcode
        assert code is not None
        said = self.errors.read_text(errors="replace") if self.errors.exists() else ""
        self.errors.unlink(missing_ok=True)
        return code, said


def to_the_end(stage: str, folder: Path) -> tuple[int, str]:
    """(exit code, what was said on stderr) of a stage."""
    return Program(stage, folder).end()


def _become(call: list[str], errors: Path, out: Path) -> None:
    """This process is the command from here on."""
    import jax

    for name, value in settings(out).items():
        jax.config.update(name, value)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), 2)
    os.chdir(ROOT)
    sys.argv = call
    runpy.run_path(call[0], run_name="__main__")
