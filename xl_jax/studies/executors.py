"""Where the runs of a study are worked on: here, several at a time, or as jobs of Slurm.

Both have two methods, `submit` and `stop`; what `submit` returns has `done()` and `result()`.
"""

import itertools
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from xl_jax.errors import InputError
from xl_jax.prepare.workers import cores
from xl_jax.studies.stages import Children, Work, finish


@runtime_checkable
class Job(Protocol):
    """Work in progress; `result()` is that of `stages.finish`, or raises what stopped it."""

    def done(self) -> bool: ...
    def result(self) -> str: ...


@runtime_checkable
class Executor(Protocol):
    def submit(self, work: Work, again: bool) -> Job: ...

    def stop(self) -> None:
        """Ends what is going on; trainings save first. A second call does not wait for them."""


def at_once(devices: Path = Path("/dev")) -> int:
    """Runs at a time that this machine is good for: one where there is an accelerator that JAX may
    use, since a run takes all of it, and otherwise one a core."""
    accelerators = [*devices.glob("nvidia[0-9]*"), *devices.glob("accel[0-9]*")]
    if accelerators and os.environ.get("JAX_PLATFORMS", "") != "cpu":
        return 1
    return cores()


class Local:
    """`parallel` runs at a time; they divide the cores that this process may use, so that they do
    not wait for each other."""

    def __init__(self, parallel: int):
        self.children = Children()
        turns = itertools.count()

        def take_cores() -> None:  # of this thread, and of what it starts
            if hasattr(os, "sched_setaffinity"):  # Linux
                mine = sorted(os.sched_getaffinity(0))
                turn = next(turns) % parallel
                os.sched_setaffinity(0, mine[turn::parallel] or [mine[turn % len(mine)]])

        self.pool = ThreadPoolExecutor(parallel, initializer=take_cores)

    def submit(self, work: Work, again: bool) -> Job:
        return self.pool.submit(finish, work, self.children, again)

    def stop(self) -> None:
        self.children.stop()


class Slurm:
    """A job a run, through submitit (`pip install submitit`).

    Args:
      folder: of submitit's files, on a disk that the nodes share.
      options: of a job, as submitit names them: timeout_min, gpus_per_node, slurm_partition, ...
      cluster: "slurm"; tests take "local".

    Raises:
      InputError: submitit or Slurm is not there, or an option that it does not know.
    """

    def __init__(self, folder: Path, options: Mapping[str, Any], cluster: str = "slurm"):
        try:
            import submitit
        except ImportError as error:
            raise InputError("--executor=slurm needs submitit: pip install submitit") from error
        try:
            self.executor = submitit.AutoExecutor(folder, cluster=cluster)
            self.executor.update_parameters(name="xl_jax", **options)
        except (RuntimeError, NameError, TypeError, ValueError) as error:
            text = " ".join(str(error).split())
            raise InputError(f"--executor=slurm: {text}") from error
        self.jobs: list[Any] = []

    def submit(self, work: Work, again: bool) -> Job:
        self.jobs.append(self.executor.submit(finish, work, None, again))
        return self.jobs[-1]

    def stop(self) -> None:
        for job in self.jobs:
            if not job.done():
                job.cancel()
