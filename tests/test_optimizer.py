"""Learning rates by step against literal values, XLM's formula and optax."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from xl_jax.config import Optim
from xl_jax.training.optimizer import learning_rate

PEAK, WARMUP, STEPS = 2.0, 4, 12


def rates(schedule: str, steps: list[int], warmup: int = WARMUP) -> np.ndarray:
    rate = learning_rate(Optim(lr=PEAK, schedule=schedule, warmup=warmup), STEPS)
    return np.asarray([rate(jnp.int32(step)) for step in steps])


@pytest.mark.parametrize(
    ("schedule", "values"),
    [  # of steps 0..11
        (
            "inverse_sqrt",
            [0.5, 1, 1.5, 2, 1.788854, 1.632993, 1.511858]
            + [1.414214, 1.333333, 1.264911, 1.206045, 1.154701],
        ),
        (
            "cosine",
            [0.5, 1, 1.5, 2, 1.923880, 1.707107, 1.382683, 1] + [0.617317, 0.292893, 0.076120, 0],
        ),
        ("constant", [0.5, 1, 1.5, 2, 2, 2, 2, 2, 2, 2, 2, 2]),
    ],
)
def test_rates_of_a_short_run(schedule: str, values: list[float]) -> None:
    np.testing.assert_allclose(rates(schedule, list(range(STEPS))), values, rtol=0, atol=2e-6)


@pytest.mark.parametrize("schedule", ["inverse_sqrt", "cosine", "constant"])
def test_without_warm_up_the_first_step_has_the_whole_rate(schedule: str) -> None:
    assert rates(schedule, [0], warmup=0) == [PEAK]


def test_inverse_square_root_is_that_of_xlm() -> None:
    """XLM counts updates from 1 and begins the warm-up at 1e-7 instead of 0."""

    def xlm(n: int) -> float:
        start = 1e-7
        return start + n * (PEAK - start) / WARMUP if n < WARMUP else PEAK * (WARMUP / n) ** 0.5

    steps = [0, 1, 3, 4, 9, 99, 9_999, 416_666]
    expected = [xlm(step + 1) for step in steps]
    np.testing.assert_allclose(rates("inverse_sqrt", steps), expected, rtol=2e-6, atol=2e-7)


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_optax_has_the_same_rates_up_to_rounding(schedule: str) -> None:
    after = {
        "cosine": optax.cosine_decay_schedule(PEAK, STEPS - WARMUP),
        "constant": optax.constant_schedule(PEAK),
    }[schedule]
    peer = optax.join_schedules([optax.linear_schedule(0.0, PEAK, WARMUP), after], [WARMUP])
    expected = [peer(step + 1) for step in range(STEPS)]
    np.testing.assert_allclose(rates(schedule, list(range(STEPS))), expected, rtol=0, atol=1e-6)
