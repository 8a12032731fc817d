"""When a measure rises over training, and which steps are kept for it."""

import dataclasses

import pytest

from tests import toy
from xl_jax.analysis.curves import half_step, summaries
from xl_jax.analysis.record import Record
from xl_jax.runs.checkpoint import Checkpoints


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([(0, 0.0), (4, 0.0), (8, 1.0), (16, 0.5)], 5.0),  # 0.25 between 4 and 8
        ([(0, 1.0), (2, 0.0)], 1.0),  # a fall
        ([(0, 0.2), (4, 0.9), (8, 0.2)], None),  # it ends where it started
        ([(0, 0.2)], None),
    ],
)
def test_half_of_the_way(points: list[tuple[int, float]], expected: float | None) -> None:
    assert half_step(points) == expected


def test_a_curve_has_its_peak_beside_its_end() -> None:
    def at(step: int, value: float, layer: int = 0, metric: str = "anc") -> Record:
        return Record(metric, value, "a", "b", layer, model="trained", step=step)

    records = [at(8, 0.5), at(0, 0.1), at(4, 0.9), at(0, 0.3, 1), at(8, 0.4, 1)]
    found = list(summaries([*records, at(8, 1.0, metric="best_layer")]))
    assert [(r.layer, r.value, r.step) for r in found] == [(0, 0.5, 8), (1, 0.4, 8)]
    named = ("of", "start", "half_step", "peak", "peak_step", "steps")
    said = [found[0].get(name) for name in named]
    assert said == ["anc", 0.1, pytest.approx(1.0), 0.9, 4, 3]
    assert list(summaries([*records, *found])) == found


@pytest.mark.parametrize(
    ("per_call", "every", "expected"),
    [(1, 8, {1, 2, 4, 8, 16, 20}), (2, 6, {2, 4, 6, 12, 18, 20}), (4, 4, {4, 8, 12, 16, 20})],
)
def test_the_steps_of_a_curve(per_call: int, every: int, expected: set[int]) -> None:
    config = dataclasses.replace(
        toy.config(), steps=20, steps_per_call=per_call, log_every=per_call, eval_every=20,
        checkpoint_every=every,
    )  # fmt: skip
    assert config.curve == set()
    assert dataclasses.replace(config, keep_curve=True).curve == expected


def test_steps_of_the_curve_are_kept_beside_the_newest(tmp_path) -> None:
    import numpy as np

    state = {"x": np.zeros(2, np.float32)}
    for _ in range(2):  # a second writer goes on with the same steps
        checkpoints = Checkpoints(tmp_path / "c", 1, lambda _: None, also={1, 2, 8})
        start = checkpoints.latest or 0
        for step in range(start + 1, start + 6):
            checkpoints.save(step, state)
        checkpoints.close()
    reader = Checkpoints(tmp_path / "c", 1, read_only=True)
    assert reader.steps == [1, 2, 8, 10]
    reader.close()
