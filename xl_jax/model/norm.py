"""LayerNorm (Ba et al. 2016) and RMSNorm (Zhang & Sennrich 2019)."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from xl_jax.config import Model
from xl_jax.model.custom_vjp import layer_norm, rms_norm


class Norm(nn.Module):
    """The config's norm over the last axis, in float32, whatever the input's type. `scale` [D] and,
    of LayerNorm with `Model.bias`, `bias` [D]."""

    config: Model

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        c = self.config
        scale = self.param("scale", nn.initializers.ones, x.shape[-1:])
        flat = x.astype(jnp.float32).reshape(-1, x.shape[-1])
        if c.norm_kind == "rms":
            y = rms_norm(flat, scale, c.norm_eps)
        elif c.bias:
            bias = self.param("bias", nn.initializers.zeros, x.shape[-1:])
            y = layer_norm(flat, scale, bias, c.norm_eps)
        else:
            y = layer_norm(flat, scale, jnp.zeros_like(scale), c.norm_eps)
        return y.reshape(x.shape).astype(x.dtype)
