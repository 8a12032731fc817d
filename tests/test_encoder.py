"""The encoder against its definition in float64 NumPy, and against BertModel of `transformers`."""

import warnings
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import erf

from xl_jax.config import Model
from xl_jax.errors import InputError
from xl_jax.model.encoder import Encoder
from xl_jax.model.mlm import MaskedLM
from xl_jax.rules import leaf_paths

V, B, T = 24, 3, 7
LENGTHS = np.array([7, 4, 1])  # a full row, a padded one, one with a single token
REAL = np.arange(T) < LENGTHS[:, None]
TOKENS = np.random.default_rng(0).integers(0, V, (B, T)).astype(np.int32)


def config(**changes) -> Model:
    values = dict(
        layers=2, heads=3, width=12, ffn=20, positions=9, dropout=0.0, attention_dropout=0.0
    )
    return Model(**(values | changes))


def random_params(module, *inputs):
    """Parameters of `module`'s shapes, every leaf random, so that no bias is 0 and no scale 1."""
    shapes = jax.eval_shape(module.init, jax.random.key(0), *inputs)["params"]
    random = np.random.default_rng(0)

    def leaf(path, shape):
        noise = 0.3 * random.standard_normal(shape.shape)
        return jnp.asarray(noise + (path[-1].key == "scale"), shape.dtype)

    return jax.tree.map_with_path(leaf, shapes)


# Compiling takes longer than running here: no optimisation.
jit = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


@partial(jit, static_argnums=0)
def all_states(module, params, tokens, real):
    return module.apply({"params": params}, tokens, real, all_layers=True)


@partial(jit, static_argnums=0)
def train_states(module, params, tokens, real, key):
    rngs = {"dropout": key}
    return module.apply({"params": params}, tokens, real, train=True, all_layers=True, rngs=rngs)


def encoder(tokens=TOKENS, real=REAL, **changes):
    """(module, parameters, all layers' states of `tokens`)."""
    module = Encoder(config(**changes), V)
    inputs = jnp.asarray(tokens), jnp.asarray(real)
    params = random_params(module, *inputs)
    return module, params, all_states(module, params, *inputs)


def gelu(x):
    return x * (1 + erf(x / np.sqrt(2))) / 2


def numpy_states(params, tokens, real, norm, turn=lambda x_TxK, layer: x_TxK, **options):
    """The definition: all layers' states [L+1, B, T, D] in float64, one row and head at a time.
    `turn`: what is done to the queries and keys of a head. Of `options`, `rms`: the norm is;
    `activation`: of the feed-forward; `reach(layer)`: how far from a token are those it sees;
    `causal`: it sees none after it."""
    p = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    rms, act = options.get("rms", False), options.get("activation", gelu)
    reach = options.get("reach", lambda layer: np.inf)

    def normed(x, at):
        mean = 0 if rms else x.mean(-1, keepdims=True)
        square = np.square(x - mean).mean(-1, keepdims=True)
        return (x - mean) / np.sqrt(square + 1e-12) * at["scale"] + at.get("bias", 0)

    def attention(x, real_T, at, i):
        total = at["output"].get("bias", 0)
        back_TxT = np.subtract.outer(range(len(x)), range(len(x)))
        far_TxT = (np.abs(back_TxT) > reach(i)) | (back_TxT < 0 if options.get("causal") else False)
        for h in range(at["query"]["kernel"].shape[1]):
            q, k, v = (
                x @ at[name]["kernel"][:, h] + (at[name]["bias"][h] if "bias" in at[name] else 0)
                for name in ("query", "key", "value")
            )
            q, k = turn(q, i), turn(k, i)
            weights = np.exp(q @ k.T / np.sqrt(q.shape[-1])) * real_T * ~far_TxT
            weights /= np.maximum(weights.sum(-1, keepdims=True), 1e-30)
            total = total + weights @ v @ at["output"]["kernel"][h]
        return total

    def feed_forward(x, at):
        h = act(x @ at["up"]["kernel"] + at["up"].get("bias", 0))
        if "gate" in at:
            h = h * (x @ at["gate"]["kernel"] + at["gate"].get("bias", 0))
        return h @ at["down"]["kernel"] + at["down"].get("bias", 0)

    rows = []
    for row, real_T in zip(tokens, real, strict=True):
        x = p["embed"]["token"][row]
        if "position" in p["embed"]:
            x = x + p["embed"]["position"][: len(row)]
        if "norm" in p["embed"]:
            x = normed(x, p["embed"]["norm"])
        states = [x]
        for i in range(1, 1 + sum(name.startswith("layer_") for name in p)):
            layer = p[f"layer_{i}"]
            a, f = layer.get("attention_norm"), layer["ffn_norm"]
            if norm == "post":
                x = normed(x + attention(x, real_T, layer["attention"], i), a)
                x = normed(x + feed_forward(x, layer["ffn"]), f)
            else:
                x = x + attention(normed(x, a) if a else x, real_T, layer["attention"], i)
                x = x + feed_forward(normed(x, f), layer["ffn"])
            states.append(x)
        if norm == "pre":
            states[-1] = normed(x, p["final_norm"])
        rows.append(np.stack(states))
    return np.stack(rows, axis=1)


@pytest.mark.parametrize("norm, heads", [("post", 3), ("pre", 3), ("post", 1)])
def test_every_layer_follows_the_definition(norm, heads):
    _, params, states = encoder(norm=norm, heads=heads)
    expected = numpy_states(params, TOKENS, REAL, norm)
    assert states.shape == (3, B, T, 12) and states.dtype == jnp.float32
    np.testing.assert_allclose(states, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_logits_are_the_tied_softmax_at_the_given_positions():
    module = MaskedLM(config(), V)
    positions = np.array([[0, 6], [3, 1], [0, 0]], np.int32)
    allowed = np.arange(V) % 3 != 0
    inputs = [jnp.asarray(x) for x in (TOKENS, REAL, positions, allowed)]
    params = random_params(module, *inputs)
    logits = jit(module.apply)({"params": params}, *inputs)

    top = numpy_states(params, TOKENS, REAL, "post")[-1]
    chosen = top[np.arange(B)[:, None], positions]
    token, bias = (np.asarray(x, float) for x in (params["embed"]["token"], params["mlm"]["bias"]))
    assert logits.shape == (B, 2, V) and logits.dtype == jnp.float32
    expected = (chosen @ token.T + bias)[..., allowed]
    np.testing.assert_allclose(logits[..., allowed], expected, rtol=1e-5, atol=1e-5)
    assert (np.asarray(logits)[..., ~allowed] == np.float32(-1e30)).all()

    states = jit(partial(module.apply, method="states"))({"params": params}, *inputs[:2])
    np.testing.assert_allclose(states[-1], top, rtol=1e-5, atol=1e-5)


def libraries():
    """(torch, transformers), without the warnings of their imports."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("torch"), pytest.importorskip("transformers")


def language_model(c, change=lambda params: params):
    """(random parameters after `change`, every layer's states, logits of every position)."""
    module = MaskedLM(c, V)
    every = np.tile(np.arange(T, dtype=np.int32), (B, 1))
    tokens, *rest = map(jnp.asarray, (TOKENS, REAL, every, np.ones(V, bool)))
    params = change(random_params(module, tokens, *rest))
    states = jit(partial(module.apply, method="states"))({"params": params}, tokens, rest[0])
    return params, states, jit(module.apply)({"params": params}, tokens, *rest)


def of_peer(peer, weights):
    """What a model of transformers makes of the tokens, with `weights` in place of its own."""
    import torch

    peer.load_state_dict(
        {name: torch.tensor(np.asarray(leaf, np.float32)) for name, leaf in weights.items()}
    )
    with torch.no_grad():
        return peer(
            input_ids=torch.tensor(TOKENS, dtype=torch.long),
            attention_mask=torch.tensor(REAL, dtype=torch.long),
            output_hidden_states=True,
        )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the two libraries' imports
def test_post_norm_is_bert():
    torch, transformers = libraries()
    _, params, states = encoder()
    c = config()
    peer = transformers.BertModel(
        transformers.BertConfig(
            vocab_size=V,
            hidden_size=c.width,
            num_hidden_layers=c.layers,
            num_attention_heads=c.heads,
            intermediate_size=c.ffn,
            hidden_act="gelu",
            max_position_embeddings=c.positions,
            type_vocab_size=1,
            layer_norm_eps=1e-12,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            attn_implementation="eager",
        ),
        add_pooling_layer=False,
    ).eval()

    def linear(name, at, fan_in):
        kernel = np.asarray(at["kernel"]).reshape(fan_in, -1)
        return {f"{name}.weight": kernel.T, f"{name}.bias": np.asarray(at["bias"]).reshape(-1)}

    def layer_norm(name, at):
        return {f"{name}.weight": at["scale"], f"{name}.bias": at["bias"]}

    embed = params["embed"]
    weights = {
        "embeddings.word_embeddings.weight": embed["token"],
        "embeddings.position_embeddings.weight": embed["position"],
        "embeddings.token_type_embeddings.weight": np.zeros((1, c.width)),
        **layer_norm("embeddings.LayerNorm", embed["norm"]),
    }
    for i in range(c.layers):
        ours, name = params[f"layer_{i + 1}"], f"encoder.layer.{i}"
        for part in ("query", "key", "value"):
            weights |= linear(f"{name}.attention.self.{part}", ours["attention"][part], c.width)
        weights |= linear(f"{name}.attention.output.dense", ours["attention"]["output"], c.width)
        weights |= layer_norm(f"{name}.attention.output.LayerNorm", ours["attention_norm"])
        weights |= linear(f"{name}.intermediate.dense", ours["ffn"]["up"], c.width)
        weights |= linear(f"{name}.output.dense", ours["ffn"]["down"], c.ffn)
        weights |= layer_norm(f"{name}.output.LayerNorm", ours["ffn_norm"])
    theirs = of_peer(peer, weights).hidden_states
    np.testing.assert_allclose(states, torch.stack(theirs).numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_padding_is_never_read(norm):
    _, _, states = encoder(norm=norm)
    other = np.where(REAL, TOKENS, (TOKENS + 5) % V).astype(np.int32)
    assert (other != TOKENS).sum() == 3 + 6
    _, _, changed = encoder(other, norm=norm)
    np.testing.assert_array_equal(np.asarray(states)[:, REAL], np.asarray(changed)[:, REAL])


def test_rows_do_not_see_each_other():
    order = [2, 0, 1]
    _, _, states = encoder()
    _, _, permuted = encoder(TOKENS[order], REAL[order])
    np.testing.assert_allclose(permuted, states[:, order], rtol=1e-6, atol=1e-6)


def test_a_row_does_not_depend_on_how_far_it_is_padded():
    _, _, states = encoder()
    _, _, short = encoder(TOKENS[:, :4], REAL[:, :4])
    np.testing.assert_allclose(short[:, 1], states[:, 1, :4], rtol=1e-5, atol=1e-6)


def test_positions_count():
    _, _, states = encoder(np.full((1, T), 8, np.int32), np.ones((1, T), bool))
    assert np.abs(states[-1, 0, 0] - states[-1, 0, 1]).max() > 0.1


@pytest.mark.slow
def test_jit_computes_the_same():
    module, params, states = encoder()
    inputs = {"params": params}, jnp.asarray(TOKENS), jnp.asarray(REAL)
    jitted, op_by_op = jax.jit(module.apply)(*inputs), module.apply(*inputs)
    np.testing.assert_allclose(jitted, op_by_op, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(states[-1], op_by_op, rtol=1e-5, atol=1e-5)


def trained(module, params, key):
    """All states of a training forward pass whose dropout follows `key`."""
    inputs = jnp.asarray(TOKENS), jnp.asarray(REAL)
    return train_states(module, params, *inputs, jax.random.key(key))


@pytest.mark.slow
def test_dropout_only_in_training_and_by_key():
    module, params, states = encoder(dropout=0.5)
    np.testing.assert_array_equal(states, encoder(dropout=0.0)[2])  # train=False
    first, second = trained(module, params, 1), trained(module, params, 2)
    np.testing.assert_array_equal(first, trained(module, params, 1))
    assert (np.asarray(first[0]) != np.asarray(second[0])).mean() > 0.3
    dropped = np.asarray(first[0]) == 0  # B*T*D = 252 coins: mean 126, deviation 8
    assert 94 < dropped.sum() < 158
    np.testing.assert_allclose(first[0][~dropped], 2 * states[0][~dropped], rtol=1e-6)


@pytest.mark.slow
def test_attention_dropout_is_a_knob_of_its_own():
    module, params, states = encoder(attention_dropout=0.5)
    dropped = trained(module, params, 1)
    np.testing.assert_array_equal(dropped[0], states[0])
    assert np.abs(dropped[1] - states[1]).max() > 0.01
    module, params, states = encoder()
    np.testing.assert_array_equal(trained(module, params, 1), states)


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_bfloat16_stays_close(norm):
    _, params, exact = encoder(norm=norm)
    _, same, rough = encoder(norm=norm, dtype="bfloat16")
    assert rough.dtype == jnp.bfloat16
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(same))
    error = np.asarray(rough, np.float32) - exact
    relative = np.linalg.norm(error) / np.linalg.norm(exact)
    assert 1e-4 < relative < 0.02, relative  # 8 bits of mantissa, a few roundings


def test_language_embedding_is_one_vector_added_everywhere():
    _, params, states = encoder(norm="pre", language_embedding=True)
    embed = jax.tree.map(np.asarray, params["embed"])
    expected = embed["token"][TOKENS] + embed["position"][:T] + embed["language"]
    np.testing.assert_allclose(states[0], expected, atol=1e-6)


def test_heads_must_divide_the_width():
    with pytest.raises(InputError, match=r"model.heads = 5 does not divide model.width = 12"):
        config(heads=5)


def masked_lm_paths(**changes) -> list[str]:
    tokens = jnp.zeros((1, 4), jnp.int32)
    inputs = tokens, tokens == 0, tokens[:, :1], jnp.ones(V, bool)
    module = MaskedLM(config(**changes), V)
    return leaf_paths(jax.eval_shape(module.init, jax.random.key(0), *inputs)["params"])


def test_parameter_paths():
    assert masked_lm_paths() == [
        "embed/norm/bias",
        "embed/norm/scale",
        "embed/position",
        "embed/token",
        "layer_1/attention/key/bias",
        "layer_1/attention/key/kernel",
        "layer_1/attention/output/bias",
        "layer_1/attention/output/kernel",
        "layer_1/attention/query/bias",
        "layer_1/attention/query/kernel",
        "layer_1/attention/value/bias",
        "layer_1/attention/value/kernel",
        "layer_1/attention_norm/bias",
        "layer_1/attention_norm/scale",
        "layer_1/ffn/down/bias",
        "layer_1/ffn/down/kernel",
        "layer_1/ffn/up/bias",
        "layer_1/ffn/up/kernel",
        "layer_1/ffn_norm/bias",
        "layer_1/ffn_norm/scale",
        "layer_2/attention/key/bias",
        "layer_2/attention/key/kernel",
        "layer_2/attention/output/bias",
        "layer_2/attention/output/kernel",
        "layer_2/attention/query/bias",
        "layer_2/attention/query/kernel",
        "layer_2/attention/value/bias",
        "layer_2/attention/value/kernel",
        "layer_2/attention_norm/bias",
        "layer_2/attention_norm/scale",
        "layer_2/ffn/down/bias",
        "layer_2/ffn/down/kernel",
        "layer_2/ffn/up/bias",
        "layer_2/ffn/up/kernel",
        "layer_2/ffn_norm/bias",
        "layer_2/ffn_norm/scale",
        "mlm/bias",
    ]


def test_parameter_paths_by_option():
    post, pre = set(masked_lm_paths()), set(masked_lm_paths(norm="pre"))
    assert post - pre == {"embed/norm/bias", "embed/norm/scale"}
    assert pre - post == {"final_norm/bias", "final_norm/scale"}
    assert set(masked_lm_paths(language_embedding=True)) - post == {"embed/language"}
