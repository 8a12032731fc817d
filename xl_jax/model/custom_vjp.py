"""Derivatives written by hand, where those that XLA derives cost a CPU a fifth of a step.

Letters: N rows, D inputs (or width), F outputs. Reverse mode only.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from xl_jax.model.by_platform import stored

TRANSPOSED_FIRST = 128  # width from which a CPU transposes before it multiplies


@jax.custom_vjp
def linear(
    x_NxD: Float[Array, "N D"], kernel_DxF: Float[Array, "D F"], bias_F: Float[Array, " F"]
) -> Float[Array, "N F"]:
    """x W + b, in the type of b.

    On a CPU the kernel's gradient x^T g is one of two products, and barriers keep XLA from turning
    it round again. From a width of 128 on, the wider factor is transposed first and the narrower
    multiplied with it (faster on one core: tools/bench.py gradients); below, the narrower is
    transposed within the product, for the bits of stored runs.
    """
    product = jnp.matmul(x_NxD, kernel_DxF, preferred_element_type=bias_F.dtype)
    return product + bias_F[None]


def _linear_forward(x: jax.Array, kernel: jax.Array, bias: jax.Array) -> tuple[jax.Array, tuple]:
    return linear(x, kernel, bias), (x, kernel)


def _linear_backward(saved: tuple, g: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    return jax.lax.platform_dependent(*saved, g, cpu=_linear_on_cpu, default=_linear_elsewhere)


def _linear_on_cpu(
    x: jax.Array, kernel: jax.Array, g: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    d_bias, g = jnp.sum(g, axis=0), g.astype(x.dtype)
    barrier, D, F = jax.lax.optimization_barrier, x.shape[1], g.shape[1]
    if min(D, F) >= TRANSPOSED_FIRST:
        d_kernel = barrier(barrier(g.T) @ x).T if F > D else barrier(barrier(x.T) @ g)
    else:
        d_kernel = barrier(g.T @ x).T if D > F else barrier(x.T @ g)
    return g @ kernel.T, d_kernel, d_bias


def _linear_elsewhere(
    x: jax.Array, kernel: jax.Array, g: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """g is stored, once and in x's type: a GPU reads it three times."""
    kind, g = g.dtype, jax.lax.optimization_barrier(g.astype(x.dtype))
    return g @ kernel.T, x.T @ g, jnp.sum(g, axis=0, dtype=jnp.float32).astype(kind)


linear.defvjp(_linear_forward, _linear_backward)


@partial(jax.custom_vjp, nondiff_argnums=(3,))
def layer_norm(
    x_NxD: Float[Array, "N D"],
    scale_D: Float[Array, " D"],
    bias_D: Float[Array, " D"],
    eps: float = 1e-12,
) -> Float[Array, "N D"]:
    """Rows of mean 0 and variance 1, times scale plus bias; saves only two numbers a row. `eps` is
    added to the variance."""
    return _layer_norm_forward(x_NxD, scale_D, bias_D, eps)[0]


def _layer_norm_forward(
    x: jax.Array, scale: jax.Array, bias: jax.Array, eps: float
) -> tuple[jax.Array, tuple]:
    mean = jnp.mean(x, axis=1, keepdims=True)
    inverse = jax.lax.rsqrt(jnp.mean(jnp.square(x - mean), axis=1, keepdims=True) + eps)
    y = (x - mean) * inverse * scale[None] + bias[None]
    return y, (x, *stored((mean, inverse)), scale)


def _layer_norm_backward(
    eps: float, saved: tuple, g: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    x, mean, inverse, scale = saved
    unit = (x - mean) * inverse
    d_unit = g * scale[None]
    along = jnp.mean(d_unit * unit, axis=1, keepdims=True)
    d_x = inverse * (d_unit - jnp.mean(d_unit, axis=1, keepdims=True) - unit * along)
    return d_x, jnp.sum(g * unit, axis=0), jnp.sum(g, axis=0)


layer_norm.defvjp(_layer_norm_forward, _layer_norm_backward)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def rms_norm(
    x_NxD: Float[Array, "N D"], scale_D: Float[Array, " D"], eps: float = 1e-12
) -> Float[Array, "N D"]:
    """Rows of mean square 1, times scale; saves one number a row. `eps` is added to the mean
    square."""
    return _rms_norm_forward(x_NxD, scale_D, eps)[0]


def _rms_norm_forward(x: jax.Array, scale: jax.Array, eps: float) -> tuple[jax.Array, tuple]:
    inverse = jax.lax.rsqrt(jnp.mean(jnp.square(x), axis=1, keepdims=True) + eps)
    return x * inverse * scale[None], (x, stored(inverse), scale)


def _rms_norm_backward(eps: float, saved: tuple, g: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, inverse, scale = saved
    unit, d_unit = x * inverse, g * scale[None]
    along = jnp.mean(d_unit * unit, axis=1, keepdims=True)
    return inverse * (d_unit - unit * along), jnp.sum(g * unit, axis=0)


rms_norm.defvjp(_rms_norm_forward, _rms_norm_backward)
