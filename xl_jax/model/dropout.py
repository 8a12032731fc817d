"""Dropout as a module."""

import flax.linen as nn
import jax

from xl_jax.model import by_platform


class Dropout(nn.Module):
    """flax's dropout, the same choices by the same keys, in the platform's form."""

    rate: float

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        if not train or self.rate == 0:
            return x
        kept = jax.random.bernoulli(self.make_rng("dropout"), 1.0 - self.rate, x.shape)
        return by_platform.dropout(x, kept, self.rate)
