"""Part-of-speech tagging: the universal tag (UPOS) of each word, a softmax on its first piece, as
named entities are tagged (paper section 5; the paper has no such task).

tfds:universal_dependencies/en_ewt:train
files:GLOB                  CoNLL-U (see `conllu`); heads and relations may be missing
synthetic:SIDE#take=N       word classes of a generated language, see `generated`

A word without a tag (`_`) is neither learnt nor scored, and counted.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from xl_jax.config.finetune import Tuning
from xl_jax.errors import InputError
from xl_jax.tasks import conllu, generated, specs
from xl_jax.tasks.conllu import NONE, Tree
from xl_jax.tasks.task import inventory
from xl_jax.tasks.word_tags import WordTags


def read(text: str, language: str, counts: Counter[str]) -> list[Tree]:
    """The sentences of a spec, in order. Adds to `counts`: `words_without_tag`, and what
    `conllu.read` counts.

    Raises:
      InputError: see `conllu.read`; or no word has a tag.
    """
    if text.startswith(f"{generated.SCHEME}:"):
        spec = specs.parse(text, further={generated.SCHEME: generated.KEYS})
        items = spec.take(conllu.tagged(x.words, x.upos) for x in generated.sentences(spec))
    else:
        items = conllu.read(text, language, counts, whole=False)
    missing = sum(tree.upos.count(NONE) for tree in items)
    if missing == sum(len(tree.upos) for tree in items):
        raise InputError(f"{text}: no word has a tag (column 4, UPOS)")
    counts["words_without_tag"] += missing
    return items


@dataclass(frozen=True)
class Tagging(WordTags):
    metric: ClassVar[str] = "accuracy"
    ending: ClassVar[str] = "conllu"
    none: ClassVar[str] = NONE

    @classmethod
    def learn(cls, train: Sequence[Tree], tuning: Tuning) -> "Tagging":
        return cls(inventory(_tags(train)), tuning.dropout)

    @staticmethod
    def tags_of(item: Tree) -> list[str]:
        return item.upos

    def unseen(self, items: Sequence[Tree]) -> Counter[str]:
        found = super().unseen(items)
        del found[NONE]
        return found

    def scores(self, items: Sequence[Tree], answers: Sequence[list[str]]) -> dict[str, float]:
        """accuracy: the share of the words with the right tag; majority: the accuracy of always
        giving the commonest tag of the items."""
        right, words = self.counts(items, answers)["accuracy"].sum(0).tolist()
        common = Counter(_tags(items)).most_common(1)[0][1]
        return {"accuracy": right / words, "majority": common / words}

    def counts(self, items: Sequence[Tree], answers: Sequence[list[str]]) -> dict[str, np.ndarray]:
        rows = [
            (sum(a == b for a, b in zip(tree.upos, tags, strict=True) if a != NONE), _known(tree))
            for tree, tags in zip(items, answers, strict=True)
        ]
        return {"accuracy": np.asarray(rows)}

    def write(self, items: Sequence[Tree], answers: Sequence[list[str]], path: Path) -> None:
        """CoNLL-U with the predicted tags."""
        pairs = zip(items, answers, strict=True)
        text = "".join(conllu.write(tree, {conllu.UPOS: tags}) for tree, tags in pairs)
        path.write_text(text, encoding="utf-8")


def _tags(items: Sequence[Tree]) -> list[str]:
    return [tag for tree in items for tag in tree.upos if tag != NONE]


def _known(tree: Tree) -> int:
    return sum(tag != NONE for tag in tree.upos)
