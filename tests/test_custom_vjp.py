"""Derivatives written by hand against those that JAX derives, and against finite differences."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.special import erfc
from jax.test_util import check_grads

from xl_jax.model.custom_vjp import layer_norm, linear, rms_norm
from xl_jax.model.feed_forward import ACTIVATIONS

EPS = 1e-12
SHAPES = [  # N, D, F
    (1, 1, 1),
    (3, 5, 7),
    (7, 5, 3),
    (33, 17, 9),
    (2, 64, 1),
    (9, 128, 160),
    (9, 160, 128),
]


def plain_linear(x: Any, kernel: Any, bias: Any) -> Any:
    return jnp.matmul(x, kernel) + bias[None]


def plain_layer_norm(x: Any, scale: Any, bias: Any) -> Any:
    centred = x - x.mean(1, keepdims=True)
    variance = jnp.square(centred).mean(1, keepdims=True)
    return centred / jnp.sqrt(variance + EPS) * scale[None] + bias[None]


def plain_rms_norm(x: Any, scale: Any) -> Any:
    return x / jnp.sqrt(jnp.square(x).mean(1, keepdims=True) + EPS) * scale[None]


def plain_gelu(x: Any) -> Any:
    return x * 0.5 * erfc(-x / np.sqrt(2.0))


def draw(*shapes: tuple[int, ...]) -> list[jax.Array]:
    random = np.random.default_rng(0)
    return [jnp.asarray(random.standard_normal(shape), jnp.float32) for shape in shapes]


def gradients(function: Callable[..., Any], arguments: list[jax.Array], dtype: str) -> list[Any]:
    """Of sum(sin(result)), so that every element has a derivative of its own."""

    def total(*values: jax.Array) -> jax.Array:
        result = function(*(x.astype(dtype) for x in values))
        assert result.dtype == dtype
        return jnp.sum(jnp.sin(result.astype(jnp.float32)))

    each = tuple(range(len(arguments)))
    return jax.jit(jax.grad(total, argnums=each))(*arguments)


def agree(
    ours: Callable[..., Any], plain: Callable[..., Any], arguments: list[jax.Array], dtype: str
) -> None:
    """The gradients of both, the plain one's in float32; bfloat16 has 8 bits of mantissa."""
    tolerance = 2e-5 if dtype == "float32" else 4e-2
    rounded = [x.astype(dtype).astype(jnp.float32) for x in arguments]
    pairs = zip(
        gradients(ours, arguments, dtype), gradients(plain, rounded, "float32"), strict=True
    )
    for a, b in pairs:
        assert a.shape == b.shape
        error = np.linalg.norm(np.asarray(a, np.float64) - b)
        assert error <= tolerance * max(np.linalg.norm(b), 1e-3), (error, np.linalg.norm(b))


def near_finite_differences(function: Callable[..., Any], arguments: list[jax.Array]) -> None:
    check_grads(jax.jit(function), arguments, order=1, modes=["rev"], atol=0.05, rtol=0.05)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("shape", SHAPES)
def test_linear(shape: tuple[int, int, int], dtype: str) -> None:
    n, d, f = shape
    arguments = draw((n, d), (d, f), (f,))
    agree(linear, plain_linear, arguments, dtype)
    if dtype == "float32":
        near_finite_differences(linear, arguments)


@pytest.mark.parametrize("shape", [(1, 2), (3, 5), (33, 17), (2, 64)])
def test_layer_norm(shape: tuple[int, int]) -> None:
    """In float32 only: `norm.Norm` converts."""
    arguments = draw(shape, shape[1:], shape[1:])
    ours = partial(layer_norm, eps=EPS)
    if shape[1] > 2:  # of two elements the normalised ones are +-1, whatever they were
        agree(ours, plain_layer_norm, arguments, "float32")
        near_finite_differences(ours, arguments)
    else:
        d_x = gradients(ours, arguments, "float32")[0]
        np.testing.assert_allclose(d_x, 0, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 2), (33, 17)])
def test_rms_norm(shape: tuple[int, int]) -> None:
    arguments, ours = draw(shape, shape[1:]), partial(rms_norm, eps=EPS)
    np.testing.assert_allclose(ours(*arguments), plain_rms_norm(*arguments), rtol=1e-6, atol=1e-6)
    agree(ours, plain_rms_norm, arguments, "float32")
    near_finite_differences(ours, arguments)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_gelu(dtype: str) -> None:
    x = [jnp.linspace(-6, 6, 201, dtype=jnp.float32).reshape(3, 67)]
    agree(ACTIVATIONS["gelu"], plain_gelu, x, dtype)
    if dtype == "float32":
        near_finite_differences(ACTIVATIONS["gelu"], x)
