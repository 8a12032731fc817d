"""Sentences of words with BIO tags: WikiAnn, CoNLL-2003 and files like them (paper section 5).

tfds:wikiann/en:train
files:GLOB#tag=N     a word a line, columns separated by tabs or blanks, a blank line after each
    sentence; `tag` is the number of the tag's column from 1, or from the end as -1 (the default);
    the word is the first. `-DOCSTART-` lines and comments (`# ` and no tag) are left out.

IOB1 (CoNLL-2003) and BIOES are turned into BIO as they are read.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from xl_jax.data import labelled
from xl_jax.errors import InputError

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
    spec = labelled.parse(text, ("tag",))
    found = _of_tfds(spec) if spec.scheme == "tfds" else _of_files(spec)

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


def _of_files(spec: labelled.Spec) -> Iterator[tuple[list[str], list[str]]]:
    place = spec.keys.get("tag", "-1")
    if not re.fullmatch(r"-?[1-9]\d*", place):
        raise InputError(f"{spec.text}: tag = {place!r} is not a column: 1, 2, ... or -1, -2, ...")
    index = int(place) - (int(place) > 0)
    for path in labelled.files(spec):
        words: list[str] = []
        tags: list[str] = []
        for number, line in labelled.lines(path):
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


def _of_tfds(spec: labelled.Spec) -> Iterator[tuple[list[str], list[str]]]:
    features, rows = labelled.records(spec)
    names = features["tags"].feature.names
    for row in rows:
        yield of_record(row, names)


def of_record(row: dict[str, Any], names: list[str]) -> tuple[list[str], list[str]]:
    """Words and tags of a record of `wikiann`."""
    return [labelled.text(x) for x in row["tokens"]], [names[int(i)] for i in row["tags"]]
