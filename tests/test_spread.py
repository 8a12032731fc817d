"""Intervals over seeds and correlations, against values worked out by hand or by SciPy."""

import pytest
from scipy import stats

from xl_jax.analysis.correlation import pearson, spearman
from xl_jax.analysis.spread import difference, over_seeds


def test_a_mean_has_the_interval_of_student() -> None:
    found = over_seeds([1.0, 2.0, 3.0])  # sd 1; the quantile of t with 2 degrees is 4.3027
    assert found.mean == 2.0 and found.sd == 1.0 and found.n == 3
    assert found.low == pytest.approx(2 - 4.302653 / 3**0.5)
    assert found.high == pytest.approx(2 + 4.302653 / 3**0.5)


def test_one_seed_has_no_spread_and_none_is_an_error() -> None:
    assert over_seeds([0.5]) == (0.5, None, None, None, 1)
    with pytest.raises(ValueError, match="no values"):
        over_seeds([])


def test_a_difference_has_the_interval_of_welch() -> None:
    a, b = [3.0, 4.0, 6.0, 7.0], [1.0, 1.5, 2.0]
    found = difference([(a, b)])
    ends = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    assert found.mean == pytest.approx(3.5) and found.n == 3
    assert (found.low, found.high) == (pytest.approx(ends.low), pytest.approx(ends.high))


def test_a_difference_over_pairs_of_languages_is_the_mean_of_theirs() -> None:
    assert difference([([3.0], [1.0]), ([5.0], [1.0])]) == (3.0, None, None, None, 1)
    assert difference([([3.0, 3.0], [1.0, 1.0])]) == (2.0, None, 2.0, 2.0, 2)
    twice = difference([([3.0, 5.0], [1.0, 1.0])] * 2)
    once = difference([([3.0, 5.0], [1.0, 1.0])])
    assert twice.mean == once.mean == 3.0
    assert once.low is not None and twice.low is not None and once.low < twice.low


def test_correlations_are_those_of_scipy() -> None:
    x, y = [1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 3.0, 2.0, 5.0, 5.0]
    found = pearson(x, y)
    assert found is not None and found.n == 5
    assert found.r == pytest.approx(stats.pearsonr(x, y).statistic)
    ends = stats.pearsonr(x, y).confidence_interval(0.95)
    assert (found.low, found.high) == (pytest.approx(ends.low), pytest.approx(ends.high))
    ranked = spearman(x, y)
    assert ranked is not None
    assert ranked.r == pytest.approx(stats.spearmanr(x, y).statistic)


def test_what_has_no_correlation_or_no_interval() -> None:
    assert pearson([1.0, 2.0], [1.0, 2.0]) is None
    assert pearson([1.0, 2.0, 3.0], [1.0, 1.0, 1.0]) is None
    assert pearson([1.0, 2.0, 3.0], [1.0, 3.0, 2.0]) == (pytest.approx(0.5), None, None, 3)
    assert spearman([1.0, 2.0, 3.0, 4.0], [1.0, 4.0, 9.0, 16.0]) == (1.0, None, None, 4)
