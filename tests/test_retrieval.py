"""Neighbours, CSLS, retrieval, induction: known answers, and dense references."""

import numpy as np
import pytest

from xl_jax.analysis import neighbours, retrieval
from xl_jax.analysis.dictionary_induction import cover, induction
from xl_jax.analysis.neighbours import csls, nearest, nearest_both
from xl_jax.analysis.retrieval import chance, retrieve
from xl_jax.analysis.vectors import unit
from xl_jax.errors import InputError

RANDOM = np.random.default_rng(0)
N, M, D, K = 150, 190, 6, 10
X = RANDOM.normal(size=(N, D)).astype(np.float32)
Y = RANDOM.normal(size=(M, D)).astype(np.float32)
Y[40:60] = Y[:20]  # ties
EYE = np.stack([np.arange(N)] * 2, 1)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several blocks, the last one padded."""
    monkeypatch.setattr(neighbours, "BLOCK", 64)


def dense_csls(x: np.ndarray, y: np.ndarray, k: int = K) -> np.ndarray:
    """Conneau et al. 2018, as a matrix."""
    cos = (unit(x) @ unit(y).T).astype(np.float64)
    of_x = np.sort(cos, 1)[:, ::-1][:, :k].mean(1)
    of_y = np.sort(cos, 0)[::-1][:k].mean(0)
    return 2 * cos - of_x[:, None] - of_y[None]


def first_best(scores: np.ndarray, k: int) -> np.ndarray:
    return np.argsort(-np.round(scores, 5), axis=1, kind="stable")[:, :k]


def test_neighbours_equal_a_dense_search_with_ties_in_order() -> None:
    scores = X @ Y.T
    found = nearest(X, Y, 5)
    np.testing.assert_array_equal(found.index, first_best(scores, 5))
    np.testing.assert_allclose(found.scores, -np.sort(-scores, 1)[:, :5], atol=1e-5)
    offset = RANDOM.normal(size=M).astype(np.float32)
    with_offset = nearest(X, Y, 3, offset)
    np.testing.assert_array_equal(with_offset.index, first_best(scores + offset[None], 3))


@pytest.mark.slow
def test_one_pass_serves_both_directions() -> None:
    forward, back = nearest_both(X, Y, 4)
    np.testing.assert_array_equal(forward.index, nearest(X, Y, 4).index)
    np.testing.assert_array_equal(back.index, nearest(Y, X, 4).index)
    fewer = nearest_both(X[:3], Y, 10)
    assert fewer[0].index.shape == (3, 10) and fewer[1].index.shape == (M, 3)


@pytest.mark.slow
@pytest.mark.parametrize("best", [1, 5])
def test_csls_equals_the_dense_matrix(best: int) -> None:
    expected = dense_csls(X, Y)
    found = csls(X, Y, best, K)
    np.testing.assert_array_equal(found.index, first_best(expected, best))
    chosen = np.take_along_axis(expected, found.index, 1)
    np.testing.assert_allclose(found.scores, chosen, atol=1e-5)


def test_csls_looks_beyond_the_nearest_where_they_are_crowded() -> None:
    hub = np.tile(X.mean(0), (20, 1)) + 1e-3 * RANDOM.normal(size=(20, D)).astype(np.float32)
    far = unit(X) + 0.9 * RANDOM.normal(size=X.shape).astype(np.float32)
    y = np.concatenate([hub, far]).astype(np.float32)
    np.testing.assert_array_equal(csls(X, y, 1).index, first_best(dense_csls(X, y), 1))


def test_identical_spaces_are_found_and_shuffled_ones_are_chance() -> None:
    for criterion in retrieval.CRITERIA:
        for places in retrieve(X, X.copy(), EYE, criterion):
            assert places.hits().mean() == 1
        shuffled = retrieve(X, X[RANDOM.permutation(N)], EYE, criterion)
        assert all(places.hits().mean() < 0.03 for places in shuffled)
    assert chance(EYE, N, N) == pytest.approx((1 / N, 1 / N))


@pytest.mark.parametrize("criterion", retrieval.CRITERIA)
@pytest.mark.parametrize("at", [1, 5])
def test_precision_equals_a_dense_search(criterion: str, at: int) -> None:
    y = np.concatenate([X + 0.7 * RANDOM.normal(size=X.shape).astype(np.float32), Y])
    scores = dense_csls(X, y) if criterion == "csls" else unit(X) @ unit(y).T
    forward, back = retrieve(X, y, EYE, criterion)
    rank = (scores > np.diag(scores)[:, None] + 1e-6).sum(1)
    assert 0.05 < (rank < at).mean() < 0.95
    np.testing.assert_array_equal(forward.hits(at), rank < at)
    columns = (scores[:, :N] > np.diag(scores)[None] + 1e-6).sum(0)
    np.testing.assert_array_equal(back.hits(at)[:N], columns < at)
    assert not back.hits(at)[N:].any()  # they have no answer


def test_centring_takes_each_mean_off() -> None:
    y = X + 0.7 * RANDOM.normal(size=X.shape).astype(np.float32)
    apart = (y + 5).astype(np.float32)
    taken = [(v - v.mean(0, keepdims=True)).astype(np.float32) for v in (X, apart)]
    for criterion in retrieval.CRITERIA:
        for a, b in zip(
            retrieve(X, apart, EYE, criterion, centre=True),
            retrieve(*taken, EYE, criterion),
            strict=True,
        ):
            for of_a, of_b in zip(a, b, strict=True):
                np.testing.assert_array_equal(of_a, of_b)


def test_both_directions_and_several_answers() -> None:
    source = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]], np.float32)
    target = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)

    def found(answers: np.ndarray) -> tuple[float, ...]:
        return tuple(float(p.hits().mean()) for p in retrieve(source, target, np.argwhere(answers)))

    answers = np.array([[True, False], [True, False], [False, True]])
    assert found(answers) == (1.0, 1.0)
    assert found(~answers) == (0.0, 0.0)
    only_second = np.array([[False, False], [True, False], [False, True]])
    assert found(only_second) == pytest.approx((2 / 3, 0.5))


def test_a_constant_offset_is_taken_off_by_centring() -> None:
    offset = np.eye(1, D, dtype=np.float32) * 3
    assert all(p.hits().mean() < 0.4 for p in retrieve(X, X + offset, EYE))
    assert all(p.hits().mean() == 1 for p in retrieve(X, X + offset, EYE, centre=True))


def test_equal_vectors_score_as_chance() -> None:
    same = np.ones((N, D), np.float32)
    for centre in (False, True):
        for places in retrieve(same, same, EYE, centre=centre):
            assert places.hits().mean() == pytest.approx(1 / N, abs=1e-9)
            assert places.hits(5).mean() == pytest.approx(5 / N, abs=1e-9)


def test_induction_counts_any_translation_and_reports_coverage() -> None:
    words = [f"w{i}" for i in range(N)]
    pairs = [(w, w) for w in words[:30]] + [("w0", "w7"), ("gone", "w1"), ("w2", "gone")]
    covered = cover(pairs, words, words)
    assert (covered.words, covered.listed) == (30, 31)
    assert covered.coverage == pytest.approx(30 / 31)
    found = induction(X, X.copy(), covered)
    assert {(r.criterion, r.at) for r in found} == {(c, k) for c in ("csls", "nn") for k in (1, 5)}
    for r in found:
        assert r.hits.tolist() == [1] * 30
        assert r.chance == pytest.approx(r.at / N * 31 / 30, rel=0.01)
    noisy = X + 0.7 * RANDOM.normal(size=X.shape).astype(np.float32)
    scores = dense_csls(X, noisy)[:30]
    best = first_best(scores, 1)[:, 0]
    expected = np.mean((best == np.arange(30)) | ((np.arange(30) == 0) & (best == 7)))
    csls = next(r for r in induction(X, noisy, covered, at=(1,)) if r.criterion == "csls")
    assert 0.1 < expected < 0.9 and csls.hits.mean() == pytest.approx(expected)


def test_refused_with_the_reason() -> None:
    with pytest.raises(InputError, match="0 of its 2 source words .*'a b', 'c d', .*'x', .*'y'"):
        cover([("a", "b"), ("c", "d")], ["x"], ["y"])
    with pytest.raises(InputError, match="width 6 and of width 5"):
        retrieve(X, X[:, :5], EYE)
    with pytest.raises(InputError, match="unknown criterion of retrieval 'cosin'"):
        retrieve(X, X, EYE, "cosin")
    with pytest.raises(InputError, match="target vectors: vector 3 of 150 .*not finite"):
        retrieve(X, np.where(np.arange(N)[:, None] == 3, np.inf, X).astype(np.float32), EYE)
    with pytest.raises(InputError, match=r"up to \[149, 149\], but there are 100"):
        retrieve(X[:100], X, EYE)
    with pytest.raises(InputError, match="the 200 nearest of 190"):
        nearest(X, Y, 200)
