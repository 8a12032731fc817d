"""Intervals: against published values, the binomial, and the share of them that hold the truth."""

import numpy as np
import pytest

from xl_jax.analysis.bootstrap import best_layer, rate_interval, ratio_interval, wilson_interval


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [  # Newcombe 1998, Statistics in Medicine 17, table I, the score method
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_intervals_as_published(right: int, n: int, low: float, high: float) -> None:
    assert wilson_interval(right / n, n) == pytest.approx((low, high), abs=5e-5)
    other_way = wilson_interval(1 - right / n, n)
    assert other_way == pytest.approx((1 - high, 1 - low), abs=5e-5)


def test_an_interval_of_a_rate_is_that_of_the_binomial() -> None:
    hits = (np.arange(1000) < 200).astype(np.float64)
    low, high = rate_interval(hits, 0)
    assert (low, high) == pytest.approx((0.1752, 0.2248), abs=0.003)
    twice = np.stack([2 * hits, np.full(1000, 2.0)], 1)  # the same ratio
    assert ratio_interval(twice, 0) == (low, high)


def test_all_right_or_all_wrong_leaves_doubt() -> None:
    assert rate_interval(np.zeros(20), 0) == pytest.approx((0, 0.1611), abs=5e-5)
    assert rate_interval(np.ones(20), 0) == pytest.approx((1 - 0.1611, 1), abs=5e-5)
    chance = np.full(100, 0.01)  # all candidates alike: every item is right by chance
    assert rate_interval(chance, 0) == pytest.approx(wilson_interval(0.01, 100))
    spans = np.array([[6, 6]] * 20 + [[0, 0]] * 9)  # sentences without a span tell nothing of F1
    assert ratio_interval(spans, 0) == pytest.approx((1 - 0.1611, 1), abs=5e-5)
    assert ratio_interval(np.zeros((5, 2)), 0) == (0.0, 1.0)


@pytest.mark.slow
def test_the_interval_of_the_best_layer_takes_the_choice_into_account() -> None:
    layers, n, trials = 8, 100, 80
    random = np.random.default_rng(0)
    held = {"choice inside": 0, "as if given": 0}
    values, corrected = [], []
    for _ in range(trials):
        hits = (random.random((layers, n)) < 0.5).astype(np.float64)  # no layer is better
        best = best_layer(hits, 0)
        given = rate_interval(hits[best.layer], 0)
        assert best.value == hits.mean(1).max() == hits[best.layer].mean()
        held["choice inside"] += best.low <= 0.5 <= best.high
        held["as if given"] += given[0] <= 0.5 <= given[1]
        values.append(best.value)
        corrected.append(best.corrected)
    assert held["choice inside"] / trials > 0.9 and held["as if given"] / trials < 0.86
    assert np.mean(values) > 0.55 and abs(np.mean(corrected) - 0.5) < 0.03


def test_a_layer_that_is_clearly_best_has_the_interval_of_a_rate() -> None:
    hits = (np.arange(500)[None] < np.array([100, 250, 150])[:, None]).astype(np.float64)
    best = best_layer(hits, 0)
    assert (best.layer, best.value) == (1, 0.5)
    assert (best.low, best.high) == pytest.approx(rate_interval(hits[1], 0), abs=0.005)
    perfect = best_layer(np.stack([np.zeros(20), np.ones(20)]), 0)
    assert perfect[:3] == (1, 1.0, 1.0) and perfect.low == pytest.approx(1 - 0.1611, abs=5e-5)


def test_wilson_intervals_hold_their_rate_to_the_last_digit() -> None:
    for n in range(1, 100):
        for right in range(n + 1):
            low, high = wilson_interval(right / n, n)
            assert 0 <= low <= right / n <= high <= 1
