"""Linear maps and how they start."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from xl_jax.config import Model
from xl_jax.model.custom_vjp import linear

Initializer = jax.nn.initializers.Initializer


def normal(deviation: float) -> Initializer:
    return nn.initializers.normal(deviation)


def _fan_in_uniform(fan_in: int) -> Initializer:
    """PyTorch's default for linear layers, which XLM keeps: U(-fan_in^-0.5, fan_in^-0.5)."""

    def init(
        key: jax.Array, shape: Any, dtype: Any = jnp.float32, out_sharding: Any = None
    ) -> jax.Array:
        return jax.random.uniform(key, shape, dtype, -(fan_in**-0.5), fan_in**-0.5)

    return init


class Linear(nn.Module):
    """x W + b over the last axes of x, in the config's dtype; kernel [*inputs, *outputs]. Without
    `with_bias` there is no leaf b."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    config: Model
    with_bias: bool = True

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        c = self.config
        fan_in = 1
        for size in self.inputs:
            fan_in *= size
        uniform = _fan_in_uniform(fan_in)
        kernel_init = normal(c.init_body) if c.init_body else uniform
        kernel = self.param("kernel", kernel_init, (*self.inputs, *self.outputs))
        if self.with_bias:
            bias_init = nn.initializers.zeros if c.init_body else uniform
            bias = self.param("bias", bias_init, self.outputs)
        else:
            bias = jnp.zeros(self.outputs, c.dtype)
        kernel, bias = kernel.astype(c.dtype), bias.astype(c.dtype)
        lead = x.shape[: x.ndim - len(self.inputs)]
        flat = x.astype(c.dtype).reshape(-1, fan_in)
        y = linear(flat, kernel.reshape(fan_in, -1), bias.reshape(-1))
        return y.reshape(*lead, *self.outputs)
