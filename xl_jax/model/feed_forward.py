"""The feed-forward layer, plain or gated. Letters: N tokens, D width, F feed-forward."""

from collections.abc import Callable
from functools import partial

import flax.linen as nn
import jax

from xl_jax.config import Model
from xl_jax.model import by_platform
from xl_jax.model.linear import Linear

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "gelu": by_platform.gelu,
    "gelu_tanh": partial(jax.nn.gelu, approximate=True),
    "relu": jax.nn.relu,
    "geglu": by_platform.gelu,
    "swiglu": jax.nn.silu,
}


class FeedForward(nn.Module):
    """Two linear maps around the activation, by default the exact (erf) GELU: down(act(up(x))).
    Gated (Shazeer 2020): down(act(up(x)) * gate(x))."""

    config: Model

    @nn.compact
    def __call__(self, x_NxD: jax.Array) -> jax.Array:
        c = self.config
        h_NxF = ACTIVATIONS[c.activation](Linear((c.width,), (c.ffn,), c, c.bias, name="up")(x_NxD))
        if c.gated:
            h_NxF = h_NxF * Linear((c.width,), (c.ffn,), c, c.bias, name="gate")(x_NxD)
        return Linear((c.ffn,), (c.width,), c, c.bias, name="down")(h_NxF)
