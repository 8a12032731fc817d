"""Over seeds: a mean with its spread, and the difference of two settings.

Seeds are few, so intervals of 95 % are Student's (1908); those of differences are Welch's (1947),
who lets the two settings vary by different amounts.
"""

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

from scipy.special import stdtrit

from xl_jax.analysis.bootstrap import LEVEL


class Spread(NamedTuple):
    """A mean over n values.

    Attributes:
      sd: standard deviation (n - 1); None of a single value.
      low, high: 95 % interval of the mean; None where there are too few values.
    """

    mean: float
    sd: float | None
    low: float | None
    high: float | None
    n: int


def over_seeds(values: Sequence[float]) -> Spread:
    """The spread of one setting's values, one a seed. Raises ValueError: there are none."""
    if not values:
        raise ValueError("no values")
    mean = statistics.fmean(values)
    if len(values) == 1:
        return Spread(mean, None, None, None, 1)
    sd = statistics.stdev(values)
    half = _quantile(len(values) - 1) * sd / math.sqrt(len(values))
    return Spread(mean, sd, mean - half, mean + half, len(values))


def difference(pairs: Sequence[tuple[Sequence[float], Sequence[float]]]) -> Spread:
    """Mean over language pairs of (mean of a setting - mean of the reference).

    Args:
      pairs: for each language pair the values of the setting and of the reference, one a seed.

    Returns:
      `n` is the least number of seeds on a side; with one there is no interval, and sd is None:
      a difference of means has no spread of its own over seeds.
    """
    means = [statistics.fmean(a) - statistics.fmean(b) for a, b in pairs]
    mean = statistics.fmean(means)
    sides = [side for pair in pairs for side in pair]
    n = min(map(len, sides))
    if n == 1:
        return Spread(mean, None, None, None, n)
    parts = [(statistics.variance(side) / len(side), len(side) - 1) for side in sides]
    total = sum(variance for variance, _ in parts)
    if total == 0:
        return Spread(mean, None, mean, mean, n)
    freedom = total**2 / sum(variance**2 / df for variance, df in parts)
    half = _quantile(freedom) * math.sqrt(total) / len(pairs)
    return Spread(mean, None, mean - half, mean + half, n)


def _quantile(freedom: float | int) -> float:
    return float(stdtrit(freedom, (1 + LEVEL) / 2))
