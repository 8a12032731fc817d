"""Natural language inference: XNLI, MultiNLI and files like them; a pair of sentences, a classifier
on the first token (paper section 5).

hf:facebook/xnli/fr:test                  a language's config, or all_languages
tfds:multi_nli:train, tfds:xnli:test      the language's side of the translations
files:GLOB                                TSV with a header line. Columns are found by name, in any
    order: premise or sentence1; hypothesis, hypo or sentence2; label or gold_label; where there is
    a column `language`, rows of other languages are left out. So the originals of XNLI (dev, test
    and the translated training text) and of MultiNLI are read as they are.

A row without a gold label (`-`) is dropped and counted.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array

from xl_jax.config import Model
from xl_jax.config.finetune import Tuning
from xl_jax.errors import InputError, unknown
from xl_jax.tasks import specs
from xl_jax.tasks.heads import Classifier
from xl_jax.tasks.rows import Framing, Rows, pair_rows
from xl_jax.tasks.task import Outputs, cross_entropy, inventory, numbers, unseen
from xl_jax.tokens.vocabulary import Vocabulary

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
    spec = specs.parse(text)
    rows = _of_records(spec, language) if spec.has_records else _of_files(spec, language, counts)
    return spec.take(_labelled(rows, counts))


def _labelled(rows: Iterator[Pair], counts: Counter[str]) -> Iterator[Pair]:
    for pair in rows:
        if pair.label in ("-", ""):
            counts["no_gold_label"] += 1
        else:
            yield pair._replace(label=SPELLINGS.get(pair.label, pair.label))


def _of_files(spec: specs.Spec, language: str, counts: Counter[str]) -> Iterator[Pair]:
    for path in specs.files(spec):
        rows = specs.lines(path)
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


def _of_records(spec: specs.Spec, language: str) -> Iterator[Pair]:
    classes, rows = specs.records(spec)
    names = classes("label")
    for row in rows:
        columns = [specs.column(spec, row, name) for name in ("premise", "hypothesis", "label")]
        yield of_record(dict(zip(COLUMNS, columns, strict=True)), names, language)


def of_record(row: dict[str, Any], names: list[str], language: str) -> Pair:
    """A pair out of a record of `multi_nli` (plain texts) or `xnli` (translations)."""
    premise, hypothesis = row["premise"], row["hypothesis"]
    if isinstance(premise, dict):
        spoken = [specs.text(x) for x in hypothesis["language"]]
        if language not in premise or language not in spoken:
            raise unknown("language of the data set", language, premise)
        premise = premise[language]
        hypothesis = hypothesis["translation"][spoken.index(language)]
    label = specs.label(row["label"], names)
    premise, hypothesis = (" ".join(specs.text(x).split()) for x in (premise, hypothesis))
    return Pair(premise, hypothesis, label)


@dataclass(frozen=True)
class NLI:
    """Answers are labels."""

    classes: tuple[str, ...]
    dropout: float
    metric: str = "accuracy"
    ending: str = "tsv"

    @classmethod
    def learn(cls, train: Sequence[Pair], tuning: Tuning) -> "NLI":
        return cls(inventory(pair.label for pair in train), tuning.dropout)

    def head(self, config: Model) -> Classifier:
        return Classifier(config, len(self.classes), self.dropout)

    def rows(
        self, items: Sequence[Pair], vocabulary: Vocabulary, language: str, framing: Framing
    ) -> Rows:
        encode = vocabulary.encoder(language)
        premises = encode([pair.premise for pair in items])
        hypotheses = encode([pair.hypothesis for pair in items])
        labels = numbers([pair.label for pair in items], self.classes)
        pairs = list(zip(premises, hypotheses, strict=True))
        return pair_rows(pairs, labels, framing.first, framing.length, framing.causal)

    def unseen(self, items: Sequence[Pair]) -> Counter[str]:
        return unseen((pair.label for pair in items), self.classes)

    def loss(self, outputs: Outputs, labels: dict[str, Array]) -> tuple[Array, Array]:
        return cross_entropy(outputs["logits"], labels["label"])

    def decode(self, output: dict[str, np.ndarray], read_at: np.ndarray) -> str:
        return self.classes[int(output["logits"][0].argmax())]

    def scores(self, items: Sequence[Pair], answers: Sequence[str]) -> dict[str, float]:
        """accuracy; chance: one over the classes of training; majority: the accuracy of always
        giving the commonest label of the items."""
        gold = [pair.label for pair in items]
        right = sum(a == b for a, b in zip(gold, answers, strict=True))
        return {
            "accuracy": right / len(gold),
            "chance": 1 / len(self.classes),
            "majority": Counter(gold).most_common(1)[0][1] / len(gold),
        }

    def counts(self, items: Sequence[Pair], answers: Sequence[str]) -> dict[str, np.ndarray]:
        right = [pair.label == answer for pair, answer in zip(items, answers, strict=True)]
        return {"accuracy": np.stack([right, np.ones(len(right))], 1)}

    def write(self, items: Sequence[Pair], answers: Sequence[str], path: Path) -> None:
        """TSV with a header: premise, hypothesis, label, predicted."""
        rows = [(*pair, answer) for pair, answer in zip(items, answers, strict=True)]
        lines = ["\t".join(row) for row in [("premise", "hypothesis", "label", "predicted"), *rows]]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
