"""Maps between spaces: recovered exactly where one is a turned copy of the other."""

from pathlib import Path

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes

from xl_jax.analysis.procrustes import fit, load, normaliser, orthogonal, random_rotation
from xl_jax.analysis.vectors import unit
from xl_jax.errors import InputError

RANDOM = np.random.default_rng(0)
N, D = 120, 8
X = (RANDOM.normal(size=(N, D)) * np.linspace(1, 3, D) + 2).astype(np.float32)
TURN = np.linalg.qr(RANDOM.normal(size=(D, D)))[0].astype(np.float32)
OTHER = RANDOM.normal(size=(N, D)).astype(np.float32)


def test_the_rotation_is_scipys_and_that_of_the_paper_by_columns() -> None:
    w = orthogonal(X, OTHER)
    np.testing.assert_allclose(w, orthogonal_procrustes(X, OTHER)[0], atol=1e-5)
    u, _, v = np.linalg.svd(OTHER.T @ X)  # items as columns: SVD(Y X^T), W x
    np.testing.assert_allclose(w, (u @ v).T, atol=1e-5)
    np.testing.assert_allclose(w @ w.T, np.eye(D), atol=1e-6)


@pytest.mark.parametrize("normalise", ["iterative", "centre", "none"])
def test_a_turned_copy_is_recovered_exactly(normalise: str) -> None:
    turned = fit(X[:60], X[:60] @ TURN, normalise)
    np.testing.assert_allclose(turned.rotation, TURN, atol=1e-4)
    np.testing.assert_allclose(turned(X), turned.target(X @ TURN), atol=1e-4)


def test_iterative_normalisation_gives_length_1_and_mean_0() -> None:
    made = normaliser(X)(X)
    np.testing.assert_allclose(np.linalg.norm(made, axis=1), 1, atol=1e-5)
    assert np.abs(made.mean(0)).max() < 0.01 < np.abs(unit(X).mean(0)).max()
    expected = X.astype(np.float64)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    for _ in range(5):  # Zhang et al. 2019
        expected -= expected.mean(0)
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(made, expected, atol=1e-5)


def test_the_affine_form_takes_raw_states_to_raw_states() -> None:
    y = 2.5 * X @ TURN + 7
    w, b = fit(X, y, "centre").affine(rescale=True)
    np.testing.assert_allclose(X @ w + b[None], y, atol=1e-3)
    w, b = fit(X, y).affine()
    np.testing.assert_allclose(w @ w.T, np.eye(D), atol=1e-5)  # lengths are kept
    np.testing.assert_allclose((X @ w + b[None]).mean(0), y.mean(0), atol=1e-4)


def test_controls_are_rotations_that_do_not_fit() -> None:
    y = X @ TURN
    learnt, still, drawn = (
        np.square(m(X) - m.target(y)).mean()
        for m in (fit(X, y), fit(X, y, rotation="identity"), fit(X, y, rotation="random"))
    )
    assert learnt < 1e-8 < 0.05 < min(still, drawn)
    turns = random_rotation(D, 0), random_rotation(D, 1)
    np.testing.assert_allclose(turns[0] @ turns[0].T, np.eye(D), atol=1e-10)
    assert np.abs(turns[0] - turns[1]).max() > 0.1
    np.testing.assert_array_equal(turns[0], random_rotation(D, 0))


def test_means_may_come_from_larger_spaces() -> None:
    whole = fit(X[:40], X[:40] @ TURN, spaces=(X, X @ TURN))
    np.testing.assert_allclose(whole.source.means, normaliser(X).means, atol=1e-6)
    np.testing.assert_allclose(whole.source_mean, X.mean(0), atol=1e-5)


def test_a_map_is_saved_and_loaded(tmp_path: Path) -> None:
    made = fit(X, OTHER)
    made.save(tmp_path / "map.npz")
    again = load(tmp_path / "map.npz")
    np.testing.assert_array_equal(again(X), made(X))
    np.testing.assert_array_equal(again.target(OTHER), made.target(OTHER))
    for a, b in zip(again.affine(rescale=True), made.affine(rescale=True), strict=True):
        np.testing.assert_array_equal(a, b)
    (tmp_path / "bad.npz").write_bytes(b"no map")
    with pytest.raises(InputError, match="bad.npz: not a map"):
        load(tmp_path / "bad.npz")
    with pytest.raises(InputError, match="gone.npz: no such file"):
        load(tmp_path / "gone.npz")


def test_refused_with_the_reason() -> None:
    with pytest.raises(InputError, match="spaces of width 8 and 5"):
        fit(X, OTHER[:, :5])
    with pytest.raises(InputError, match="120 source and 100 target"):
        fit(X, OTHER[:100])
    with pytest.raises(InputError, match="unknown rotation 'procrust'"):
        fit(X, OTHER, rotation="procrust")
    with pytest.raises(InputError, match="unknown normalisation 'iter'"):
        fit(X, OTHER, "iter")
    with pytest.raises(InputError, match="source vectors: vector 5 of 120"):
        fit(np.where(np.arange(N)[:, None] == 5, np.nan, X).astype(np.float32), OTHER)
