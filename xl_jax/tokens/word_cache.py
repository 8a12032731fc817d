"""Lines to piece numbers: what SentencePiece gives, but a word that comes back is looked up."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int32

from xl_jax.tokens.given import processor
from xl_jax.tokens.special import EOS, N_SPECIAL

REMEMBERED = 1 << 20  # characters of words: 130,000 words of English, 30 MB; then it starts anew
LONG_WORD = 10  # characters; where words are longer on the average (Chinese), few come back

_BLANK = "▁"  # how SentencePiece writes it


class Encoder:
    """Encodes many lines as one stream in which `</s>` closes each of them.

    No piece of a BPE model goes on over a blank, so that no merge does: a line is its words, one
    after the other, each encoded alone and remembered (docs/speed.md). Other models get whole
    lines: a unigram model sums scores over the line, and their rounding can decide.

    Args:
      model: a SentencePiece model.
      rows: the number to give for each of its pieces.
    """

    def __init__(self, model: bytes, rows: Int32[np.ndarray, " pieces"]) -> None:
        self._processor = processor(model)
        self._rows = rows
        self._by_word = _merges_within_words(self._processor)
        self._forget()

    def __call__(self, lines: Sequence[str]) -> tuple[Int32[np.ndarray, " stream"], list[int]]:
        """The stream, and the lines' lengths in it, `</s>` included."""
        if not self._by_word:
            return self._encode(lines)
        text = " \n ".join(lines) + " \n"
        if (text.count(" ") + 1) * LONG_WORD < len(text) - 3 * len(lines) + 1:
            return self._encode(lines)
        words = text.split(" ")
        if words.count("\n") != len(lines):
            return self._encode(lines)
        known = self._known
        if new := {word: None for word in words if word not in known}:
            self._learn(list(new))
        stream = np.frombuffer(b"".join(map(known.__getitem__, words)), np.int32).copy()
        if self._characters > REMEMBERED:
            self._forget()
        ends = np.flatnonzero(stream == self._rows[EOS])  # of special tokens, text gives only <unk>
        return stream, np.diff(ends, prepend=-1).tolist()

    def _encode(self, lines: Sequence[str]) -> tuple[np.ndarray, list[int]]:
        found = self._processor.encode(list(lines), add_eos=True, num_threads=1)
        lengths = list(map(len, found))
        flat = np.fromiter(itertools.chain.from_iterable(found), np.int32, sum(lengths))
        return self._rows.take(flat), lengths  # one gather for all lines

    def _learn(self, words: Sequence[str]) -> None:
        stream, lengths = self._encode(words)
        content, size, start = stream.tobytes(), stream.itemsize, 0
        for word, length in zip(words, lengths, strict=True):
            end = start + size * length
            self._known[word] = content[start : end - size]
            start = end
        self._characters += sum(map(len, words))

    def _forget(self) -> None:
        self._known: dict[str, bytes] = {"\n": self._rows[EOS].tobytes()}
        self._characters = 0


def _merges_within_words(opened: Any) -> bool:
    """Whether it is a BPE model (pieces are scored by their rank) whose pieces have a blank at
    their beginning only. The blank is a piece, or unknown words in a row would be one <unk>."""
    ordinary = list(range(N_SPECIAL, opened.get_piece_size()))
    pieces, scores = opened.id_to_piece(ordinary), opened.get_score(ordinary)
    ranked = scores == [-float(rank) for rank in range(len(scores))]
    return ranked and _BLANK in pieces and not any(_BLANK in piece[1:] for piece in pieces)
