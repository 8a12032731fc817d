"""How two measures go together: Pearson's r, Spearman's rank correlation, and their intervals.

Intervals of 95 % are Fisher's (1921), on the scale of artanh r; for ranks the variance is that of
Fieller, Hartley and Pearson (1957). They take the points to be drawn independently of one another,
which layers of one model are not.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from xl_jax.analysis.bootstrap import LEVEL


class Correlation(NamedTuple):
    """Of n points. `low` and `high` are None with fewer than four, or where all lie on a line."""

    r: float
    low: float | None
    high: float | None
    n: int


def pearson(x: Sequence[float], y: Sequence[float]) -> Correlation | None:
    """None where it is not defined: fewer than three points, or a side that does not vary."""
    return _correlation(np.asarray(x, float), np.asarray(y, float), 1.0)


def spearman(x: Sequence[float], y: Sequence[float]) -> Correlation | None:
    """The same of the ranks; equal values share the mean of theirs."""
    return _correlation(_ranks(x), _ranks(y), 1.06)


def _correlation(x: np.ndarray, y: np.ndarray, variance: float) -> Correlation | None:
    n = len(x)
    if n < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    r = float(np.clip(np.corrcoef(x, y)[0, 1], -1, 1))
    if n < 4 or abs(r) > 1 - 1e-12:
        return Correlation(r, None, None, n)
    half = NormalDist().inv_cdf((1 + LEVEL) / 2) * math.sqrt(variance / (n - 3))
    return Correlation(r, math.tanh(math.atanh(r) - half), math.tanh(math.atanh(r) + half), n)


def _ranks(values: Sequence[float]) -> np.ndarray:
    """From 1, the smallest; the mean rank for equal values."""
    _, which, counts = np.unique(np.asarray(values, float), return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[which]
