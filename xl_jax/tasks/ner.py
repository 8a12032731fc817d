"""Named entities: WikiAnn, CoNLL-2003 and files like them, sentences of words with BIO tags.

A softmax over tags on each word's first piece (see `word_tags`), no CRF (paper section 5).

hf:unimelb-nlp/wikiann/en:train, tfds:wikiann/en:train
files:GLOB#tag=N     a word a line, columns separated by tabs or blanks, a blank line after each
    sentence; `tag` is the number of the tag's column from 1, or from the end as -1 (the default);
    the word is the first. `-DOCSTART-` lines and comments (`# ` and no tag) are left out.

synthetic:SIDE#take=N                    base noun phrases of a generated language, see `generated`

IOB1 (CoNLL-2003) and BIOES are turned into BIO as they are read.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
from seqeval.metrics import f1_score, precision_score, recall_score
from seqeval.metrics.sequence_labeling import get_entities

from xl_jax.config.finetune import Tuning
from xl_jax.errors import InputError
from xl_jax.tasks import generated, specs
from xl_jax.tasks.task import inventory
from xl_jax.tasks.word_tags import WordTags

_TAG = re.compile(r"O|([BIESLU])-(\S+)")
_BIO = {"B": "B", "S": "B", "U": "B", "I": "I", "E": "I", "L": "I"}


class Sentence(NamedTuple):
    """`spaced[i]`: a space stands before word i in running text."""

    words: list[str]
    tags: list[str]
    spaced: list[bool]


def read(text: str, language: str, counts: Counter[str]) -> list[Sentence]:
    """The sentences of a spec, in order. Adds to `counts`: `tags_to_bio`, tags that were rewritten.

    Raises:
      InputError: no such data, a line without the tag's column or with a broken tag (file:line),
        wrong encoding, no sentence at all.
    """
    del language  # these sets have one language each
    spec = specs.parse(text, ("tag",), {generated.SCHEME: generated.KEYS})
    found: Iterator[tuple[list[str], list[str]]]
    if spec.scheme == generated.SCHEME:
        found = ((x.words, x.spans) for x in generated.sentences(spec))
    else:
        found = _of_records(spec) if spec.has_records else _of_files(spec)

    def sentences() -> Iterator[Sentence]:
        for words, tags in found:
            fixed = to_bio(tags)
            counts["tags_to_bio"] += sum(a != b for a, b in zip(tags, fixed, strict=True))
            yield Sentence(words, fixed, spaced(words))

    return spec.take(sentences())


def to_bio(tags: Sequence[str]) -> list[str]:
    """BIO for tags of BIO, IOB1 or BIOES: a span begins with B, an I of another type begins one."""
    result, inside = [], ""
    for tag in tags:
        prefix, kind = ("O", "") if tag == "O" else (_BIO[tag[0]], tag[2:])
        begins = prefix == "B" or (prefix == "I" and kind != inside)
        result.append("O" if prefix == "O" else f"{'B' if begins else 'I'}-{kind}")
        inside = kind
    return result


def spaced(words: Sequence[str]) -> list[bool]:
    """Whether a space stands before each word: not between words of a script that has none
    (Chinese, Japanese, Thai, ...), nor between such a word and its neighbour."""
    return [
        i == 0 or not (_joined(words[i - 1][-1:]) or _joined(words[i][:1]))
        for i in range(len(words))
    ]


def _joined(character: str) -> bool:
    if not character:
        return False
    name = unicodedata.name(character, "")
    if unicodedata.east_asian_width(character) in "WF":
        return not name.startswith("HANGUL")
    return name.startswith(("THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN"))


def _of_files(spec: specs.Spec) -> Iterator[tuple[list[str], list[str]]]:
    column = spec.keys.get("tag", "-1")
    if not re.fullmatch(r"-?[1-9]\d*", column):
        raise InputError(f"{spec.text}: tag = {column!r} is not a column: 1, 2, ... or -1, -2, ...")
    index = int(column) - (int(column) > 0)
    for path in specs.files(spec):
        words: list[str] = []
        tags: list[str] = []
        for number, line in specs.lines(path):
            if not line.strip():
                if words:
                    yield words, tags
                words, tags = [], []
                continue
            word, tag = _columns(path, number, line, index)
            if word:
                words.append(word)
                tags.append(tag)
        if words:
            yield words, tags


def _columns(path: Path, number: int, line: str, index: int) -> tuple[str, str]:
    """The word and the tag of a line; "" for a line that is neither."""
    columns = line.split("\t") if "\t" in line else line.split()
    tag = columns[index].strip() if -len(columns) <= index < len(columns) else ""
    good = len(columns) > 1 and columns[0] and index % len(columns) and _TAG.fullmatch(tag)
    if line.startswith("-DOCSTART-") or (line.startswith("# ") and not good):
        return "", ""
    if good:
        return columns[0], tag
    raise InputError(f"{path}:{number}: not a word and a tag (O, B-TYPE, I-TYPE): {line[:60]!r}")


def _of_records(spec: specs.Spec) -> Iterator[tuple[list[str], list[str]]]:
    """Words and tags of the records of `wikiann`, whose tags are `ner_tags` on the Hub."""
    classes, rows = specs.records(spec)
    names = classes("tags") or classes("ner_tags")
    for number, row in enumerate(rows):
        words = [specs.text(x) for x in specs.column(spec, row, "tokens")]
        tags = [specs.label(x, names) for x in specs.column(spec, row, "tags", "ner_tags")]
        if len(words) != len(tags) or not all(map(_TAG.fullmatch, tags)):
            raise InputError(f"{spec.text}, record {number}: not a tag (O, B-TYPE, I-TYPE) a word")
        yield words, tags


@dataclass(frozen=True)
class NER(WordTags):
    how: str  # see `repair`
    metric: ClassVar[str] = "f1"
    ending: ClassVar[str] = "bio"
    none: ClassVar[str] = "O"

    @classmethod
    def learn(cls, train: Sequence[Sentence], tuning: Tuning) -> "NER":
        tags = inventory(tag for sentence in train for tag in sentence.tags)
        return cls(tags, tuning.dropout, tuning.repair)

    @staticmethod
    def tags_of(item: Sentence) -> list[str]:
        return item.tags

    def decode(self, output: dict[str, np.ndarray], read_at: np.ndarray) -> list[str]:
        """The likeliest tags, repaired."""
        return repair(super().decode(output, read_at), self.how)

    def scores(self, items: Sequence[Sentence], answers: Sequence[list[str]]) -> dict[str, float]:
        """Span f1, precision and recall, over all types (seqeval)."""
        gold, found = [x.tags for x in items], [list(x) for x in answers]
        functions = {"f1": f1_score, "precision": precision_score, "recall": recall_score}
        return {name: float(f(gold, found, zero_division=0)) for name, f in functions.items()}

    def counts(
        self, items: Sequence[Sentence], answers: Sequence[list[str]]
    ) -> dict[str, np.ndarray]:
        spans = [
            (set(get_entities(x.tags)), set(get_entities(list(tags))))
            for x, tags in zip(items, answers, strict=True)
        ]
        right, gold, found = np.array([(len(a & b), len(a), len(b)) for a, b in spans]).T
        parts = {"f1": (2 * right, gold + found), "precision": (right, found)}
        parts["recall"] = (right, gold)
        return {name: np.stack(columns, 1) for name, columns in parts.items()}

    def write(self, items: Sequence[Sentence], answers: Sequence[list[str]], path: Path) -> None:
        """Word, gold tag, predicted tag, separated by tabs (the format of conlleval, but for its
        separator); a blank line after each sentence."""
        blocks = []
        for item, tags in zip(items, answers, strict=True):
            rows = zip(item.words, item.tags, tags, strict=True)
            blocks.append("".join("\t".join(row) + "\n" for row in rows))
        path.write_text("\n".join(blocks) + "\n", encoding="utf-8")


def repair(tags: Sequence[str], how: str) -> list[str]:
    """Predicted tags as well-formed BIO.

    Args:
      how: "paper": a span begins at B, or at I after O, goes on through every I, and takes the type
        of its last tag (`B-X I-Y I-Z` is `B-Z I-Z I-Z`); "split": an I whose type is not that of
        the tag before it becomes a B (`B-X B-Y B-Z`).
    """
    if how == "split":
        return to_bio(tags)
    result, end = list(tags), len(tags)
    for i in reversed(range(len(tags))):
        if tags[i] == "O":
            end = i
        elif tags[i].startswith("B") or i == 0 or tags[i - 1] == "O":
            kind = tags[end - 1][2:]
            result[i:end] = [f"B-{kind}"] + [f"I-{kind}"] * (end - i - 1)
            end = i
    return result
