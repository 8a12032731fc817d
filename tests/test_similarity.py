"""Which measure of similarity sees what: noise, a rotation, nothing in common."""

from typing import Any

import numpy as np
import pytest

from xl_jax.analysis import procrustes
from xl_jax.analysis.anc import anc
from xl_jax.analysis.cka import cka, with_debiased
from xl_jax.analysis.retrieval import retrieve

N, D = 1000, 64
RANDOM = np.random.default_rng(0)
SD = np.linspace(0.1, 1, D)[None]  # neurons of unlike size, as encoders have


def normal(n: int, width: int) -> np.ndarray:
    return RANDOM.normal(size=(n, width)).astype(np.float32)


X = normal(N, D) * SD
NOISY = X + 0.145 * normal(N, D)
ROTATED = NOISY @ procrustes.random_rotation(D, 0)
UNRELATED = normal(N, D) * SD


@pytest.mark.parametrize(
    ("y", "of_cka", "of_anc", "of_procrustes", "found"),
    [
        (NOISY, 0.966, 0.92, 0.97, 1.0),
        (ROTATED, 0.965, 0.09, 0.97, 0.0),
        (UNRELATED, 0.039, 0.021, 0.19, 0.001),
    ],
)
def test_cka_and_procrustes_are_blind_to_rotation(
    y: np.ndarray, of_cka: float, of_anc: float, of_procrustes: float, found: float
) -> None:
    x, y = X[None].astype(np.float32), y[None].astype(np.float32)
    biased, debiased = with_debiased(x, y)
    assert biased.value.item() == pytest.approx(of_cka, abs=0.015)
    chance = biased.chance.item()
    assert debiased.value.item() == pytest.approx(of_cka - chance * (1 - of_cka), abs=0.015)
    for measured, expected in ((anc(x, y), of_anc), (procrustes.similarity(x, y), of_procrustes)):
        value, low, high, by_chance = (part.item() for part in measured)
        assert value == pytest.approx(expected, abs=0.015) and low < value < high < value + 0.03
        assert (abs(value - by_chance) < 0.02) == (expected < 0.2 and of_cka < 0.1)
    answers = np.stack([np.arange(N)] * 2, 1)
    assert retrieve(x[0], y[0], answers)[0].hits().mean() == pytest.approx(found, abs=0.004)


@pytest.mark.parametrize(("width", "biased"), [(64, 0.238), (768, 0.791)])
def test_few_items_make_biased_cka_of_random_data_large(width: int, biased: float) -> None:
    x, y = normal(200, width)[None], normal(200, width)[None]
    plain, debiased = with_debiased(x, y)
    assert plain.value.item() == pytest.approx(biased, abs=0.02)
    assert plain.value.item() == pytest.approx(plain.chance.item(), abs=0.02)
    assert abs(debiased.value.item()) < 0.02
    assert debiased.value.item() == cka(x, y, debiased=True).value.item()


def test_neurons_by_hand() -> None:
    """Equal, opposite, uncorrelated, and constant: |r| is 1, 1, 0, 0."""
    x = np.array([[0, 1, 2, 3], [0, 1, 2, 3], [0, 1, 1, 0], [5, 5, 5, 5]], np.float32).T
    y = np.array([[1, 3, 5, 7], [3, 2, 1, 0], [0, 0, 1, 1], [1, 2, 3, 4]], np.float32).T
    assert anc(x[None], y[None]).value.item() == pytest.approx(0.5)


def test_procrustes_distance_by_hand() -> None:
    x = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]], np.float32)
    assert procrustes.distance(x, 3 * x[:, ::-1] + 7) == pytest.approx(0, abs=1e-6)
    stretched = x * [[2, 1]]  # singular values 4 / 2 sqrt(10) and 2 / 2 sqrt(10)
    value = procrustes.similarity(x[None], stretched[None].astype(np.float32)).value.item()
    assert value == pytest.approx(3 / 10**0.5)
    distance = procrustes.distance(x, stretched.astype(np.float32))
    assert distance == pytest.approx((2 - 2 * 3 / 10**0.5) ** 0.5)


@pytest.mark.parametrize("measure", [anc, procrustes.similarity])
def test_influences_are_derivatives(measure: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Items of which one is there twice: the value moves by that item's influence over n."""
    seen: list[np.ndarray] = []

    def keep(value: float, influence: np.ndarray, seed: int) -> tuple[float, float]:
        seen.append(influence)
        return value, value

    monkeypatch.setattr("xl_jax.analysis.anc.influence_interval", keep)
    x, y = X[None, :500, :8].astype(np.float32), NOISY[None, :500, :8].astype(np.float32)
    value = measure(x, y).value.item()
    (influence,) = seen
    assert influence.sum() == pytest.approx(0, abs=1e-3)
    item = int(np.abs(influence).argmax())
    twice = [*range(500), item]
    moved = measure(x[:, twice], y[:, twice]).value.item() - value
    assert moved == pytest.approx(influence[item] / 500, rel=0.1)
