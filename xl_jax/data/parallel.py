"""Sentence and word pairs with known translations: gold ones of a run, real ones from files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int

from xl_jax.data import dictionaries
from xl_jax.data.prepare import Prepared
from xl_jax.data.shards import Shard, of_lines
from xl_jax.data.special import N_SPECIAL
from xl_jax.errors import InputError


@dataclass(frozen=True)
class Pairs:
    """Items of two languages and which of them translate each other."""

    name: str
    source: Shard
    target: Shard
    answers: Int[np.ndarray, "pairs 2"]  # (source, target) numbers of what translates what

    @property
    def aligned(self) -> bool:
        """Whether item i means item i and nothing else (what CKA needs)."""
        n = len(self.source)
        return len(self.target) == n and np.array_equal(self.answers, _diagonal(n))


def gold_sentences(data: Prepared, source: str, target: str, n: int, length: int) -> Pairs | None:
    """Up to n held-out sentences in two gold languages, None where the run has no such pair.

    With a `length`, sentences are cut to exactly that many tokens and shorter ones left out:
    otherwise twins, whose sentences are equally long, can be told apart by length alone. Sentences
    with an unknown piece are left out (the unknown symbol is shared by the languages), and so are
    repetitions.
    """
    if not {source, target} <= data.gold.keys():
        return None
    kept: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}
    for i in range(len(data.gold[source])):
        pair = data.gold[source].line(i), data.gold[target].line(i)
        if length:
            pair = pair[0][:length], pair[1][:length]
        long_enough = min(map(len, pair)) >= max(length, 1)
        if long_enough and min(x.min() for x in pair) >= N_SPECIAL:
            kept.setdefault(pair[0].tobytes(), pair)
        if len(kept) == n:
            break
    return _one_to_one("gold sentences", list(kept.values()))


def gold_words(data: Prepared, source: str, target: str, n: int) -> Pairs | None:
    """The n most frequent words (a twin's pieces) of two gold languages, or None."""
    if not {source, target} <= data.words.keys():
        return None
    words = [
        (data.words[source].line(i), data.words[target].line(i))
        for i in range(min(n, len(data.words[source])))
    ]
    return _one_to_one("gold words", words)


def sentence_files(data: Prepared, source: str, target: str, spec: str) -> Pairs:
    """Sentence pairs from two line-parallel files (Tatoeba's format): "SOURCE_FILE,TARGET_FILE".

    Pairs with an empty side are dropped.

    Raises:
      InputError: not two files, a missing one, or different numbers of lines.
    """
    names = spec.split(",")
    if len(names) != 2:
        raise InputError(f"sentence pairs {spec!r}: expected SOURCE_FILE,TARGET_FILE")
    texts = [_read_lines(name) for name in names]
    if len(texts[0]) != len(texts[1]):
        raise InputError(
            f"sentence pairs: {names[0]} has {len(texts[0])} lines, {names[1]} {len(texts[1])}"
        )
    kept = [(a, b) for a, b in zip(*texts, strict=True) if a and b]
    if not kept:
        raise InputError(f"sentence pairs {spec!r}: no pair")
    sides = list(zip(*kept, strict=True))
    encode = data.vocabulary.encoder
    a, b = encode(source)(list(sides[0])), encode(target)(list(sides[1]))
    return _one_to_one(Path(names[0]).stem, list(zip(a, b, strict=True)))


def dictionary_file(data: Prepared, source: str, target: str, name: str) -> Pairs:
    """Word pairs of a dictionary file (see `dictionaries`). Any of a word's translations is right;
    candidates are the words of the file's other column.

    Raises:
      InputError: a file that is missing, empty or of other columns (file:line).
    """
    pairs = [entry[:2] for entry in dictionaries.read(name)]
    sides = [list(dict.fromkeys(column)) for column in zip(*pairs, strict=True)]
    index = [{word: i for i, word in enumerate(side)} for side in sides]
    answers = np.unique([[index[0][a], index[1][b]] for a, b in pairs], axis=0)
    encode = data.vocabulary.encoder
    return Pairs(
        Path(name).stem,
        of_lines(encode(source)(sides[0])),
        of_lines(encode(target)(sides[1])),
        answers,
    )


def _one_to_one(name: str, pairs: list[tuple[np.ndarray, np.ndarray]]) -> Pairs:
    if not pairs:
        raise InputError(f"{name}: no pair is left (is probe.length longer than every sentence?)")
    source, target = zip(*pairs, strict=True)
    return Pairs(name, of_lines(source), of_lines(target), _diagonal(len(pairs)))


def _diagonal(n: int) -> Int[np.ndarray, "n 2"]:
    return np.stack([np.arange(n)] * 2, axis=1)


def _read_lines(name: str) -> list[str]:
    try:
        return [line.strip() for line in Path(name).read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError as error:
        raise InputError(f"{name}: no such file") from error
