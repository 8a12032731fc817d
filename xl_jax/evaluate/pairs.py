"""Sentence and word pairs with known translations: gold ones of a run, real ones from files."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int

from xl_jax.errors import InputError
from xl_jax.prepare.prepared import Prepared
from xl_jax.text import dictionaries
from xl_jax.text.text_files import read_lines
from xl_jax.tokens.shards import Shard, of_lines
from xl_jax.tokens.special import N_SPECIAL


@dataclass(frozen=True)
class Pairs:
    """Items of two languages and which of them translate each other."""

    name: str
    source: Shard
    target: Shard
    answers: Int[np.ndarray, "pairs 2"]  # (source, target) numbers of what translates what
    alike: Bool[np.ndarray, " pairs"] | None = None  # of words: both sides are the same one
    dropped: int = 0  # pairs with an empty side, left out

    def different(self, column: int) -> Bool[np.ndarray, " items"] | None:
        """The source (0) or target (1) words none of whose translations is the word itself, which
        an encoder would find before any training; None of sentences."""
        if self.alike is None:
            return None
        found = np.ones(len((self.source, self.target)[column]), bool)
        found[self.answers[self.alike, column]] = False
        return found

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
    alike = np.array([np.array_equal(a, b) for a, b in words], bool)
    return replace(_one_to_one("gold words", words), alike=alike)


def sentence_files(
    data: Prepared, source: str, target: str, spec: str, other: Prepared | None = None
) -> Pairs:
    """Sentence pairs from files, see `read_pairs`. `other` has the target's vocabulary, where that
    is another run's. Pairs with an empty side are dropped, and counted.

    Raises:
      InputError: see `read_pairs`; or no pair.
    """
    found = read_pairs(spec, source, target)
    kept = [(a, b) for a, b in found if a and b]
    if not kept:
        raise InputError(f"sentence pairs {spec!r}: no pair")
    sides = [list(side) for side in zip(*kept, strict=True)]
    a = data.vocabulary.encoder(source)(sides[0])
    b = (other or data).vocabulary.encoder(target)(sides[1])
    name = Path(spec.split(",")[0]).stem
    return _one_to_one(name, list(zip(a, b, strict=True)), len(found) - len(kept))


def read_pairs(spec: str, source: str, target: str) -> list[tuple[str, str]]:
    """Text pairs from two line-parallel files (Tatoeba's format): "SOURCE_FILE,TARGET_FILE"; or
    from columns of one, "FILE.tsv": those that its first line names, or else the first two.
    Several such specs are joined by ";".

    Raises:
      InputError: something else, a missing file, different numbers of lines.
    """
    if ";" in spec:
        return [pair for part in spec.split(";") for pair in read_pairs(part, source, target)]
    names = spec.split(",")
    if len(names) == 1 and ".tsv" in Path(spec).suffixes[-2:]:  # compressed or not
        rows = [line.removesuffix("\r").split("\t") for line in read_lines(spec)]
        header = {source, target} <= set(rows[0] if rows else [])
        columns = [rows[0].index(x) for x in (source, target)] if header else [0, 1]
        for number, row in enumerate(rows, 1):
            if len(row) <= max(columns):
                raise InputError(f"{spec}:{number}: {len(row)} columns, need {max(columns) + 1}")
        return [(row[columns[0]].strip(), row[columns[1]].strip()) for row in rows[header:]]
    if len(names) != 2:
        raise InputError(
            f"sentence pairs {spec!r}: expected SOURCE_FILE,TARGET_FILE or one FILE.tsv"
        )
    texts = [[line.strip() for line in read_lines(name)] for name in names]
    if len(texts[0]) != len(texts[1]):
        raise InputError(
            f"sentence pairs: {names[0]} has {len(texts[0])} lines, {names[1]} {len(texts[1])}"
        )
    return list(zip(*texts, strict=True))


def dictionary_file(
    data: Prepared, source: str, target: str, name: str, other: Prepared | None = None
) -> Pairs:
    """Word pairs of a dictionary file (see `dictionaries`). Any of a word's translations is right;
    candidates are the words of the file's other column. `other`: see `sentence_files`.

    Raises:
      InputError: a file that is missing, empty or of other columns (file:line).
    """
    pairs = [entry[:2] for entry in dictionaries.read(name)]
    sides = [list(dict.fromkeys(column)) for column in zip(*pairs, strict=True)]
    index = [{word: i for i, word in enumerate(side)} for side in sides]
    answers = np.unique([[index[0][a], index[1][b]] for a, b in pairs], axis=0)
    alike = np.array([sides[0][a] == sides[1][b] for a, b in answers], bool)
    return Pairs(
        Path(name).stem,
        of_lines(data.vocabulary.encoder(source)(sides[0])),
        of_lines((other or data).vocabulary.encoder(target)(sides[1])),
        answers,
        alike,
    )


def _one_to_one(name: str, pairs: list[tuple[np.ndarray, np.ndarray]], dropped: int = 0) -> Pairs:
    if not pairs:
        raise InputError(f"{name}: no pair is left (is probe.length longer than every sentence?)")
    source, target = zip(*pairs, strict=True)
    return Pairs(name, of_lines(source), of_lines(target), _diagonal(len(pairs)), dropped=dropped)


def _diagonal(n: int) -> Int[np.ndarray, "n 2"]:
    return np.stack([np.arange(n)] * 2, axis=1)
