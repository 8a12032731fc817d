"""Nearest neighbours across languages: sentence retrieval and word translation, precision at 1."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float


def precision_at_1(
    source: Float[np.ndarray, "n width"],
    target: Float[np.ndarray, "m width"],
    answers: Bool[np.ndarray, "n m"],
    centre: bool = False,
) -> tuple[float, float]:
    """Share of items whose nearest neighbour by cosine is an answer: source to target, and back.

    With `centre` each language's mean is taken off first, which matters where the languages' states
    lie apart by a constant. An item whose best score several candidates reach (to float32's
    rounding) is right in the share of them that are answers, so equal vectors score as chance.
    """
    both = _scores(jnp.asarray(source), jnp.asarray(target), centre)
    scores = np.asarray(both)
    return _hits(scores, answers), _hits(scores.T, answers.T)


@jax.jit(static_argnums=2)
def _scores(
    source: Float[Array, "n width"], target: Float[Array, "m width"], centre: bool
) -> Float[Array, "n m"]:
    def unit(x: jax.Array) -> jax.Array:
        if centre:
            x = x - x.mean(0, keepdims=True)
        return x / jnp.maximum(jnp.linalg.norm(x, axis=1, keepdims=True), 1e-12)

    return unit(source) @ unit(target).T


def _hits(scores: np.ndarray, answers: np.ndarray) -> float:
    best = scores >= scores.max(1, keepdims=True) - 1e-6
    return float(((best & answers).sum(1) / best.sum(1)).mean())
