"""The last layer at predicted positions alone: the same model, less work."""

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toy
from test_encoder import REAL, TOKENS, V, config, random_params

from xl_jax.config import Model
from xl_jax.model.mlm import MaskedLM
from xl_jax.training.step import flops_per_step

# Twice the same, one whose own token is all it sees, the last one.
POSITIONS = np.array([[0, 6, 6], [3, 1, 0], [0, 0, 0]], np.int32)
INPUTS = [jnp.asarray(x) for x in (TOKENS, REAL, POSITIONS, np.ones(V, bool))]
# Compiling takes longer than running here: no optimisation.
jit = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


def loss(c: Model) -> Any:
    """A function of the parameters that every logit has a say in."""
    module = MaskedLM(c, V)
    rngs = {"dropout": jax.random.key(1)}
    weights = np.random.default_rng(1).standard_normal((*POSITIONS.shape, V))

    def loss(params: Any) -> Any:
        logits = module.apply({"params": params}, *INPUTS, train=True, rngs=rngs)
        return jnp.sum(jnp.sin(logits) * weights)

    return loss


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"layers": 1, "norm": "pre"},
        {"norm": "pre", "embed_norm": True, "layers": 1, "remat": True},
        {"position_encoding": "rope", "window": 2, "global_every": 2},
        {"position_encoding": "rope", "causal": True, "bias": False},
    ],
    ids=lambda x: "-".join(x) or "default",
)
def test_loss_and_gradients_are_those_of_all_positions(changes: dict[str, Any]) -> None:
    every = config(**changes)
    few = dataclasses.replace(every, last_layer="predicted")
    params = random_params(MaskedLM(every, V), *INPUTS)
    assert jax.tree.structure(params) == jax.tree.structure(
        random_params(MaskedLM(few, V), *INPUTS)
    )
    (a, grads_a), (b, grads_b) = (jit(jax.value_and_grad(loss(c)))(params) for c in (every, few))
    np.testing.assert_allclose(a, b, rtol=1e-5)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=0, atol=2e-5), grads_a, grads_b)


def test_less_is_computed_and_dropout_is_drawn_there_too() -> None:
    def flops(**changes: Any) -> float:
        lowered = jax.jit(loss(config(**changes))).lower(random_params(module, *INPUTS))
        return lowered.cost_analysis()["flops"]

    module = MaskedLM(config(), V)
    assert flops(last_layer="predicted") < 0.85 * flops()  # 9 of 21 tokens, in one of two layers

    few = config(last_layer="predicted", layers=1)
    params = random_params(MaskedLM(few, V), *INPUTS)
    plain, *dropped = (
        jit(loss(dataclasses.replace(few, **changes)))(params)
        for changes in ({}, {"dropout": 0.5}, {"attention_dropout": 0.5})
    )
    assert all(abs(x - plain) > 0.1 for x in dropped)


def test_the_fused_kernel_has_the_layers_below(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def kernel(q: jax.Array, k: jax.Array, v: jax.Array, **more: Any) -> jax.Array:
        asked.append(more["implementation"])
        return v

    monkeypatch.setattr(jax.nn, "dot_product_attention", kernel)
    c = config(attention="cudnn", dtype="bfloat16", last_layer="predicted")
    module = MaskedLM(c, V)
    jax.eval_shape(loss(c), jax.eval_shape(module.init, jax.random.key(0), *INPUTS)["params"])
    assert asked[c.layers - 1 :] == ["cudnn"] * (c.layers - 1)  # after those of the init


def test_operations_of_a_step() -> None:
    """12 tokens, 2 of which are predicted; width 16, feed-forward 32; 96 tokens, 3 passes."""
    every = toy.config(masking=dataclasses.replace(toy.config().masking, rate=0.15))
    few = dataclasses.replace(every, model=dataclasses.replace(every.model, last_layer="predicted"))
    saved = 10 / 12 * (2 * (2 * 16 * 16 + 2 * 16 * 32) + 4 * 12 * 16)
    a, b = (flops_per_step(toy.model(c)) for c in (every, few))
    assert a - b == pytest.approx(3 * 96 * saved)
