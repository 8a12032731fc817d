"""What the extractor makes of lines, words and types, against the plain forward pass."""

import functools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toy

from xl_jax.analysis import features
from xl_jax.analysis.features import Extractor, row_lengths
from xl_jax.model import sharing
from xl_jax.tokens.detokenize import Spelled
from xl_jax.tokens.shards import Shard, of_lines
from xl_jax.tokens.special import BOS, EOS, N_SPECIAL, UNK
from xl_jax.training.step import init_state

RANDOM = np.random.default_rng(0)
MODEL = toy.model(toy.config())
VIEW = sharing.select(init_state(MODEL).params, MODEL.mask, 0)
ONE = Extractor(MODEL.module, devices=jax.devices()[:1])
LINES = [
    RANDOM.integers(N_SPECIAL, toy.VOCAB, n).astype(np.int32)
    for n in (1, 5, 3, 10, 7, 10, 2, 9, 4, 6)
]
SHARD = of_lines(LINES)


def spell(line: np.ndarray) -> Spelled:
    """Two pieces of a line are one word, named by the first one's last digit."""
    numbers = np.arange(len(line)) // 2
    return Spelled([str(token % 10) for token in line[::2]], numbers)


def states(line: np.ndarray, first: int = BOS) -> np.ndarray:
    """Of the line alone, without padding."""
    return _states(first, *line.tolist(), EOS)


@functools.cache
def _states(*row: int) -> np.ndarray:
    tokens = jnp.asarray([row], jnp.int32)
    found: Any = forward({"params": VIEW}, tokens, tokens > 0)
    return np.asarray(found)[:, 0]


forward = jax.jit(functools.partial(MODEL.module.apply, method="states"))


def occurrences() -> dict[str, list[np.ndarray]]:
    result: dict[str, list[np.ndarray]] = {}
    for line in LINES:
        here = states(line)[:, 1:-1]
        for i, word in enumerate(spell(line).words):
            result.setdefault(word, []).append(here[:, 2 * i : 2 * i + 2].mean(1))
    return result


@pytest.mark.slow
def test_sentences_are_means_without_special_tokens() -> None:
    lines = [*LINES, np.array([7, UNK, 9], np.int32), np.array([UNK], np.int32)]
    found = ONE.sentences(VIEW, of_lines(lines))
    assert found.shape == (2, 12, 16)
    for i, line in enumerate(lines):
        row = np.array([BOS, *line, EOS])
        kept = np.flatnonzero(row >= N_SPECIAL)
        expected = states(line)[:, kept if len(kept) else [0, 1, 2]].mean(1)
        np.testing.assert_allclose(found[:, i], expected, atol=2e-6)


def test_sentences_are_means_with_special_tokens_where_that_is_asked_for() -> None:
    counting = Extractor(MODEL.module, devices=jax.devices()[:1], special_tokens=True)
    found = counting.sentences(VIEW, of_lines([np.array([9], np.int32), LINES[3]]))
    embed = jax.device_get(VIEW["embed"])
    tokens = embed["token"][[BOS, 9, EOS]] + embed["position"][[0, 1, 2]]  # <s> 9 </s>
    normal = [(x - x.mean()) / x.std() for x in tokens]
    np.testing.assert_allclose(found[0, 0], np.mean(normal, 0), atol=1e-5)
    np.testing.assert_allclose(found[:, 1], states(LINES[3]).mean(1), atol=2e-6)


def test_layer_0_is_the_embeddings_and_rows_open_as_they_did_in_training() -> None:
    view = jax.device_get(VIEW)
    found = ONE.sentences(view, of_lines([np.array([9], np.int32)]))
    x = view["embed"]["token"][9] + view["embed"]["position"][1]
    np.testing.assert_allclose(found[0, 0], (x - x.mean()) / x.std(), atol=1e-5)
    stream = Extractor(MODEL.module, EOS, jax.devices()[:1]).sentences(VIEW, SHARD)
    np.testing.assert_allclose(stream[:, 3], states(LINES[3], EOS)[:, 1:-1].mean(1), atol=2e-6)


def test_one_layer_has_the_bits_that_it_has_among_all() -> None:
    every = ONE.sentences(VIEW, SHARD)
    for layer in (0, 1):
        np.testing.assert_array_equal(ONE.sentences(VIEW, SHARD, [layer])[0], every[layer])


def test_what_is_above_the_layers_asked_for_is_not_computed() -> None:
    tokens = np.full((2, 8), 9, np.int32)
    means = jax.jit(features._means, static_argnames=("module", "parts", "layers"))

    def flops(layers: tuple[int, ...] | None) -> float:
        lowered = means.lower(MODEL.module, VIEW, tokens, tokens * 0, parts=1, layers=layers)
        cost: Any = lowered.compile().cost_analysis()
        return cost["flops"]

    assert flops((0,)) < flops(None) / 5


@pytest.mark.slow
@pytest.mark.parametrize("devices, tokens", [(1, 24), (8, 100)])
def test_neither_the_batch_nor_the_devices_matter(
    devices: int, tokens: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(features, "TOKENS", tokens)
    extractor = Extractor(MODEL.module, devices=jax.devices()[:devices])
    expected = np.stack([states(line)[:, 1:-1].mean(1) for line in LINES], 1)
    np.testing.assert_allclose(extractor.sentences(VIEW, SHARD), expected, atol=2e-6)
    words = [str(i) for i in range(10)]
    means, counts = extractor.types(VIEW, SHARD, spell, words, tmp_path / "sums.npz")
    seen = occurrences()
    for i, word in enumerate(words):
        found = seen.get(word, [])
        assert counts[i] == len(found)
        expected = np.mean(found, 0) if found else np.zeros((2, 16))
        np.testing.assert_allclose(means[:, i], expected, atol=1e-5)


def test_words_are_means_of_their_pieces() -> None:
    parts = [spell(line).parts for line in LINES]
    parts[2] = np.array([-1, 0, -1])  # only what is asked for
    found = ONE.words(VIEW, SHARD, parts)
    assert found.vectors.shape[1] == sum(p.max() + 1 for p in parts) and found.seen.all()
    np.testing.assert_allclose(found.vectors[:, 0], states(LINES[0])[:, 1], atol=2e-6)
    np.testing.assert_allclose(found.vectors[:, 2], states(LINES[1])[:, 3:5].mean(1), atol=2e-6)
    np.testing.assert_allclose(found.vectors[:, 4], states(LINES[2])[:, 2], atol=2e-6)


@pytest.mark.slow
def test_words_beyond_the_longest_row_are_not_seen() -> None:
    long = RANDOM.integers(N_SPECIAL, toy.VOCAB, 15).astype(np.int32)  # a row holds 10
    found = ONE.words(VIEW, of_lines([long, long[:3]]), [np.arange(15), np.arange(3)])
    assert found.seen.tolist() == [True] * 10 + [False] * 5 + [True] * 3
    np.testing.assert_allclose(found.vectors[:, :10], states(long[:10])[:, 1:-1], atol=2e-6)
    back = ONE.words(
        VIEW, of_lines([long]), [np.arange(15)[::-1].copy()]
    )  # the last words come first
    assert back.seen.tolist() == [False] * 5 + [True] * 10
    np.testing.assert_allclose(back.vectors[:, :4:-1], found.vectors[:, :10], atol=2e-6)


@pytest.mark.slow
def test_an_interrupted_sum_goes_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(features, "LINES_AT_ONCE", 4)
    monkeypatch.setattr(features, "SAVE_SECONDS", 0)
    words = [str(i) for i in range(10)]
    whole = ONE.types(VIEW, SHARD, spell, words, tmp_path / "whole.npz")
    kept, read = tmp_path / "kept.npz", []

    class Stops(Shard):
        def line(self, i: int) -> np.ndarray:
            if i == 6 and not read:
                raise KeyboardInterrupt
            return super().line(i)

    with pytest.raises(KeyboardInterrupt):
        ONE.types(VIEW, Stops(SHARD.parts), spell, words, kept)

    def noted(line: np.ndarray) -> Spelled:
        read.append(line)
        return spell(line)

    again = ONE.types(VIEW, SHARD, noted, words, kept)
    assert len(read) == 6  # the first block of 4 is not read again
    for a, b in zip(again, whole, strict=True):
        np.testing.assert_array_equal(a, b)
    read.clear()
    ONE.types(VIEW, SHARD, noted, words, kept)
    assert not read


def test_row_lengths_are_few_and_close() -> None:
    assert row_lengths(12) == [8, 12] and row_lengths(40) == [8, 12, 16, 24, 32, 40]
    assert len(row_lengths(512)) == 13
