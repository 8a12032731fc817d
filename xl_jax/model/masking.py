"""BERT masking inside the jitted step: static shapes, exact rate, a function of the key alone.

Differences from XLM, on purpose: exactly round(rate * tokens) predictions a row instead of a
coin per token (so that only those positions go through the vocabulary projection), and special
tokens are neither predicted nor drawn as random words. As in XLM a row's first token is never
predicted.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from xl_jax.config import Masking
from xl_jax.errors import InputError
from xl_jax.model.predictions import Predictions
from xl_jax.tokens.special import MASK, N_SPECIAL


class Pools(NamedTuple):
    """Pieces that random words are drawn from: `pieces[l, :size[l]]` for language l."""

    pieces: Int[np.ndarray, "languages most"]
    size: Int[np.ndarray, " languages"]


def make_pools(
    seen: Bool[np.ndarray, "languages V"], pool: str, read: Sequence[int] | slice = slice(None)
) -> Pools:
    """The pools for `Masking.pool`, from which pieces occur in which language's text; `read` are
    the languages that have text."""
    usable = seen.copy() if pool == "own" else np.broadcast_to(seen.any(0), seen.shape).copy()
    usable[:, :N_SPECIAL] = False
    size = usable.sum(1)
    if not (size > 0)[read].all():
        raise InputError("masking: a language's training text has no ordinary piece")
    pieces = np.zeros((len(seen), size.max()), np.int32)
    for language, row in enumerate(usable):
        pieces[language, : size[language]] = np.flatnonzero(row)
    return Pools(pieces, size.astype(np.int32))


def rate_at(step: Int[Array, ""], steps: int, config: Masking) -> float | Float[Array, ""]:
    """The share of tokens that step 0, 1, ... of `steps` predicts: `rate`, or a straight line to
    `last_rate` at the last step."""
    if not config.last_rate:
        return config.rate
    done = step / max(steps - 1, 1)
    return config.rate + (config.last_rate - config.rate) * done


def n_predictions(rate: float, length: int) -> int:
    """Predictions of a full row: P in `Predictions`, of which a short row has fewer."""
    return max(1, round(rate * length))


def mask_rows(
    tokens: Int[Array, "B T"],
    language: Int[Array, ""],
    key: jax.Array,
    config: Masking,
    pools: Pools,
    rate: float | Float[Array, ""] | None = None,
) -> Predictions:
    """Choose round(rate * ordinary tokens) positions of each row, at least one, without
    replacement, and hide them (mask / keep / random, paper section 3). `rate`: by default the
    config's, and never above `config.highest`, which decides P."""
    B, T = tokens.shape
    P = n_predictions(config.highest, T)
    rate = config.rate if rate is None else rate
    draws = jax.random.uniform(key, (B, T + 2 * P))  # one call: random bits cost time to compile
    choose, hide, replace = jnp.split(draws, (T, T + P), axis=1)

    ordinary = (tokens >= N_SPECIAL) & (jnp.arange(T) > 0)[None]
    score = jnp.where(ordinary, choose, -1.0)
    positions = jax.lax.top_k(score, P)[1]
    n_ordinary = ordinary.sum(1, keepdims=True)
    wanted = jnp.clip(jnp.round(rate * n_ordinary), 1, P)
    wanted = jnp.minimum(wanted, n_ordinary)
    weights = (jnp.arange(P)[None] < wanted).astype(jnp.float32)

    targets = jnp.take_along_axis(tokens, positions, axis=1)
    size = jnp.asarray(pools.size)[language]
    index = (replace * size).astype(jnp.int32)
    random = jnp.asarray(pools.pieces)[language, jnp.minimum(index, size - 1)]
    kept = jnp.where(hide < config.mask + config.keep, targets, random)
    shown = jnp.where(hide < config.mask, MASK, kept)
    shown = jnp.where(weights > 0, shown, targets)
    rows = jnp.arange(B)[:, None]
    return Predictions(tokens.at[rows, positions].set(shown), positions, targets, weights)
