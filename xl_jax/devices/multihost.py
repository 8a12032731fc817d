"""Several processes of one run: one a host, or one a GPU, all with the same command.

Each reads its own windows; process 0 prepares the text and writes metrics; all save and restore.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils

from xl_jax.errors import InputError

T = TypeVar("T")
DAY = 24 * 60 * 60 * 1000  # milliseconds


def start(processes: str | None, cache: str | None = None) -> None:
    """Joins the other processes, before JAX is used for anything else.

    Args:
      processes: "HOST:PORT,NUMBER,ALL" (where process 0 listens, this process, how many there are),
        "auto" (JAX finds out), or None: what the environment says, see `detect`.
      cache: a folder for compiled programs; a later start takes them from there.

    Raises:
      InputError: not of that form, or nobody there.
    """
    if cache:
        jax.config.update("jax_compilation_cache_dir", cache)
    arguments = detect(os.environ) if processes is None else parse(processes)
    if arguments is None:
        return
    try:
        jax.distributed.initialize(**arguments)
    except (ValueError, RuntimeError) as error:
        raise InputError(
            f"--processes={processes or 'auto'}: {' '.join(str(error).split())}"
        ) from error


def parse(processes: str) -> dict[str, Any]:
    """Arguments of `jax.distributed.initialize`; for "auto" there are none."""
    if processes == "auto":
        return {}
    address, *numbers = processes.split(",")
    good = len(numbers) == 2 and all(x.isdecimal() for x in numbers) and ":" in address
    if not good or not int(numbers[0]) < int(numbers[1]):
        raise InputError(
            f"--processes={processes}: not auto, nor HOST:PORT,NUMBER,ALL (NUMBER < ALL)"
        )
    number, every = map(int, numbers)
    return {"coordinator_address": address, "process_id": number, "num_processes": every}


def detect(environment: Mapping[str, str]) -> dict[str, Any] | None:
    """The same arguments from what launchers leave in the environment; None: this is one process.

    A Slurm step of several tasks, several workers of a TPU slice and several slices as GKE tells
    them, and the coordinator that xpk names to GPU nodes.
    """
    e = environment
    if "JAX_COORDINATOR_IP" in e and int(e.get("NNODES", 1)) > 1:
        address = f"{e['JAX_COORDINATOR_IP']}:{e['JAX_COORDINATOR_PORT']}"
        return parse(f"{address},{e['NODE_RANK']},{e['NNODES']}")
    several = (
        int(e.get("SLURM_STEP_NUM_TASKS", 1)) > 1
        or "," in e.get("TPU_WORKER_HOSTNAMES", "")
        or int(e.get("MEGASCALE_NUM_SLICES", 1)) > 1
    )
    return {} if several else None


def several() -> bool:
    """Whether the run has other processes."""
    return jax.process_count() > 1


def is_first() -> bool:
    """Whether this process writes what is written once."""
    return jax.process_index() == 0


def say(text: str) -> None:
    """Prints in process 0."""
    if is_first():
        print(text, flush=True)


def first_alone(work: Callable[[], T], what: str) -> T:
    """`work()` in process 0, then, with everything that it left on disk there, in the others.

    Raises:
      InputError: in the others, where process 0 failed.
    """
    if jax.process_count() == 1:
        return work()
    failure: BaseException | None = None
    if is_first():
        try:
            made = work()
        except BaseException as error:
            failure = error
    ocp.multihost.get_barrier_sync_fn()(key=what, timeout_ms=DAY)  # preparing text can take hours
    failed = of_first(failure is not None)
    if failure is not None:
        raise failure
    if failed:
        raise InputError(f"{what} failed in process 0, which says why")
    return made if is_first() else work()


def of_first(value: bool) -> bool:
    """What process 0 says, in every process."""
    return bool(multihost_utils.broadcast_one_to_all(np.asarray(value)))


def stop_agreed(call: int) -> bool:
    """Whether some process was told to stop (SIGTERM) and this is the call, counted one by one,
    after which all of them do. False in a single process."""
    return bool(multihost_utils.reached_preemption_sync_point(call))
