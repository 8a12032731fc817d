"""Gates, RMSNorm, no biases, windows: the definition in NumPy, and ModernBERT of transformers."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toy
from jax.test_util import check_grads
from test_encoder import (
    REAL,
    TOKENS,
    B,
    T,
    V,
    config,
    encoder,
    language_model,
    libraries,
    numpy_states,
    of_peer,
)
from test_positions import turned

from xl_jax.config import Masking, Mesh, Model
from xl_jax.devices.mesh import make_mesh, one_device
from xl_jax.errors import InputError
from xl_jax.interchange import formats
from xl_jax.model import start_from
from xl_jax.model.shared_model import SharedModel
from xl_jax.rules import leaf_paths
from xl_jax.training.step import flops_per_step, state_shapes

MODERN = dict(
    norm="pre", norm_kind="rms", activation="geglu", bias=False, embed_norm=True,
    position_encoding="rope", window=2, global_every=2, rope_base=50.0, rope_base_local=8.0,
)  # fmt: skip


def silu(x: np.ndarray) -> np.ndarray:
    return x / (1 + np.exp(-x))


@pytest.mark.parametrize(
    ("changes", "definition"),
    [
        ({"activation": "geglu"}, {}),
        ({"activation": "swiglu", "norm": "pre"}, {"activation": silu}),
        ({"norm_kind": "rms"}, {"rms": True}),
        ({"norm_kind": "rms", "norm": "pre"}, {"rms": True}),
        ({"bias": False}, {}),
        ({"norm": "pre", "embed_norm": True}, {}),
        ({"window": 4, "global_every": 2}, {"reach": lambda layer: np.inf if layer == 1 else 2}),
        ({"causal": True}, {"causal": True}),
        (
            {"causal": True, "norm": "pre", "window": 2, "global_every": 2},
            {"causal": True, "reach": lambda layer: np.inf if layer == 1 else 1},
        ),
        (
            MODERN,
            {
                "rms": True,
                "reach": lambda layer: np.inf if layer == 1 else 1,
                "turn": lambda x, layer: turned(x, 50.0 if layer == 1 else 8.0),
            },
        ),
    ],
    ids=lambda x: "-".join(x),
)
def test_every_option_follows_the_definition(
    changes: dict[str, Any], definition: dict[str, Any]
) -> None:
    _, params, states = encoder(**changes)
    expected = numpy_states(params, TOKENS, REAL, changes.get("norm", "post"), **definition)
    np.testing.assert_allclose(states[:, REAL], expected[:, REAL], rtol=1e-5, atol=1e-5)
    for name in definition:  # without it other numbers come out
        other = {x: value for x, value in definition.items() if x != name}
        other = numpy_states(params, TOKENS, REAL, changes.get("norm", "post"), **other)
        assert np.abs(expected - other)[:, REAL].max() > 0.01, name


def test_local_layers_are_all_but_every_nth() -> None:
    def local(layers: int = 8, **fields: int) -> list[int]:
        model = Model(layers=layers, **fields)
        return [i for i in range(1, layers + 1) if model.is_local(i)]

    assert local() == []
    assert local(window=128) == [2, 3, 5, 6, 8]  # ModernBERT's: 1, 4, 7, ... are global
    assert local(window=128, global_every=2) == [2, 4, 6, 8]


def test_gradients_are_near_finite_differences() -> None:
    module, params, _ = encoder(**MODERN)
    inputs = jnp.asarray(TOKENS), jnp.asarray(REAL)
    apply = jax.jit(lambda params: module.apply({"params": params}, *inputs)[REAL])
    check_grads(apply, [params], order=1, modes=["rev"], atol=0.05, rtol=0.05)


def test_parameters() -> None:
    _, params, _ = encoder(**MODERN)
    layer = [
        *(f"attention/{x}/kernel" for x in ("key", "output", "query", "value")),
        *("attention_norm/scale", "ffn/down/kernel", "ffn/gate/kernel", "ffn/up/kernel"),
        "ffn_norm/scale",
    ]
    first = [f"layer_1/{x}" for x in layer if x != "attention_norm/scale"]
    second = [f"layer_2/{x}" for x in layer]
    assert leaf_paths(params) == [
        *("embed/norm/scale", "embed/token", "final_norm/scale"),
        *(*first, *second),
    ]


def modern(mesh: Mesh | None = None, **fields: Any) -> SharedModel:
    model = dataclasses.replace(toy.config().model, **{**MODERN, **fields})
    return toy.model(toy.config("sep_emb_l1", model=model, mesh=mesh or Mesh(), masking=Masking()))


def test_the_mesh_divides_gates_and_misses_no_bias() -> None:
    mesh = Mesh(data=2, fsdp=2, tensor=2)
    model = modern(mesh)
    made = state_shapes(model, make_mesh(model.config)).params["layer_1"]["ffn"]
    assert made["gate"]["kernel"].sharding == made["up"]["kernel"].sharding
    assert tuple(made["gate"]["kernel"].sharding.spec) == (None, "fsdp", "tensor")
    model = modern(mesh, bias=True)
    made = state_shapes(model, make_mesh(model.config)).params["layer_1"]["ffn"]
    assert made["gate"]["bias"].sharding.spec == made["up"]["bias"].sharding.spec
    assert tuple(made["up"]["bias"].sharding.spec) == (None, "tensor")
    rules = ((".*/attention/query/bias", ("tensor",)), (".*", ()))
    with pytest.raises(InputError, match="mesh.rules: rule .*: model.bias = False has none"):
        state_shapes(modern(Mesh(rules=rules)), one_device())


@pytest.mark.parametrize(
    ("rule", "changes", "why"),
    [
        (
            "layer_1/ffn/gate/kernel",
            {"activation": "relu"},
            "model.activation = 'relu' has no gate",
        ),
        (".*/attention/value/bias", {}, "model.bias = False has none"),
        (".*_norm/bias", {"bias": True}, "model.norm_kind = 'rms' has none"),
        ("layer_1/attention_norm/.*", {}, "with model.embed_norm = True layer 1 has no norm"),
    ],
)
def test_a_rule_about_what_is_not_there_is_told_why(
    rule: str, changes: dict[str, Any], why: str
) -> None:
    model = dataclasses.replace(toy.config().model, **{**MODERN, **changes})
    with pytest.raises(InputError) as error:
        toy.model(toy.config(((rule, "private"), (".*", "shared")), model=model))
    assert f"sharing: rule {rule!r} matches no parameter: {why}" in str(error.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"window": 7}, "model.window = 7 must be even"),
        ({"window": 4, "global_every": 1}, "model.global_every = 1: must be .* from 2"),
        ({"embed_norm": True}, "model.embed_norm = True is for model.norm = 'pre'"),
        (
            {"window": 4, "attention": "cudnn", "dtype": "bfloat16", "attention_dropout": 0.0},
            "model.attention = 'cudnn' has no windows: model.window = 4 needs xla",
        ),
        ({"activation": "glu"}, "unknown model.activation 'glu': did you mean .*swiglu"),
        ({"norm_kind": "batch"}, "unknown model.norm_kind 'batch'.*known: layer, rms"),
    ],
)
def test_what_does_not_go_together(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Model(**fields)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"norm_kind": "rms"}, "it has model.norm_kind = 'layer', not 'rms'"),
        ({"bias": False}, "it has model.bias = True, not False"),
        ({"embed_norm": True}, "it has model.embed_norm = False, not True"),
        ({"window": 2}, "it has model.window = 0, not 2"),
        ({"causal": True}, "it has model.causal = False, not True"),
        ({"activation": "swiglu"}, "its feed-forward has no gate, the model's is 'swiglu'"),
    ],
)
def test_no_format_of_transformers_holds_it(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(InputError) as error:
        formats.choose(config(norm="pre", **changes), "megatron-bert")
    assert str(error.value) == f"no format holds this model: megatron-bert: {why}"


@pytest.mark.parametrize(
    "changes",
    [
        *({"norm_kind": "layer"}, {"activation": "swiglu"}, {"window": 4}),
        *({"rope_base_local": 9.0}, {"causal": True}),
    ],
)
def test_it_starts_from_its_own_kind(changes: dict[str, Any]) -> None:
    start_from.plan(modern(), modern())
    ((name, value),) = changes.items()
    own = MODERN.get(name, False)
    with pytest.raises(InputError, match=f"model.{name}: {value!r} -> {own!r}"):
        start_from.plan(modern(), modern(**changes))
    with pytest.raises(InputError, match="model.bias: True -> False"):
        start_from.plan(modern(), modern(bias=True))


def test_operations_of_a_step_count_gates_and_what_windows_see() -> None:
    """Width 16, feed-forward 32, 12 tokens: one map of the gate, 96 rows of tokens, 3 passes."""

    def flops(**fields: Any) -> float:
        model = dataclasses.replace(toy.config().model, layers=2, **fields)
        return flops_per_step(toy.model(toy.config(model=model)))

    passes = 3 * 2 * 4 * 12
    assert flops(activation="geglu") - flops() == passes * 2 * (2 * 16 * 32)
    assert flops() - flops(window=4, global_every=2) == passes * 4 * (12 - 5) * 16
    assert flops(window=128, global_every=2) == flops()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the two libraries' imports
def test_it_is_modernbert() -> None:
    torch, transformers = libraries()
    more = {"norm_kind": "layer", "layers": 4, "norm_eps": 1e-5, "mlm_transform": True}
    c = config(**MODERN | more)
    params, states, logits = language_model(c)
    peer = transformers.ModernBertForMaskedLM(
        transformers.ModernBertConfig(
            vocab_size=V,
            hidden_size=c.width,
            intermediate_size=c.ffn,
            num_hidden_layers=c.layers,
            num_attention_heads=c.heads,
            max_position_embeddings=c.positions,
            local_attention=c.window,
            global_attn_every_n_layers=c.global_every,
            global_rope_theta=c.rope_base,
            local_rope_theta=c.rope_base_local,
            norm_eps=c.norm_eps,
            pad_token_id=0,
            attn_implementation="eager",
        )
    ).eval()

    def flat(*kernels: Any) -> np.ndarray:
        return np.concatenate([np.asarray(x).reshape(c.width, -1) for x in kernels], axis=1).T

    weights = {
        "model.embeddings.tok_embeddings.weight": params["embed"]["token"],
        "model.embeddings.norm.weight": params["embed"]["norm"]["scale"],
        "model.final_norm.weight": params["final_norm"]["scale"],
        "head.dense.weight": np.asarray(params["mlm"]["dense"]["kernel"]).T,
        "head.norm.weight": params["mlm"]["norm"]["scale"],
        "decoder.weight": params["embed"]["token"],
        "decoder.bias": params["mlm"]["bias"],
    }
    for i in range(c.layers):
        ours, name = params[f"layer_{i + 1}"], f"model.layers.{i}"
        attention, ffn = ours["attention"], ours["ffn"]
        kernels = [attention[x]["kernel"] for x in ("query", "key", "value")]
        output, down = attention["output"]["kernel"], ffn["down"]["kernel"]
        weights |= {
            f"{name}.attn.Wqkv.weight": flat(*kernels),
            f"{name}.attn.Wo.weight": np.asarray(output).reshape(c.width, c.width).T,
            f"{name}.mlp.Wi.weight": flat(ffn["up"]["kernel"], ffn["gate"]["kernel"]),
            f"{name}.mlp.Wo.weight": np.asarray(down).T,
            f"{name}.mlp_norm.weight": ours["ffn_norm"]["scale"],
        }
        if i:
            weights[f"{name}.attn_norm.weight"] = ours["attention_norm"]["scale"]
    theirs = of_peer(peer, weights)
    assert states.shape == (5, B, T, 12)
    hidden = torch.stack(theirs.hidden_states).numpy()
    np.testing.assert_allclose(states[:, REAL], hidden[:, REAL], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(logits[REAL], theirs.logits.numpy()[REAL], rtol=1e-5, atol=1e-5)
