"""Named entities: a softmax over BIO tags on each word's first piece, no CRF (paper section 5)."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Array
from seqeval.metrics import f1_score, precision_score, recall_score
from seqeval.metrics.sequence_labeling import get_entities

from xl_jax.config import Model
from xl_jax.data.ner import Sentence, read, to_bio
from xl_jax.data.rows import Rows, encode_words, word_rows
from xl_jax.data.vocab import Vocabulary
from xl_jax.heads import Classifier
from xl_jax.tasks.task import Framing, Outputs, cross_entropy, inventory, numbers, unseen
from xl_jax.tuning import Tuning

__all__ = ["NER", "read", "repair"]


@dataclass(frozen=True)
class NER:
    """Answers are lists of tags."""

    tags: tuple[str, ...]
    dropout: float
    how: str  # see `repair`
    metric: str = "f1"
    ending: str = "bio"

    @classmethod
    def learn(cls, train: Sequence[Sentence], tuning: Tuning) -> "NER":
        tags = inventory(tag for sentence in train for tag in sentence.tags)
        return cls(tags, tuning.dropout, tuning.repair)

    def head(self, config: Model) -> Classifier:
        return Classifier(config, len(self.tags), self.dropout)

    def rows(
        self, items: Sequence[Sentence], vocabulary: Vocabulary, language: str, framing: Framing
    ) -> Rows:
        encode = encode_words(vocabulary, language, framing.spaces)
        words = encode([x.words for x in items], [x.spaced for x in items])
        labels = {"tag": [numbers(x.tags, self.tags) for x in items]}
        return word_rows(words, labels, framing.first, framing.length, framing.long)

    def unseen(self, items: Sequence[Sentence]) -> Counter[str]:
        return unseen((tag for sentence in items for tag in sentence.tags), self.tags)

    def loss(self, outputs: Outputs, labels: dict[str, Array]) -> tuple[Array, Array]:
        return cross_entropy(outputs["logits"], labels["tag"])

    def decode(self, output: dict[str, np.ndarray], places: np.ndarray) -> list[str]:
        """The likeliest tags, repaired; O for words that were cut off."""
        best = output["logits"][: len(places)].argmax(-1)
        tags = [self.tags[i] if at >= 0 else "O" for i, at in zip(best, places, strict=True)]
        return repair(tags, self.how)

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
