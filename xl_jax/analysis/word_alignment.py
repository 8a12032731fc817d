"""Word alignment of sentence pairs by the states of their tokens (Dufter and Schuetze 2020):
two tokens are linked where each is the other's nearest by cosine."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from xl_jax.analysis.bootstrap import ratio_interval
from xl_jax.analysis.vectors import unit

PAIRS = 64  # of sentences at once


def mutual_links(x: Sequence[np.ndarray], y: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The links int [links, 2] (source token, target token) of each sentence pair, given as states
    [tokens, D]. Of equal cosines the first."""
    longest = -(-max(max(map(len, x)), max(map(len, y))) // 8) * 8
    links = []
    for first in range(0, len(x), PAIRS):
        rows = slice(first, first + PAIRS)
        a, b = (_padded([unit(z) for z in side[rows]], longest) for side in (x, y))
        forward, back = jax.device_get(_nearest(*a, *b))
        for i, n in enumerate(map(len, x[rows])):
            at = np.arange(n)
            kept = back[i, forward[i, :n]] == at
            links.append(np.stack([at[kept], forward[i, :n][kept]], 1))
    return links


def link_scores(
    found: Sequence[np.ndarray], gold: Sequence[np.ndarray], seed: int = 0
) -> dict[str, float]:
    """f1 with its interval low, high over sentences; precision and recall; over all links."""
    counts = np.zeros((len(found), 3))
    for i, (a, b) in enumerate(zip(found, gold, strict=True)):
        right = len(set(map(tuple, a.tolist())) & set(map(tuple, b.tolist())))
        counts[i] = right, len(a), len(b)
    right, n_found, n_gold = counts.sum(0)
    low, high = ratio_interval(np.stack([2 * counts[:, 0], counts[:, 1] + counts[:, 2]], 1), seed)
    return {
        "f1": 2 * right / max(n_found + n_gold, 1),
        "low": low,
        "high": high,
        "precision": right / max(n_found, 1),
        "recall": right / max(n_gold, 1),
    }


def _padded(items: list[np.ndarray], length: int) -> tuple[np.ndarray, np.ndarray]:
    """(vectors [PAIRS, length, D], which of them are valid)."""
    made = np.zeros((PAIRS, length, items[0].shape[1]), np.float32)
    valid = np.zeros((PAIRS, length), bool)
    for i, item in enumerate(items):
        made[i, : len(item)], valid[i, : len(item)] = item, True
    return made, valid


@jax.jit
def _nearest(
    x_BxTxD: jax.Array, x_valid: jax.Array, y_BxTxD: jax.Array, y_valid: jax.Array
) -> tuple[jax.Array, jax.Array]:
    s_BxTxT = jnp.einsum("BTD,BSD->BTS", x_BxTxD, y_BxTxD)
    forward = jnp.where(y_valid[:, None], s_BxTxT, -2).argmax(2)
    return forward, jnp.where(x_valid[:, :, None], s_BxTxT, -2).argmax(1)
