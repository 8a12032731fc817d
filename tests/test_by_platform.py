"""The forms for GPUs and TPUs compute what those for CPUs do, values and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from xl_jax.model import by_platform, custom_vjp

RANDOM = np.random.default_rng(0)


def close(found, expected):
    for x, y in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6)


def values_and_gradients(function, *inputs):
    out, back = jax.vjp(function, *inputs)
    return out, back(jnp.cos(jnp.arange(out.size, dtype=out.dtype)).reshape(out.shape))


def test_gelu():
    x = jnp.asarray(RANDOM.standard_normal((5, 7)) * 3, jnp.float32)
    found = values_and_gradients(by_platform._gelu_in_float32, x)
    close(found, values_and_gradients(by_platform.gelu, x))
    close(found[0], jax.nn.gelu(x, approximate=False))


@pytest.mark.slow
def test_cross_entropy():
    logits = jnp.asarray(RANDOM.standard_normal((4, 9)) * 3, jnp.float32)
    labels = jnp.asarray([0, 8, 3, 3])
    ours, theirs = (
        values_and_gradients(lambda x, f=f: f(x, labels), logits)
        for f in (by_platform._cross_entropy, optax.softmax_cross_entropy_with_integer_labels)
    )
    close(ours, theirs)


def test_linear():
    x, kernel, g = (
        jnp.asarray(RANDOM.standard_normal(shape), jnp.float32)
        for shape in ((6, 3), (3, 5), (6, 5))
    )
    close(custom_vjp._linear_elsewhere(x, kernel, g), custom_vjp._linear_on_cpu(x, kernel, g))
