"""The same mathematics in two forms: one that XLA compiles well for CPUs, one for GPUs and TPUs.

The form is chosen when a program is lowered, by the platform that it is lowered for, which need not
be there (tools/compile_for.py). A program contains only its own platform's form. What the second
form gains was measured on an H100 (docs/device.md); in bfloat16 it also rounds once, at its end.

Letters: N rows, V pieces of the vocabulary.
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int


def stored(x: Any) -> Any:
    """x, which GPUs keep in memory instead of computing it again wherever it is used."""
    return jax.lax.platform_dependent(x, cpu=lambda x: x, default=jax.lax.optimization_barrier)


def gelu(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The exact GELU, x * P(normal <= x). By erf: `jax.nn.gelu` goes through erfc, which costs more
    (8 % of a training step on a CPU, tools/bench.py step)."""

    def cpu(x: jax.Array) -> jax.Array:
        return 0.5 * x * (1 + jax.lax.erf(x * 0.5**0.5))

    return jax.lax.platform_dependent(x, cpu=cpu, default=_gelu_in_float32)


@jax.custom_vjp
def _gelu_in_float32(x: jax.Array) -> jax.Array:
    return (x * _normal_cdf(x.astype(jnp.float32))).astype(x.dtype)


def _gelu_backward(x: jax.Array, g: jax.Array) -> tuple[jax.Array]:
    wide = x.astype(jnp.float32)
    density = jnp.exp(-0.5 * wide * wide) * (2 * jnp.pi) ** -0.5
    return ((g * (_normal_cdf(wide) + wide * density)).astype(x.dtype),)


_gelu_in_float32.defvjp(lambda x: (_gelu_in_float32(x), x), _gelu_backward)


def _normal_cdf(x: jax.Array) -> jax.Array:
    return 0.5 * (1 + jax.lax.erf(x * 0.5**0.5))


def dropout(
    x: Float[Array, "*shape"], kept: Bool[Array, "*shape"], rate: float
) -> Float[Array, "*shape"]:
    """x / (1 - rate) where `kept`, else 0."""
    keep = 1.0 - rate

    def cpu(x: jax.Array, kept: jax.Array) -> jax.Array:
        return jax.lax.select(kept, x / keep, jnp.zeros_like(x))

    def other(x: jax.Array, kept: jax.Array) -> jax.Array:
        return (x * jnp.where(kept, jnp.float32(1 / keep), 0)).astype(x.dtype)

    return jax.lax.platform_dependent(x, kept, cpu=cpu, default=other)


def cross_entropy(logits: Float[Array, "N V"], labels: Int[Array, " N"]) -> Float[Array, " N"]:
    """-log softmax(logits)[label], in nats. On GPUs its gradient is one pass over the logits: the
    gradient of picking the label's logit, as XLA derives it, is three more."""
    cpu = optax.softmax_cross_entropy_with_integer_labels
    return jax.lax.platform_dependent(logits, labels, cpu=cpu, default=_cross_entropy)


@jax.custom_vjp
def _cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    return _cross_entropy_forward(logits, labels)[0]


def _cross_entropy_forward(logits: jax.Array, labels: jax.Array) -> tuple[jax.Array, tuple]:
    total = jax.nn.logsumexp(logits, axis=1)
    picked = jnp.take_along_axis(logits, labels[:, None], axis=1)[:, 0]
    return total - picked, (logits, labels, total)


def _cross_entropy_backward(saved: tuple, g: jax.Array) -> tuple[jax.Array, None]:
    logits, labels, total = saved
    hit = jnp.arange(logits.shape[1])[None] == labels[:, None]
    return (jnp.exp(logits - total[:, None]) - hit) * g[:, None], None


_cross_entropy.defvjp(_cross_entropy_forward, _cross_entropy_backward)
