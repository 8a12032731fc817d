"""Sentences of a task as rows of pieces, and where in its row each word's state is found.

A row opens with the first token of the run's own windows, `<s>` for lines and `</s>` for streams
(XLM), and closes with `</s>`. A sentence that is longer than a row becomes several windows that
overlap by up to half, so that no word is lost and every word has text to its left. A word's state
is that of its first piece (paper section 5); in a causal model, which has not seen the rest of the
word there, that of its last.
"""

import dataclasses
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int, Int32

from xl_jax.errors import InputError
from xl_jax.tokens.special import BOS, EOS, PAD, UNK
from xl_jax.tokens.vocabulary import Vocabulary

FIRST = {"line": BOS, "stream": EOS}  # by `Data.windows`


class Word(NamedTuple):
    """A word's pieces, and at which of them its state is read: its first, 1 after a space that is a
    piece alone, or in causal models its last."""

    pieces: np.ndarray
    read: int


@dataclass(frozen=True)
class Framing:
    """How a run's rows look: their first token, their length in tokens, its spaces; and whether its
    model is causal, and so read at the end of a word or text."""

    first: int
    length: int
    long: str
    spaces: str
    causal: bool = dataclasses.field(default=False, repr=False)  # digests of views hold the others


@dataclass(frozen=True)
class Rows:
    """Items of a task, flat: item i has tokens[starts[i]:starts[i + 1]], windows of `length` tokens
    one after the other (the last may be shorter), and words word_starts[i] to word_starts[i + 1].

    `read_at` is the position in its item at which each word's state is read (`Word.read`), -1 for a
    word that was cut off; `labels` are the task's numbers by word, -1 for none.
    """

    length: int
    tokens: Int32[np.ndarray, " tokens"]
    starts: Int32[np.ndarray, " ends"]
    read_at: Int32[np.ndarray, " words"]
    word_starts: Int32[np.ndarray, " ends"]
    labels: dict[str, Int32[np.ndarray, " words"]]
    counts: Counter[str]  # items_cut, items_in_windows, words_cut_off

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def sizes(self) -> Int[np.ndarray, " items"]:
        """Tokens of each item, with those that fill its windows."""
        return np.diff(self.starts)

    @property
    def words(self) -> Int[np.ndarray, " items"]:
        return np.diff(self.word_starts)


def encode_words(
    vocabulary: Vocabulary, language: str, spaces: str, causal: bool = False
) -> Callable[[Iterable[Sequence[str]], Iterable[Sequence[bool]]], list[list[Word]]]:
    """A function (words of sentences, whether a space stands before each) -> their pieces.

    Each word is encoded alone. SentencePiece puts a space before it; where that space is a piece of
    its own it is no first piece, and with `spaces` = "text" it is left out before words that have
    none in running text ("all" keeps it: text of pretraining with a space before every word). A
    word that comes to nothing is `<unk>`.
    """
    encode = vocabulary.encoder(language)
    probe = encode(["\U000f0000"])[0]  # a character that no text has: the space, and <unk>
    space = probe[0] if len(probe) == 2 else -1
    known: dict[str, np.ndarray] = {}

    def word(text: str, spaced: bool) -> Word:
        pieces = known[text]
        first = int(len(pieces) > 1 and pieces[0] == space)
        if first and not spaced and spaces != "all":
            pieces, first = pieces[1:], 0
        return Word(pieces, len(pieces) - 1 if causal else first)

    def of_sentences(words: Any, spaced: Any) -> list[list[Word]]:
        words = list(words)
        new = list(dict.fromkeys(w for sentence in words for w in sentence if w not in known))
        nothing = np.asarray([UNK], np.int32)
        found = (pieces if len(pieces) else nothing for pieces in encode(new))
        known.update(zip(new, found, strict=True))
        return [
            [word(*each) for each in zip(*sentence, strict=True)]
            for sentence in zip(words, spaced, strict=True)
        ]

    return of_sentences


def pair_rows(
    pairs: Sequence[tuple[np.ndarray, np.ndarray]],
    label: Sequence[int],
    first: int,
    length: int,
    causal: bool = False,
) -> Rows:
    """`first premise </s> hypothesis </s>` (XLM), one word an item: its first token, or with
    `causal` its last.

    A pair that is too long loses pieces from the end of the longer side. Labels: `label`.
    """
    counts: Counter[str] = Counter()
    room, items = length - 3, []
    for a, b in pairs:
        counts["items_cut"] += len(a) + len(b) > room
        a = a[: max(room - len(b), -(-room // 2))]
        b = b[: room - len(a)]
        items.append(np.concatenate([[first], a, [EOS], b, [EOS]]))
    read_at = [np.asarray([len(x) - 1 if causal else 0], np.int32) for x in items]
    return _flat(items, read_at, {"label": np.asarray(label, np.int32)}, length, counts)


def word_rows(
    sentences: Sequence[Sequence[Word]],
    labels: Mapping[str, Sequence[Sequence[int]]],
    first: int,
    length: int,
    long: str = "window",
    root: bool = False,
) -> Rows:
    """Sentences of words; `labels` gives each word's numbers.

    Args:
      long: what becomes of a sentence that is longer than a row: "window", or "truncate" (words
        beyond it have position -1 and no label). A word longer than half a window may lose its last
        pieces, never its first.
      root: put a word before each sentence, the row's first token, without labels.
    """
    counts: Counter[str] = Counter()
    made = [_windows(sentence, first, length, long, counts) for sentence in sentences]
    read_at = [np.asarray([0] * root + at, np.int32) for _, at in made]
    flat = {}
    for name, of_sentences in labels.items():
        padded = [np.asarray([-1] * root + list(x), np.int32) for x in of_sentences]
        kept = [np.where(at >= 0, x, -1) for at, x in zip(read_at, padded, strict=True)]
        flat[name] = np.concatenate([np.zeros(0, np.int32), *kept]).astype(np.int32)
    return _flat([tokens for tokens, _ in made], read_at, flat, length, counts)


def reordered(rows: Rows, order: Callable[[int, int], Int[np.ndarray, " n"]]) -> Rows:
    """The rows with the tokens between their first one and each `</s>` in another order; words are
    read where their pieces are then.

    Args:
      order: (number of tokens, number of the run of tokens from 0) -> the old position of each.
    """
    tokens, moved = rows.tokens.copy(), np.arange(len(rows.tokens))  # old position -> new one
    frame = (tokens == EOS) | (tokens == PAD)
    for start, end in itertools.pairwise(rows.starts.tolist()):
        frame[start : end : rows.length] = True
    edges = np.flatnonzero(np.diff(np.concatenate([[True], frame, [True]]).astype(int)))
    for number, (start, end) in enumerate(edges.reshape(-1, 2).tolist()):
        old = order(end - start, number) + start
        tokens[start:end] = rows.tokens[old]
        moved[old] = np.arange(start, end)
    item = np.repeat(rows.starts[:-1], rows.words)
    at = np.maximum(rows.read_at, 0)
    first = np.where(rows.read_at < 0, -1, moved[item + at] - item).astype(np.int32)
    return dataclasses.replace(rows, tokens=tokens, read_at=first)


def _windows(
    sentence: Sequence[Word], first: int, length: int, long: str, counts: Counter[str]
) -> tuple[np.ndarray, list[int]]:
    """(tokens of the windows one after the other, where in them each word is read)."""
    room = length - 2
    sizes = [min(len(word.pieces), room) for word in sentence]
    read_at: list[int] = []
    windows: list[np.ndarray] = []
    start = 0
    while True:
        pieces, end, new = [first], start, len(read_at)
        while end < len(sentence) and (len(pieces) - 1 + sizes[end] <= room or end == new):
            word = sentence[end]
            if end >= new:
                read = min(word.read, room - len(pieces))
                read_at.append(len(windows) * length + len(pieces) + read)
            pieces += word.pieces[: room + 1 - len(pieces)].tolist()
            end += 1
        windows.append(np.asarray([*pieces, EOS], np.int32))
        if end == len(sentence) or long == "truncate":
            break
        start, kept = end, 0  # half a window at most is read again: every window has a new word
        while start and kept + sizes[start - 1] <= room // 2:
            start -= 1
            kept += sizes[start]
    if len(windows) > 1:
        counts["items_in_windows"] += 1
    if end < len(sentence):
        counts["items_cut"] += 1
        counts["words_cut_off"] += len(sentence) - len(read_at)
        read_at += [-1] * (len(sentence) - len(read_at))
    full = [np.pad(w, (0, length - len(w)), constant_values=PAD) for w in windows[:-1]]
    return np.concatenate([*full, windows[-1]]), read_at


def _flat(
    items: Sequence[np.ndarray],
    read_at: Sequence[np.ndarray],
    labels: dict[str, np.ndarray],
    length: int,
    counts: Counter[str],
) -> Rows:
    def ends(arrays: Sequence[np.ndarray]) -> np.ndarray:
        total = np.cumsum([0, *map(len, arrays)])
        if total[-1] >= 2**31:
            raise InputError(f"a data set of {total[-1]:,} tokens: beyond what one array holds")
        return total.astype(np.int32)

    nothing = np.zeros(0, np.int32)
    tokens = np.concatenate([nothing, *items]).astype(np.int32)
    flat_first = np.concatenate([nothing, *read_at]).astype(np.int32)
    return Rows(length, tokens, ends(items), flat_first, ends(read_at), labels, counts)
