"""What a view makes of text: one vector a sentence (or word) at every layer."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from xl_jax.data.shards import Shard
from xl_jax.data.special import N_SPECIAL, PAD
from xl_jax.data.windows import line_rows
from xl_jax.heads import MaskedLM

BATCH = 128


def make_means(module: MaskedLM) -> Callable[[Any, Shard], Float[np.ndarray, "layers n width"]]:
    """A function (view, lines) -> mean state of each line's ordinary tokens, layers 0..top.

    Lines are framed by <s> and </s>, which the mean leaves out (paper section 5.1.3), and cut to
    the model's positions. A line without ordinary tokens (all unknown) takes the mean of the frame.
    """

    @jax.jit
    def means(view: Any, tokens: jax.Array) -> jax.Array:
        states: Any = module.apply({"params": view}, tokens, tokens != PAD, method="states")
        ordinary = tokens >= N_SPECIAL
        ordinary = jnp.where(ordinary.any(1, keepdims=True), ordinary, tokens != PAD)
        weight = ordinary / ordinary.sum(1, keepdims=True)
        return jnp.einsum("LBTD,BT->LBD", states.astype(jnp.float32), weight)

    def of_lines(view: Any, lines: Shard) -> np.ndarray:
        longest = int(lines.lengths.max()) + 2
        length = min(-(-longest // 8) * 8, module.config.positions)
        parts = []
        for first in range(0, len(lines), BATCH):
            index = np.arange(first, min(first + BATCH, len(lines)))
            rows = line_rows(lines, index, length)
            rows = np.pad(rows, ((0, BATCH - len(rows)), (0, 0)))
            parts.append(np.asarray(means(view, rows))[:, : len(index)])
        return np.concatenate(parts, axis=1)

    return of_lines
