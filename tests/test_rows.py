"""Sentences as rows of pieces: no word is lost, and each is found at its first piece."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.task_toy import SPACE, Letters, Words, letter
from xl_jax.tasks.rows import Rows, Word, encode_words, pair_rows, reordered, word_rows
from xl_jax.tokens.special import BOS, EOS, PAD, UNK


def row(*texts: str) -> list[int]:
    """Literal rows: `<` is BOS, `>` EOS, `.` PAD, `_` the space, letters themselves."""
    signs = {"<": BOS, ">": EOS, ".": PAD, "_": SPACE, "?": UNK}
    return [signs.get(x) or (0 if x == "." else letter(x)) for text in texts for x in text]


def word(first: int, size: int) -> Word:
    """Pieces first, first + 1, ..."""
    return Word(np.arange(first, first + size, dtype=np.int32), 0)


def one(sizes: list[int], length: int, long: str = "window", root: bool = False) -> Rows:
    """A sentence of words of these sizes; word i's pieces are 100 i + 10, 100 i + 11, ..."""
    words = [word(100 * i + 10, size) for i, size in enumerate(sizes)]
    return word_rows([words], {"tag": [list(range(len(sizes)))]}, BOS, length, long, root)


def test_words_are_encoded_alone_and_found_at_their_first_piece() -> None:
    encode = encode_words(Letters(), "en", "text")
    (found,) = encode([["ab", "c", "\u00ad", "\u00e9"]], [[True, False, True, True]])
    assert [x.pieces.tolist() for x in found] == [row("_ab"), row("c"), row("?"), row("_?")]
    assert [x.read for x in found] == [1, 0, 0, 1]  # the space is a piece, but no first piece
    (found,) = encode_words(Letters(), "en", "all")([["ab", "c"]], [[True, False]])
    assert [x.pieces.tolist() for x in found] == [row("_ab"), row("_c")]
    (found,) = encode_words(Words(), "en", "text")([["w1", "w2"]], [[True, False]])
    assert [(len(x.pieces), x.read) for x in found] == [(1, 0), (1, 0)]


def test_a_long_sentence_becomes_windows_that_overlap_by_half() -> None:
    """Room for six pieces; the second window begins three words back."""
    rows = one([1] * 9, length=8)
    pieces = [10 + 100 * i for i in range(9)]
    assert rows.tokens.tolist() == [BOS, *pieces[:6], EOS, BOS, *pieces[3:], EOS]
    assert rows.read_at.tolist() == [1, 2, 3, 4, 5, 6, 8 + 4, 8 + 5, 8 + 6]
    assert rows.counts == {"items_in_windows": 1}
    short = one([2, 1], length=8, root=True)
    assert short.tokens.tolist() == [BOS, 10, 11, 110, EOS]
    assert short.read_at.tolist() == [0, 1, 3]
    assert short.labels["tag"].tolist() == [-1, 0, 1]


def test_words_are_followed_into_another_order() -> None:
    """Every run of tokens between frames is turned round by itself."""
    rows = one([1, 2, 1, 1, 1, 1], length=6)
    assert rows.tokens.tolist() == [
        *(BOS, 10, 110, 111, 210, EOS),
        *(BOS, 210, 310, 410, 510, EOS),
    ]
    runs: list[tuple[int, int]] = []

    def inverted(n: int, number: int) -> np.ndarray:
        runs.append((n, number))
        return np.arange(n)[::-1]

    found = reordered(rows, inverted)
    assert found.tokens.tolist() == [
        *(BOS, 210, 111, 110, 10, EOS),
        *(BOS, 510, 410, 310, 210, EOS),
    ]
    assert runs == [(4, 0), (4, 1)]
    assert found.tokens[found.read_at].tolist() == [10, 110, 210, 310, 410, 510]
    assert found.labels["tag"].tolist() == [0, 1, 2, 3, 4, 5]
    several = word_rows([[word(10, 1), word(20, 2)], [word(30, 1)], []], {}, BOS, 6, root=True)
    found = reordered(several, lambda n, _: np.arange(n)[::-1])
    assert found.tokens.tolist() == [BOS, 21, 20, 10, EOS, BOS, 30, EOS, BOS, EOS]
    assert found.read_at.tolist() == [0, 3, 2, 0, 1, 0]  # the root stays
    cut = reordered(one([1, 4, 2], length=8, long="truncate"), lambda n, _: np.arange(n))
    assert cut.read_at.tolist() == [1, 2, -1]


def test_truncating_counts_what_it_cuts_off() -> None:
    rows = one([1, 4, 2, 1], length=8, long="truncate")
    assert rows.tokens.tolist() == [BOS, 10, 110, 111, 112, 113, EOS]
    assert rows.read_at.tolist() == [1, 2, -1, -1]
    assert rows.labels["tag"].tolist() == [0, 1, -1, -1]
    assert rows.counts == {"items_cut": 1, "words_cut_off": 2}


@given(
    st.lists(st.integers(1, 12), min_size=1, max_size=30),
    st.integers(8, 16),
    st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_windowing_loses_no_word(sizes: list[int], length: int, root: bool) -> None:
    rows = one(sizes, length, root=root)
    first = rows.read_at[1:] if root else rows.read_at
    assert rows.tokens[first].tolist() == [100 * i + 10 for i in range(len(sizes))]
    assert rows.labels["tag"][root:].tolist() == list(range(len(sizes)))
    windows = [rows.tokens[i : i + length] for i in range(0, len(rows.tokens), length)]
    seen: set[int] = set()
    for window in windows:
        real = window[window != PAD]
        assert real[0] == BOS and real[-1] == EOS and len(real) <= length
        words = [int(x) // 100 for x in real[1:-1]]
        assert words == sorted(words)  # in order, none left out between
        assert set(words) == set(range(words[0], words[-1] + 1))
        assert not seen or min(words) <= max(seen) + 1 and max(words) > max(seen)
        seen |= set(words)


@pytest.mark.parametrize(
    ("premise", "hypothesis", "expected", "cut"),
    [
        ("abc", "d", "<abc>d>", 0),
        ("abcd", "ef", "<abc>ef>", 1),  # the longer side loses its end
        ("ab", "cdefgh", "<ab>cde>", 1),
        ("abcdef", "ghijkl", "<abc>gh>", 1),
        ("", "ab", "<>ab>", 0),
    ],
)
def test_pairs_that_are_too_long_lose_the_end_of_the_longer_side(
    premise: str, hypothesis: str, expected: str, cut: int
) -> None:
    pair = tuple(np.asarray([letter(x) for x in text], np.int32) for text in (premise, hypothesis))
    rows = pair_rows([pair], [2], BOS, 8)
    assert rows.tokens.tolist() == row(expected)
    assert rows.read_at.tolist() == [0] and rows.labels["label"].tolist() == [2]
    assert rows.counts == Counter(items_cut=cut)
