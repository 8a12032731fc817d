"""CKA on spaces whose likeness is known, and against independent definitions."""

import numpy as np
import pytest

from xl_jax.analysis.cka import cka
from xl_jax.errors import InputError

RANDOM = np.random.default_rng(0)
N, D = 200, 12
SPACE = RANDOM.normal(size=(N, D)).astype(np.float32)
OTHER = (RANDOM.normal(size=(N, 5)) + SPACE[:, :5]).astype(np.float32)  # partly the same


def one(x: np.ndarray, y: np.ndarray, **options) -> float:
    return float(cka(x[None], y[None], **options).value[0, 0])


def hsic(k: np.ndarray, m: np.ndarray, debiased: bool) -> float:
    """Kornblith et al. 2019; without bias: Song et al. 2012, equation 5."""
    n = len(k)
    if not debiased:
        h = np.eye(n) - 1 / n
        return float(np.trace(k @ h @ m @ h))
    k, m = (z - np.diag(np.diag(z)) for z in (k, m))
    ones = np.ones(n)
    middle = (ones @ k @ ones) * (ones @ m @ ones) / ((n - 1) * (n - 2))
    return (np.trace(k @ m) + middle - 2 / (n - 2) * (ones @ k @ m @ ones)) / (n * (n - 3))


def kernel(x: np.ndarray, kind: str) -> np.ndarray:
    x = x.astype(np.float64)
    if kind == "linear":
        return x @ x.T
    d2 = np.square(x[:, None] - x[None]).sum(2)
    return np.exp(-d2 / (2 * np.median(d2[np.triu_indices(len(x), 1)])))


@pytest.mark.parametrize("kind", ["linear", "rbf"])
@pytest.mark.parametrize("debiased", [False, True])
def test_cka_equals_the_definition_by_kernel_matrices(
    kind: str, debiased: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{cka.__module__}.ITEMS", 64)  # several blocks, the last one short
    monkeypatch.setattr(f"{cka.__module__}.RBF_ITEMS", 64)
    k, m = kernel(SPACE, kind), kernel(OTHER, kind)
    expected = hsic(k, m, debiased) / np.sqrt(hsic(k, k, debiased) * hsic(m, m, debiased))
    found = one(SPACE + 3, OTHER - 7, kernel=kind, debiased=debiased)
    assert found == pytest.approx(expected, abs=1e-5)
    assert 0.2 < expected < 0.8


def test_every_layer_meets_every_layer_and_widths_may_differ() -> None:
    layers = np.stack([SPACE, SPACE[::-1], SPACE**2])
    found = cka(layers, np.stack([OTHER, OTHER**3])).value
    assert found.shape == (3, 2)
    assert found[2, 1] == pytest.approx(one(SPACE**2, OTHER**3), abs=1e-6)
    assert found[1, 0] == pytest.approx(one(SPACE[::-1], OTHER), abs=1e-6)


def test_a_rotation_a_scale_and_an_offset_change_nothing_but_a_stretch_does() -> None:
    rotation = np.linalg.qr(RANDOM.normal(size=(D, D)))[0].astype(np.float32)
    for debiased in (False, True):
        assert one(SPACE, 3 * SPACE @ rotation + 7, debiased=debiased) == pytest.approx(1, abs=1e-5)
    stretched = SPACE * np.array([[30.0] + [1.0] * (D - 1)], np.float32)
    assert one(SPACE, stretched) < 0.5


def test_unrelated_spaces_with_a_common_offset_are_near_0_only_if_centred() -> None:
    x, y = RANDOM.normal(size=(2, 1000, 20)).astype(np.float32) + 10
    assert one(x, y) < 0.05
    assert abs(one(x, y, debiased=True)) < 0.02
    assert one(x, y, centred=False) > 0.99
    direct = np.linalg.norm(y.T @ x) ** 2 / np.linalg.norm(x.T @ x) / np.linalg.norm(y.T @ y)
    assert one(x, y, centred=False) == pytest.approx(float(direct), abs=1e-5)


@pytest.mark.parametrize("options", [{}, {"kernel": "rbf"}, {"centred": False}, {"debiased": True}])
def test_chance_is_the_mean_over_random_pairings(options: dict) -> None:
    x, y = SPACE[:24] + 1, OTHER[:24]
    chance = cka(x[None], y[None], **options).chance[0, 0]
    shuffled = np.stack([y[RANDOM.permutation(24)] for _ in range(600)])
    found = cka(x[None], shuffled, **options).value[0]
    error = found.std() / np.sqrt(len(found))
    assert abs(found.mean() - chance) < 4 * error


def test_intervals_hold_the_value_and_shrink_with_more_items() -> None:
    def drawn(n: int) -> np.ndarray:
        x = RANDOM.normal(size=(n, 6)).astype(np.float32)
        return np.stack([x, x + RANDOM.normal(size=(n, 6)).astype(np.float32)])[:, None]

    truth = one(*drawn(100_000)[:, 0])
    found = [cka(*drawn(300)) for _ in range(40)]
    inside = [s.low[0, 0] <= truth <= s.high[0, 0] for s in found]
    assert 31 <= sum(inside)  # 95 % each: fewer than 31 of 40 has probability 1e-4
    wide = np.mean([s.high[0, 0] - s.low[0, 0] for s in found])
    narrow = cka(*drawn(4800))
    assert (narrow.high - narrow.low)[0, 0] == pytest.approx(wide / 4, rel=0.3)


def test_refused_with_the_reason() -> None:
    x = SPACE[None]
    with pytest.raises(InputError, match="200 and 199 vectors"):
        cka(x, x[:, 1:])
    with pytest.raises(InputError, match="at least 4"):
        cka(x[:, :3], x[:, :3])
    with pytest.raises(InputError, match="unknown kernel of CKA 'rfb': did you mean 'rbf'"):
        cka(x, x, kernel="rfb")
    with pytest.raises(InputError, match="debiased CKA is centred"):
        cka(x, x, centred=False, debiased=True)
    with pytest.raises(InputError, match="target vectors: vector 7 of 200 .* not finite"):
        cka(x, np.where(np.arange(N)[None, :, None] == 7, np.nan, x))
