"""Bootstrap intervals: how far would a figure move if other items had been drawn?"""

import numpy as np
from jaxtyping import Float, Real

from xl_jax.rng import Purpose, generator

RESAMPLES = 1000
GROUPS = 10_000  # more rows than these are drawn as runs of neighbouring rows
LEVEL = 0.95


def resample(
    rows: Float[np.ndarray, "n C"], seed: int, stream: int = 0, resamples: int = RESAMPLES
) -> Float[np.ndarray, "R C"]:
    """Column sums of n rows drawn with replacement, `resamples` times.

    The draws depend on (seed, stream, n) alone: figures of the same items move together.
    """
    random = generator(seed, Purpose.BOOTSTRAP, stream)
    if len(rows) > GROUPS:
        edges = np.linspace(0, len(rows), GROUPS, endpoint=False).astype(int)
        rows = np.add.reduceat(rows, edges, axis=0)
    n = len(rows)
    totals = np.empty((resamples, rows.shape[1]))
    for i in range(resamples):
        totals[i] = np.bincount(random.integers(n, size=n), minlength=n) @ rows
    return totals


def interval(
    values: Float[np.ndarray, "R ..."],
) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
    """The middle 95 % of resampled values, (low, high)."""
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(values, [tail, 100 - tail], axis=0)
    return np.asarray(low), np.asarray(high)


def mean_interval(values: Float[np.ndarray, " n"], seed: int) -> tuple[float, float]:
    """(low, high) of the mean of one number an item, such as a hit. All alike, they leave no doubt
    that a bootstrap could see: 0 of n hits gives (0, 0)."""
    return ratio_interval(np.stack([values, np.ones_like(values)], 1), seed)


def ratio_interval(counts: Real[np.ndarray, "n 2"], seed: int) -> tuple[float, float]:
    """(low, high) of a ratio of sums over items, given as (above, below) the line of each: an F1 is
    twice the right spans over those found and those there. Nothing below the line gives 0."""
    totals = resample(counts.astype(np.float64), seed)
    low, high = interval(totals[:, 0] / np.maximum(totals[:, 1], 1))
    return float(low), float(high)
