"""What the model sees of some rows, and what it has to predict, whatever the objective."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from xl_jax.tokens.special import N_SPECIAL


class Predictions(NamedTuple):
    tokens: Int[Array, "B T"]  # what the model sees
    positions: Int[Array, "B P"]  # whose states predict
    targets: Int[Array, "B P"]  # these pieces;
    weights: Float[Array, "B P"]  # 0 where there is nothing to predict


def next_tokens(tokens: Int[Array, "B T"]) -> Predictions:
    """Every position predicts the token after it (GPT): P = T - 1.

    As in masking special tokens are not predicted, so that perplexities are of ordinary pieces.
    """
    B, T = tokens.shape
    targets = tokens[:, 1:]
    positions = jnp.broadcast_to(jnp.arange(T - 1)[None], (B, T - 1))
    return Predictions(tokens, positions, targets, (targets >= N_SPECIAL).astype(jnp.float32))
