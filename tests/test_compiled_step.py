"""What a compiled step needs, and the options that trade memory, time and kernels."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toy

from xl_jax.config import Batch, Mesh, Model
from xl_jax.devices.mesh import make_mesh, one_device
from xl_jax.model.encoder import Encoder
from xl_jax.training import compiled_step

pytestmark = pytest.mark.slow

MODEL = Model(layers=1, heads=2, width=8, ffn=12, positions=6, dropout=0.2, attention_dropout=0.2)
TOKENS = np.random.default_rng(0).integers(0, 9, (3, 6)).astype(np.int32)
REAL = np.arange(6) < np.array([6, 4, 1])[:, None]
INPUTS = jnp.asarray(TOKENS), jnp.asarray(REAL)


def gradient_of(config: Model):
    """(function of the parameters, parameters): the gradient of a loss of the top states."""
    module = Encoder(config, 9)
    params = jax.jit(module.init)(jax.random.key(0), *INPUTS)["params"]

    def loss(params):
        rngs = {"dropout": jax.random.key(1)}
        states = module.apply({"params": params}, *INPUTS, train=True, rngs=rngs)
        return jnp.sum(jnp.sin(states))

    return jax.grad(loss), params


def test_remat_computes_layers_again_and_changes_no_gradient() -> None:
    """The same dropout in both passes, or the gradients would differ."""
    gradient, params = gradient_of(MODEL)
    again, same = gradient_of(dataclasses.replace(MODEL, remat=True))
    assert jax.tree.structure(params) == jax.tree.structure(same)
    assert str(jax.make_jaxpr(gradient)(params)).count("remat") == 0
    assert str(jax.make_jaxpr(again)(params)).count(" = remat") == MODEL.layers
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=0, atol=1e-6),
        jax.jit(again)(params),
        jax.jit(gradient)(params),
    )


@pytest.mark.parametrize(("positions", "causal"), [("learned", False), ("rope", True)])
def test_cudnn_is_given_what_computes_the_same(
    monkeypatch: pytest.MonkeyPatch, positions: str, causal: bool
) -> None:
    """There is no GPU here: the same call computed by XLA, where the tokens are not padding."""
    form = {"position_encoding": positions, "causal": causal}
    plain = dataclasses.replace(MODEL, dtype="bfloat16", attention_dropout=0.0, **form)
    fused = dataclasses.replace(plain, attention="cudnn")
    asked = []

    def by_xla(*arguments, implementation, **more):
        asked.append(implementation)
        return real(*arguments, implementation="xla", **more)

    real = jax.nn.dot_product_attention
    monkeypatch.setattr(jax.nn, "dot_product_attention", by_xla)
    params = jax.jit(Encoder(plain, 9).init)(jax.random.key(0), *INPUTS)
    expected, found = (jax.jit(Encoder(c, 9).apply)(params, *INPUTS) for c in (plain, fused))
    assert asked == ["cudnn"] * MODEL.layers
    np.testing.assert_allclose(found[REAL], expected[REAL], atol=0.05)


def test_what_is_printed_before_the_first_step() -> None:
    model = toy.model(toy.config("sep_emb", mesh=Mesh(data=2, fsdp=2)))
    mesh = make_mesh(model.config)
    needs = compiled_step.Memory(state=3 << 20, extra=0, temporary=2 << 30, program=0)
    assert compiled_step.summary(model, mesh, needs).splitlines() == [
        "a step: 1 x 2 slots x 4 rows = 8 rows of 12 tokens = 96 tokens; 0.0 GFLOP of the model",
        "devices: 4 cpu (data 2, fsdp 2, tensor 1) of 1 processes; memory of each: 2.00 GiB "
        "(state 3.0 MiB)",
    ]


def test_the_compiled_step_tells_its_memory() -> None:
    model = toy.model(toy.config("sep_emb"))
    step = compiled_step.compile_step(model, one_device())
    needs = compiled_step.memory(step)
    params = sum(x.size for x in jax.tree.leaves(jax.eval_shape(model.init)))
    tokens = 4 * (2 * 4 * toy.LENGTH + 2)
    assert needs is not None and needs.temporary > 0
    assert 0 <= needs.state - 3 * 4 * params - tokens < 1000  # counts of steps, padding
    assert needs.extra < needs.state / 20  # the state is donated: metrics, and a table of pointers


@pytest.mark.slow
@pytest.mark.parametrize("sharing", ["all_shared", "sep_emb"])
def test_fsdp_moves_parameters_and_no_states(sharing: str) -> None:
    def moved(rows: int) -> dict[str, tuple[int, int]]:
        batch = Batch(slots=2, rows=rows)
        config = toy.config(sharing, mesh=Mesh(data=2, fsdp=4), batch=batch)
        step = compiled_step.compile_step(toy.model(config), make_mesh(config))
        return compiled_step.collectives(step.as_text())

    few, many = moved(rows=8), moved(rows=32)
    assert few["all-reduce"] == many["all-reduce"] and few.keys() == many.keys()
    grown = (many["all-gather"][1] - few["all-gather"][1]) / (24 * toy.LENGTH)
    assert grown <= 16  # bytes a token, of drawing what is masked; a state has 64
    model = toy.model(toy.config(sharing))
    params = 4 * sum(x.size for x in jax.tree.leaves(jax.eval_shape(model.init)))
    assert sum(size for _, size in few.values()) < 4 * params  # gathered, then their gradients


PROGRAM = """
  %all-reduce.1 = f32[8,16]{1,0} all-reduce(f32[8,16]{1,0} %x), replica_groups={{0,1}}
  %all-reduce.2 = (f32[4]{0}, bf16[2,3]{1,0}) all-reduce(f32[4]{0} %a, bf16[2,3]{1,0} %b)
  %start = (f32[2,16]{1,0:T(8,128)}, f32[8,16]{1,0}) all-gather-start(f32[2,16]{1,0} %p)
  %done = f32[8,16]{1,0} all-gather-done(%start)
  %sum = f32[] add(f32[] %all-reduce.1, f32[] %z)
"""


def test_communication_is_read_from_the_program() -> None:
    assert compiled_step.collectives(PROGRAM) == {
        "all-gather": (1, 8 * 16 * 4),
        "all-reduce": (2, 8 * 16 * 4 + 4 * 4 + 6 * 2),
    }
