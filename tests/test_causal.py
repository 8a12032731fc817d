"""A decoder: every token predicts the next one, sees none after it, and is read at the end of a
word or text. GPT-2 of transformers gives the same states, logits and loss."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import toy
from test_encoder import REAL, TOKENS, B, T, V, config, encoder, language_model, libraries, of_peer
from test_rows import row
from test_step import all_shared_is_plain

from tests.task_toy import Letters
from xl_jax.config import Masking
from xl_jax.errors import InputError
from xl_jax.model.predictions import next_tokens
from xl_jax.model.shared_model import SharedModel
from xl_jax.pretrain.heldout import Heldout
from xl_jax.pretrain.ngrams import Ngrams
from xl_jax.runs.run_directory import Run
from xl_jax.tasks.rows import Word, encode_words, pair_rows, word_rows
from xl_jax.tokens.shards import of_lines
from xl_jax.tokens.special import BOS, EOS, N_SPECIAL, PAD, UNK
from xl_jax.training.step import flops_per_step, init_state


def causal(sharing: str = "all_shared", **fields: Any) -> SharedModel:
    model = dataclasses.replace(toy.config().model, causal=True, **fields)
    return toy.model(toy.config(sharing, model=model, masking=Masking()))


def test_every_ordinary_token_is_predicted_by_the_one_before() -> None:
    rows = next_tokens(jnp.asarray([[BOS, 7, 8, EOS, PAD], [EOS, 9, UNK, 6, 5]]))
    assert rows.tokens.tolist() == [[BOS, 7, 8, EOS, PAD], [EOS, 9, UNK, 6, 5]]
    assert rows.positions.tolist() == [[0, 1, 2, 3]] * 2
    assert rows.targets.tolist() == [[7, 8, EOS, PAD], [9, UNK, 6, 5]]
    assert rows.weights.tolist() == [[1, 1, 0, 0], [1, 0, 1, 1]]


@pytest.mark.parametrize("positions", ["learned", "rope", "none"])
def test_no_state_depends_on_what_comes_after(positions: str) -> None:
    real = np.ones((B, T), bool)
    _, _, states = encoder(TOKENS, real, causal=True, position_encoding=positions)
    changed = TOKENS.copy()
    changed[:, 4:] = (changed[:, 4:] + 1) % V
    _, _, other = encoder(changed, real, causal=True, position_encoding=positions)
    np.testing.assert_array_equal(states[:, :, :4], other[:, :, :4])
    assert np.abs(states - other)[:, :, 4:].max() > 0.1


def test_without_positions_a_decoder_still_sees_order() -> None:
    """Kazemnejad et al. 2023: the causal mask tells how many tokens are before."""
    real, order = np.ones((B, T), bool), [1, 0, 2, 3, 4, 5, 6]
    _, _, states = encoder(TOKENS, real, causal=True, position_encoding="none")
    _, _, moved = encoder(TOKENS[:, order], real, causal=True, position_encoding="none")
    assert np.abs(states[-1, :, -1] - moved[-1, :, -1]).max() > 1e-3


def test_a_decoder_that_is_shared_is_a_plain_one() -> None:
    all_shared_is_plain(dataclasses.replace(toy.config().model, causal=True), Masking())


def test_operations_of_a_step() -> None:
    """12 tokens: a token sees 6.5 in the mean, 11 of 12 predict (masked: round(0.15 * 12) = 2)."""
    masked = toy.model(toy.config(masking=Masking()))
    passes = 3 * 2 * 4 * 12
    heads = 2 * 16 * toy.VOCAB * (11 - 2) / 12
    attention = 4 * 16 * (12 - 6.5)
    assert flops_per_step(causal()) - flops_per_step(masked) == pytest.approx(
        passes * (heads - attention)
    )


@pytest.mark.parametrize(
    ("masking", "field"),
    [
        (Masking(rate=0.3), "masking.rate = 0.3"),
        (Masking(last_rate=0.05), "masking.last_rate = 0.05"),
        (Masking(mask=0.9, random=0.0), "masking.mask = 0.9"),
    ],
)
def test_a_decoder_masks_nothing(masking: Masking, field: str) -> None:
    model = dataclasses.replace(toy.config().model, causal=True)
    with pytest.raises(InputError) as error:
        toy.config(model=model, masking=masking)
    assert str(error.value).startswith("model.causal = True predicts every next token and masks")
    assert field in str(error.value)


@pytest.mark.slow
def test_held_out_perplexity_and_its_baselines() -> None:
    """Of every ordinary token but the first; a bigram counts the token right before it."""
    model = causal("sep_emb")
    c = model.config
    text = {x: of_lines([np.asarray([7, 8, 9, 7, 8], np.int32)] * 3) for x in c.languages}
    ordinary = np.arange(toy.VOCAB) >= N_SPECIAL
    vocabulary = SimpleNamespace(ordinary=lambda language: ordinary)
    data = SimpleNamespace(heldout=text, train=text, vocabulary=vocabulary)
    run = object.__new__(Run)  # of which no file is needed
    vars(run).update(folder=Path("."), config=c, model=model, data=data)
    params = init_state(model).params
    heldout = Heldout(run)
    assert heldout.sums(params, "en")[:, 1].tolist() == [5, 5, 5]
    found = heldout.baselines(params, "en")
    row = np.asarray([[BOS, 7, 8, 9, 7, 8, EOS]] * 3)
    losses = Ngrams([row], ordinary).losses(row[0, :5], row[0, 1:6])
    for name in ("unigram", "bigram"):
        assert found[name] == pytest.approx(np.exp(losses[name].mean()))
    assert found["bigram"] < found["unigram"]


def test_words_and_texts_are_read_at_their_end() -> None:
    """There the model has seen all of them."""
    encode = encode_words(Letters(), "en", "text", causal=True)
    (found,) = encode([["ab", "c", "é"]], [[True, False, True]])
    assert [x.pieces.tolist() for x in found] == [row("_ab"), row("c"), row("_?")]
    assert [x.read for x in found] == [2, 0, 1]
    words = [Word(np.arange(10 * n, 11 * n, dtype=np.int32), n - 1) for n in (2, 1, 9, 3)]
    rows = word_rows([words], {}, BOS, length=8)  # the third word has room for three
    assert rows.tokens[rows.read_at].tolist() == [21, 10, 92, 32]
    pair = (np.asarray([11, 12]), np.asarray([13]))
    rows = pair_rows([pair, pair], [0, 1], BOS, 8, causal=True)
    assert rows.read_at.tolist() == [5, 5] and rows.tokens[5] == EOS


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the two libraries' imports
def test_it_is_gpt2() -> None:
    torch, transformers = libraries()
    c = config(causal=True, norm="pre", activation="gelu_tanh", norm_eps=1e-5)

    def without_bias(params: Any) -> Any:  # GPT-2's output layer has none
        return params | {"mlm": {"bias": jnp.zeros(V)}}

    params, states, logits = language_model(c, without_bias)
    peer = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            vocab_size=V,
            n_positions=c.positions,
            n_embd=c.width,
            n_layer=c.layers,
            n_head=c.heads,
            n_inner=c.ffn,
            layer_norm_epsilon=c.norm_eps,
            attn_implementation="eager",
        )
    ).eval()

    def linear(name: str, *parts: Any) -> dict[str, np.ndarray]:
        """Their kernels are [in, out], as ours are; query, key and value side by side."""
        biases = [np.asarray(x["bias"]).reshape(-1) for x in parts]
        inner = parts[0]["kernel"].size // biases[0].size
        kernels = [np.asarray(x["kernel"]).reshape(inner, -1) for x in parts]
        weight, bias = np.concatenate(kernels, axis=1), np.concatenate(biases)
        return {f"{name}.weight": weight, f"{name}.bias": bias}

    def norm(name: str, at: Any) -> dict[str, np.ndarray]:
        return {f"{name}.weight": at["scale"], f"{name}.bias": at["bias"]}

    weights = {
        "transformer.wte.weight": params["embed"]["token"],
        "transformer.wpe.weight": params["embed"]["position"],
        "lm_head.weight": params["embed"]["token"],
        **norm("transformer.ln_f", params["final_norm"]),
    }
    for i in range(c.layers):
        ours, name = params[f"layer_{i + 1}"], f"transformer.h.{i}"
        attention, ffn = ours["attention"], ours["ffn"]
        weights |= linear(f"{name}.attn.c_attn", *(attention[x] for x in ("query", "key", "value")))
        weights |= linear(f"{name}.attn.c_proj", attention["output"])
        weights |= linear(f"{name}.mlp.c_fc", ffn["up"]) | linear(f"{name}.mlp.c_proj", ffn["down"])
        weights |= norm(f"{name}.ln_1", ours["attention_norm"])
        weights |= norm(f"{name}.ln_2", ours["ffn_norm"])
    theirs = of_peer(peer, weights)
    hidden = torch.stack(theirs.hidden_states).numpy()
    np.testing.assert_allclose(states[:, REAL], hidden[:, REAL], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(logits[REAL], theirs.logits.numpy()[REAL], rtol=1e-5, atol=1e-5)
