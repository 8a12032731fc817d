"""What tasks have in common that give every word a tag: a softmax on the word's first piece (paper
section 5)."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Array

from xl_jax.config import Model
from xl_jax.tasks.heads import Classifier
from xl_jax.tasks.rows import Framing, Rows, encode_words, word_rows
from xl_jax.tasks.task import Outputs, cross_entropy, numbers, unseen
from xl_jax.tokens.vocabulary import Vocabulary


@dataclass(frozen=True)
class WordTags:
    """Answers are lists of tags, `none` for words that were cut off. Items have `words` and
    `spaced`; `tags_of` gives their tags."""

    tags: tuple[str, ...]
    dropout: float
    none: ClassVar[str]

    @staticmethod
    def tags_of(item: Any) -> Sequence[str]:
        raise NotImplementedError

    def head(self, config: Model) -> Classifier:
        return Classifier(config, len(self.tags), self.dropout)

    def rows(
        self, items: Sequence[Any], vocabulary: Vocabulary, language: str, framing: Framing
    ) -> Rows:
        encode = encode_words(vocabulary, language, framing.spaces, framing.causal)
        words = encode([x.words for x in items], [x.spaced for x in items])
        labels = {"tag": [numbers(self.tags_of(x), self.tags) for x in items]}
        return word_rows(words, labels, framing.first, framing.length, framing.long)

    def unseen(self, items: Sequence[Any]) -> Counter[str]:
        return unseen(chain.from_iterable(map(self.tags_of, items)), self.tags)

    def loss(self, outputs: Outputs, labels: dict[str, Array]) -> tuple[Array, Array]:
        return cross_entropy(outputs["logits"], labels["tag"])

    def decode(self, output: dict[str, np.ndarray], read_at: np.ndarray) -> list[str]:
        """The likeliest tags."""
        best = output["logits"][: len(read_at)].argmax(-1)
        return [self.tags[i] if at >= 0 else self.none for i, at in zip(best, read_at, strict=True)]
