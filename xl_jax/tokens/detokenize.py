"""Words of a text that is kept as pieces: what the model read, spelled out.

A word is a run of letters, marks and digits, in lower case; text without blanks between words has
to come segmented. Pieces are spelled as the vocabulary has them: an unknown one ends a word.
"""

import re
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from xl_jax.tokens.special import N_SPECIAL
from xl_jax.tokens.vocabulary import Vocabulary

_WORD = re.compile(r"[^\W_]+")
_NO_LETTER = "\ufffd"


class Spelled(NamedTuple):
    """A line's words, and the number of the word that each token belongs to, -1 for none. A piece
    that reaches into two words belongs to the first; so a word may be left without any."""

    words: list[str]
    parts: Int[np.ndarray, " tokens"]


class Spelling:
    """A function from a line of pieces of one language to its words."""

    def __init__(self, vocabulary: Vocabulary, language: str):
        self._text = [_NO_LETTER] * vocabulary.size
        for row, piece in _ordinary(vocabulary, language):
            self._text[row] = piece.replace("▁", " ")

    def __call__(self, line: Int[np.ndarray, " tokens"]) -> Spelled:
        texts = [self._text[i] for i in line.tolist()]
        text = "".join(texts)
        words, spans = [], []
        for found in _WORD.finditer(text):
            words.append(found.group().lower())
            spans.append(found.span())
        if not spans:
            return Spelled([], np.full(len(line), -1))
        begin, end = np.asarray(spans).T
        stop = np.cumsum([len(t) for t in texts])
        start = stop - [len(t.lstrip(" ")) for t in texts]
        word = np.searchsorted(end, start, side="right")  # the first that ends later
        inside = (word < len(words)) & (begin[np.minimum(word, len(words) - 1)] < stop)
        return Spelled(words, np.where(inside, word, -1))

    def count(self, lines: Iterable[np.ndarray]) -> Counter[str]:
        """How often each word occurs."""
        counts: Counter[str] = Counter()
        for line in lines:
            counts.update(self(line).words)
        return counts


def most_frequent(counts: Counter[str], most: int) -> list[str]:
    """Up to `most` words, most frequent first, equal ones by alphabet."""
    return sorted(counts, key=lambda word: (-counts[word], word))[:most]


def single_pieces(vocabulary: Vocabulary, language: str) -> dict[str, int]:
    """The words that are one piece (paper 5.1.1), and their rows in the embedding table. As
    written: a word in lower case is found where the vocabulary has it in lower case."""
    return {
        piece[1:]: row
        for row, piece in _ordinary(vocabulary, language)
        if piece[:1] == "▁" and _WORD.fullmatch(piece[1:])
    }


def _ordinary(vocabulary: Vocabulary, language: str) -> list[tuple[int, str]]:
    """(row, string) of every piece but the special tokens."""
    rows = vocabulary.ids[language].tolist()
    return list(zip(rows, vocabulary.strings(language), strict=True))[N_SPECIAL:]
