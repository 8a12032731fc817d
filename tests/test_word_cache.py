"""Lines encoded word by word are what SentencePiece makes of whole lines."""

import functools
import random

import numpy as np
import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st

from xl_jax.config import Vocab
from xl_jax.tokens import vocabulary, word_cache
from xl_jax.tokens.special import EOS
from xl_jax.tokens.word_cache import Encoder

WORDS = [a + b for a in ("lo", "mi", "ra", "é", "Щи", "x") for b in ("", "ka", "nto", "-1", "ß")]


@functools.cache
def model(kind: str) -> bytes:
    chance = random.Random(0)
    lines = [" ".join(chance.choices(WORDS, k=8)) for _ in range(500)]
    config = Vocab(mode="disjoint", size=45, type=kind)
    return vocabulary.train(config, {"x": lambda: lines}, {"x": "x"}, {}, 0).models["x"]


def rows(kind: str) -> np.ndarray:
    n = sentencepiece.SentencePieceProcessor(model_proto=model(kind)).get_piece_size()
    return np.concatenate([np.arange(5), np.arange(n - 5)[::-1] + 105]).astype(np.int32)


@functools.cache
def encoder(kind: str) -> Encoder:
    return Encoder(model(kind), rows(kind))


def whole(kind: str, lines: list[str]) -> tuple[list[int], list[int]]:
    processor = sentencepiece.SentencePieceProcessor(model_proto=model(kind))
    found = [[*processor.encode(line), EOS] for line in lines]
    return [int(rows(kind)[i]) for line in found for i in line], list(map(len, found))


ODD = " \u00a0\u3000\u200b\u0301\u00ad\t\n▁ﬁ½％界🙂"
line = st.lists(st.sampled_from([*WORDS, *WORDS, *ODD, "", "</s>", "<mask>", "qqq"])).map(" ".join)


@pytest.mark.slow
@given(st.lists(line | st.text(), max_size=6))
def test_any_text_in_any_company(lines: list[str]) -> None:
    for kind in ("bpe", "unigram"):
        stream, lengths = encoder(kind)(lines)
        assert (stream.tolist(), lengths) == whole(kind, lines)


def test_only_bpe_goes_word_by_word() -> None:
    assert (encoder("bpe")._by_word, encoder("unigram")._by_word) == (True, False)


def test_a_word_is_encoded_once_until_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    one, asked = Encoder(model("bpe"), rows("bpe")), []
    encode = one._encode
    monkeypatch.setattr(one, "_encode", lambda words: [asked.append(words), encode(words)][1])
    lines = ["mi ka mi", "ka  mi"]
    for _ in range(2):
        stream, lengths = one(lines)
        assert (stream.tolist(), lengths) == whole("bpe", lines)
    assert asked == [["mi", "ka", ""]]
    monkeypatch.setattr(word_cache, "REMEMBERED", 3)
    one(["mi ra"])
    assert one(lines)[0].tolist() == stream.tolist() and len(asked) == 3
    long = ["kamiraloka" * 3, "mi"]
    assert one(long)[0].tolist() == whole("bpe", long)[0] and asked[3] == long  # as whole lines
