"""Words out of pieces."""

import numpy as np

from xl_jax.config import Vocab
from xl_jax.tokens import vocabulary
from xl_jax.tokens.detokenize import Spelling, most_frequent, single_pieces
from xl_jax.tokens.special import UNK

TEXT = ["The cats' house, the dog-house and l'homme: 42 houses."] * 20 + ["the house"] * 20
VOCABULARY = vocabulary.train(
    Vocab(size=60, type="bpe"), {"en": lambda: iter(TEXT)}, {"en": "en"}, {}, seed=0
)
ENCODE = VOCABULARY.encoder("en")
SPELL = Spelling(VOCABULARY, "en")


def test_words_are_runs_of_letters_and_digits_in_lower_case() -> None:
    found = SPELL(ENCODE([TEXT[0]])[0])
    expected = "the cats house the dog house and l homme 42 houses".split()
    assert found.words == expected


def test_every_piece_of_a_word_and_nothing_else_is_its_part() -> None:
    line = ENCODE([TEXT[0]])[0]
    found = SPELL(line)
    pieces = [VOCABULARY.piece("en", int(i)) for i in line]
    for number, word in enumerate(found.words):
        mine = [p for p, part in zip(pieces, found.parts, strict=True) if part == number]
        assert "".join(mine).replace("▁", "").lower() == word
    beside = [p for p, part in zip(pieces, found.parts, strict=True) if part < 0]
    assert not any(c.isalnum() for p in beside for c in p)


def test_an_unknown_piece_ends_a_word() -> None:
    line = ENCODE(["the house"])[0]
    cut = np.concatenate([line[:1], [UNK], line[1:]]).astype(np.int32)
    assert SPELL(cut).parts[1] == -1
    assert SPELL(np.zeros(0, np.int32)).words == []


def test_words_are_counted_and_ordered() -> None:
    counts = SPELL.count(ENCODE(["the house the", "cats"]))
    assert counts == {"the": 2, "house": 1, "cats": 1}
    assert most_frequent(counts, 2) == ["the", "cats"]


def test_single_pieces_are_whole_words() -> None:
    found = single_pieces(VOCABULARY, "en")
    assert {"the", "house"} <= found.keys() and "homme" not in found
    assert [found["house"]] == ENCODE(["house"])[0].tolist()
    assert all(word.isalnum() for word in found)
