"""Programs that take turns, so that a machine that drifts drifts for all."""

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median

import numpy as np

from tools.benchmarks.torch_step import Arm


def race(
    arms: Mapping[str, Arm],
    rounds: int,
    steps: int,
    between: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Seconds a step, by arm and round. The arm that begins changes from round to round."""
    names = list(arms)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for r in range(rounds):
        between()
        first = r % len(names)
        for name in names[first:] + names[:first]:
            start = clock()
            arms[name](steps)
            seconds[name].append((clock() - start) / steps)
    return seconds


def warm_up(arm: Arm, steps: int) -> float:
    """Seconds of compiling and a first round; a second round goes unmeasured."""
    start = time.perf_counter()
    arm(steps)
    seconds = time.perf_counter() - start
    if not np.isfinite(loss := arm(steps)):
        raise FloatingPointError(f"the loss is {loss} after {2 * steps} steps")
    return seconds


def spread(values: Sequence[float], digits: int) -> str:
    """Median (lowest-highest)."""
    low, high = min(values), max(values)
    return f"{median(values):,.{digits}f} ({low:,.{digits}f}-{high:,.{digits}f})"
