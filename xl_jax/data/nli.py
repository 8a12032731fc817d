"""Sentence pairs with a label: XNLI, MultiNLI and files like them (paper section 5).

tfds:multi_nli:train, tfds:xnli:test      the language's side of the translations
files:GLOB                                TSV with a header line. Columns are found by name, in any
    order: premise or sentence1; hypothesis, hypo or sentence2; label or gold_label; where there is
    a column `language`, rows of other languages are left out. So the originals of XNLI (dev, test
    and the translated training text) and of MultiNLI are read as they are.

A row without a gold label (`-`) is dropped and counted.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from xl_jax.data import labelled
from xl_jax.errors import InputError, unknown

COLUMNS = {
    "premise": ("premise", "sentence1"),
    "hypothesis": ("hypothesis", "hypo", "sentence2"),
    "label": ("label", "gold_label"),
}
SPELLINGS = {"contradictory": "contradiction"}  # XNLI's translated training text


class Pair(NamedTuple):
    premise: str
    hypothesis: str
    label: str


def read(text: str, language: str, counts: Counter[str]) -> list[Pair]:
    """The pairs of a spec, in order. Adds to `counts`: `no_gold_label`, `other_language`.

    Raises:
      InputError: no such data, a missing column, a row of another width (file:line), wrong
        encoding, a language that the set does not have, no pair at all.
    """
    spec = labelled.parse(text)
    rows = _of_tfds(spec, language) if spec.scheme == "tfds" else _of_files(spec, language, counts)
    return spec.take(_labelled(rows, counts))


def _labelled(rows: Iterator[Pair], counts: Counter[str]) -> Iterator[Pair]:
    for pair in rows:
        if pair.label in ("-", ""):
            counts["no_gold_label"] += 1
        else:
            yield pair._replace(label=SPELLINGS.get(pair.label, pair.label))


def _of_files(spec: labelled.Spec, language: str, counts: Counter[str]) -> Iterator[Pair]:
    for path in labelled.files(spec):
        rows = labelled.lines(path)
        header = next(rows, (1, ""))[1].split("\t")
        columns = [_column(path, header, name) for name in COLUMNS]
        spoken = header.index("language") if "language" in header else None
        for number, line in rows:
            row = line.split("\t")
            if len(row) != len(header):
                raise InputError(
                    f"{path}:{number}: {len(row)} columns, in the header {len(header)}"
                )
            if spoken is not None and row[spoken] != language:
                counts["other_language"] += 1
            else:
                yield Pair(*(row[i].strip() for i in columns))


def _column(path: Path, header: list[str], name: str) -> int:
    for known in COLUMNS[name]:
        if known in header:
            return header.index(known)
    raise InputError(f"{path}:1: no column {' or '.join(COLUMNS[name])} in {header}")


def _of_tfds(spec: labelled.Spec, language: str) -> Iterator[Pair]:
    features, rows = labelled.records(spec)
    names = features["label"].names
    for row in rows:
        yield of_record(row, names, language)


def of_record(row: dict[str, Any], names: list[str], language: str) -> Pair:
    """A pair out of a record of `multi_nli` (plain texts) or `xnli` (translations)."""
    premise, hypothesis = row["premise"], row["hypothesis"]
    if isinstance(premise, dict):
        spoken = [labelled.text(x) for x in hypothesis["language"]]
        if language not in premise or language not in spoken:
            raise unknown("language of the data set", language, premise)
        premise = premise[language]
        hypothesis = hypothesis["translation"][spoken.index(language)]
    number = int(row["label"])
    label = names[number] if number >= 0 else "-"
    premise, hypothesis = (" ".join(labelled.text(x).split()) for x in (premise, hypothesis))
    return Pair(premise, hypothesis, label)
