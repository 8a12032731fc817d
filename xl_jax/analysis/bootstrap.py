"""Intervals of 95 %: how far would a figure move if other test items had been drawn?

Items are drawn with replacement (Efron and Tibshirani 1993). Where that cannot move the figure, as
0 of n right answers, Wilson's interval (1927) stands in its place.
"""

from functools import lru_cache
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Integer, Real

from xl_jax.progress import counted
from xl_jax.rng import Purpose, generator

RESAMPLES = 1000
GROUPS = 10_000  # more rows than these are drawn as runs of neighbouring rows
LEVEL = 0.95
ROUNDING = 1e-12  # resampled values that differ by less are one value


def resample(
    rows: Float[np.ndarray, "n C"], seed: int, stream: int = 0, resamples: int = RESAMPLES
) -> Float[np.ndarray, "R C"]:
    """Column sums of n rows drawn with replacement, `resamples` times.

    The draws depend on (seed, stream, n) alone: figures of the same items move together.
    """
    if len(rows) > GROUPS:
        edges = np.linspace(0, len(rows), GROUPS, endpoint=False).astype(int)
        rows = np.add.reduceat(rows, edges, axis=0)
    totals = np.empty((resamples, rows.shape[1]))
    drawn_RxN = _draws(seed, stream, len(rows), resamples)
    for i, drawn_N in enumerate(counted(drawn_RxN, "resamples")):
        totals[i] = drawn_N.astype(np.float64) @ rows
    return totals


@lru_cache(maxsize=2)
def _draws(seed: int, stream: int, n: int, resamples: int) -> Integer[np.ndarray, "R n"]:
    """How often each of n rows is drawn in each resample. Kept, at most 20 MB: drawing takes most
    of the time, and a task asks for intervals of the same items layer by layer."""
    random = generator(seed, Purpose.BOOTSTRAP, stream)
    drawn_RxN = np.empty((resamples, n), np.uint16)
    for row in drawn_RxN:
        row[:] = np.bincount(random.integers(n, size=n), minlength=n)
    return drawn_RxN


def interval(
    values: Float[np.ndarray, "R ..."],
) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
    """The middle 95 % of resampled values, (low, high)."""
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(values, [tail, 100 - tail], axis=0)
    return np.asarray(low), np.asarray(high)


def wilson_interval(rate: float, n: int) -> tuple[float, float]:
    """(low, high) of a rate seen in n independent trials, by Wilson's score; (0, 1) for none."""
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + LEVEL) / 2)
    centre = rate + z**2 / (2 * n)
    half = z * (rate * (1 - rate) / n + (z / (2 * n)) ** 2) ** 0.5
    scale = 1 + z**2 / n
    low, high = (centre - half) / scale, (centre + half) / scale
    return min(max(low, 0.0), rate), max(min(high, 1.0), rate)  # not beside it by rounding


def rate_interval(hits: Float[np.ndarray, " n"], seed: int) -> tuple[float, float]:
    """(low, high) of the mean of n hits, each 0, 1 or between (as ties give them)."""
    return ratio_interval(np.stack([hits, np.ones_like(hits)], 1), seed)


def ratio_interval(counts: Real[np.ndarray, "n 2"], seed: int) -> tuple[float, float]:
    """(low, high) of sum of numerators / sum of denominators, a ratio in 0..1, given as the
    (numerator, denominator) of each item: for F1, (2 * right spans, spans found + spans of the
    gold standard).

    Where no resampled ratio differs from another, an item counts as one trial of Wilson's interval,
    and one with denominator 0 as none.
    """
    totals = resample(counts.astype(np.float64), seed)
    low, high = interval(totals[:, 0] / np.maximum(totals[:, 1], 1))
    if high - low < ROUNDING:
        return wilson_interval(float(low), int(np.count_nonzero(counts[:, 1])))
    return float(low), float(high)


def influence_interval(
    value: float, influence: Float[np.ndarray, " n"], seed: int
) -> tuple[float, float]:
    """(low, high) of a statistic of n items, to first order: `influence` is what each item's weight
    changes, times n. For statistics of pairs of items, which an item drawn twice would distort."""
    low, high = interval(resample(influence[:, None], seed)[:, 0] / len(influence))
    return value + float(low), value + float(high)


class Best(NamedTuple):
    """The layer with the highest mean on the very items that it is reported on.

    Attributes:
      layer: its row; of equal ones the first.
      value: its mean, too high by being the highest of several.
      corrected: `value` less the mean optimism of the choice.
      low, high: of the layer's mean on other items. `value` may lie above both.
    """

    layer: int
    value: float
    corrected: float
    low: float
    high: float


def best_layer(hits: Float[np.ndarray, "L n"], seed: int) -> Best:
    """The best layer on n test items, with an interval that takes the choice into account.

    Every resample of the items chooses its own best layer. What this layer has there above its mean
    on all items is the optimism of the choice (Efron and Tibshirani 1993, chapter 17), and its
    distribution is taken off the value. The percentiles of the highest mean itself would add the
    optimism once more instead.
    """
    n = hits.shape[1]
    means_L = hits.mean(1)
    layer = int(means_L.argmax())
    value = float(means_L[layer])
    means_RxL = resample(hits.T.astype(np.float64), seed) / n
    chosen_R = means_RxL.argmax(1)
    optimism_R = means_RxL.max(1) - means_L[chosen_R]
    least, most = interval(optimism_R)
    if most - least < ROUNDING:
        return Best(layer, value, value, *wilson_interval(value, n))
    low, high = (float(np.clip(value - x, 0, 1)) for x in (most, least))
    return Best(layer, value, float(np.clip(value - optimism_R.mean(), 0, 1)), low, high)
