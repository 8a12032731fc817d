"""Rotary positions (RoPE; Su et al. 2021, section 3.2), no parameters: queries and keys are turned
by angles that grow with their position, so that a score depends on how far apart two tokens are.

As in GPT-NeoX and ModernBERT, number i of a head turns together with number i + K/2. Letters: B
rows, T tokens, H heads, K width of a head.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def rotate(
    x_BxTxHxK: Float[Array, "B T H K"], position_BxT: Int[Array, "#B T"], base: float
) -> Float[Array, "B T H K"]:
    """x with pair i of the token at position t turned by t * base^(-2i/K) radians; computed in
    float32, returned in the type of x."""
    K = x_BxTxHxK.shape[3]
    speed = base ** (-jnp.arange(0, K, 2, dtype=jnp.float32) / K)
    angle_BxTxK = position_BxT[..., None].astype(jnp.float32) * speed[None, None]
    cos, sin = (f(angle_BxTxK)[:, :, None, :] for f in (jnp.cos, jnp.sin))
    first, second = jnp.split(x_BxTxHxK.astype(jnp.float32), 2, axis=3)
    turned = [first * cos - second * sin, second * cos + first * sin]
    return jnp.concatenate(turned, axis=3).astype(x_BxTxHxK.dtype)
