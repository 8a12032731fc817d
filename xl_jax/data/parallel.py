"""Sentence and word pairs with known translations: gold ones of a run, real ones from files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool

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
    answers: Bool[np.ndarray, "source target"]

    @property
    def chance(self) -> tuple[float, float]:
        """Expected precision at 1 of a random guess: source to target, and back."""
        return float(self.answers.mean(1).mean()), float(self.answers.mean(0).mean())

    @property
    def aligned(self) -> bool:
        """Whether item i means item i and nothing else (what CKA needs)."""
        square = self.answers.shape[0] == self.answers.shape[1]
        return square and bool((self.answers == np.eye(len(self.answers), dtype=bool)).all())


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
    """Word pairs from a file of two columns (MUSE's format). Any of a word's translations is right;
    candidates are the words of the file's other column.

    Raises:
      InputError: a missing file, or a line that has not two columns (file:line).
    """
    pairs = []
    for number, line in enumerate(_read_lines(name), 1):
        columns = line.split()
        if columns and len(columns) != 2:
            raise InputError(f"{name}:{number}: {len(columns)} columns, expected two: {line!r}")
        pairs += [tuple(columns)] if columns else []
    if not pairs:
        raise InputError(f"dictionary {name}: no word pair")
    sides = [list(dict.fromkeys(column)) for column in zip(*pairs, strict=True)]
    index = [{word: i for i, word in enumerate(side)} for side in sides]
    answers = np.zeros((len(sides[0]), len(sides[1])), bool)
    for a, b in pairs:
        answers[index[0][a], index[1][b]] = True
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
    return Pairs(name, of_lines(source), of_lines(target), np.eye(len(pairs), dtype=bool))


def _read_lines(name: str) -> list[str]:
    try:
        return [line.strip() for line in Path(name).read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError as error:
        raise InputError(f"{name}: no such file") from error
