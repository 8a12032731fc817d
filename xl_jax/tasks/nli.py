"""Natural language inference: a pair of sentences, a classifier on the first token (paper 5)."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Array

from xl_jax.config import Model
from xl_jax.data.nli import Pair, read
from xl_jax.data.rows import Rows, pair_rows
from xl_jax.data.vocab import Vocabulary
from xl_jax.heads import Classifier
from xl_jax.tasks.task import Framing, Outputs, cross_entropy, inventory, numbers, unseen
from xl_jax.tuning import Tuning

__all__ = ["NLI", "read"]


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
        return pair_rows(pairs, labels, framing.first, framing.length)

    def unseen(self, items: Sequence[Pair]) -> Counter[str]:
        return unseen((pair.label for pair in items), self.classes)

    def loss(self, outputs: Outputs, labels: dict[str, Array]) -> tuple[Array, Array]:
        return cross_entropy(outputs["logits"], labels["label"])

    def decode(self, output: dict[str, np.ndarray], places: np.ndarray) -> str:
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
