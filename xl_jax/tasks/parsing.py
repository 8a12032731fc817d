"""Dependency parsing: biaffine scores on first pieces, maximum spanning tree (paper section 5)."""

import dataclasses
import importlib
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Float
from udtools import udeval

from xl_jax.config import Model
from xl_jax.config.finetune import Tuning
from xl_jax.errors import InputError
from xl_jax.tasks.conllu import HEAD, RELATION, Tree, read, simple, write
from xl_jax.tasks.heads import Biaffine
from xl_jax.tasks.rows import Framing, Rows, encode_words, word_rows
from xl_jax.tasks.task import Outputs, cross_entropy, inventory, numbers, unseen
from xl_jax.tokens.vocabulary import Vocabulary

__all__ = ["Arcs", "Parsing", "attachment", "official", "read", "spanning_tree"]

PUNCTUATION = ("PUNCT", "SYM")
ROOT = "root"  # the relation of head 0


class Arcs(NamedTuple):
    """An answer: the head (0 = root) and the relation of each word."""

    heads: list[int]
    relations: list[str]


@dataclass(frozen=True)
class Parsing:
    """Answers are `Arcs`."""

    relations: tuple[str, ...]
    tuning: Tuning
    metric: str = "las"
    ending: str = "conllu"

    @classmethod
    def learn(cls, train: Sequence[Tree], tuning: Tuning) -> "Parsing":
        _trees()  # where it is missing, that is said before training
        found = inventory(_relation(x, tuning) for tree in train for x in tree.relations)
        return cls(found, tuning)

    def head(self, config: Model) -> Biaffine:
        t = self.tuning
        roots = tuple(i for i, x in enumerate(self.relations) if simple(x) == ROOT)
        sizes = (t.arc, t.relation, t.input_dropout, t.head_dropout)
        return Biaffine(config, len(self.relations), roots, *sizes)

    def rows(
        self, items: Sequence[Tree], vocabulary: Vocabulary, language: str, framing: Framing
    ) -> Rows:
        encode = encode_words(vocabulary, language, framing.spaces, framing.causal)
        words = encode([tree.words for tree in items], [tree.spaced for tree in items])
        named = [[_relation(x, self.tuning) for x in tree.relations] for tree in items]
        labels = {
            "head": [tree.heads for tree in items],
            "relation": [numbers(x, self.relations) for x in named],
        }
        rows = word_rows(words, labels, framing.first, framing.length, framing.long, root=True)
        return _without_lost_heads(rows)

    def unseen(self, items: Sequence[Tree]) -> Counter[str]:
        named = (_relation(x, self.tuning) for tree in items for x in tree.relations)
        return unseen(named, self.relations)

    def loss(self, outputs: Outputs, labels: dict[str, Array]) -> tuple[Array, Array]:
        """-log p(head) - log p(relation | gold head), in nats."""
        arcs, number = cross_entropy(outputs["arcs"], labels["head"])
        return arcs + cross_entropy(outputs["logits"], labels["relation"])[0], number

    def decode(self, output: dict[str, np.ndarray], read_at: np.ndarray) -> Arcs:
        """The best tree with one root; its word has the relation `root`, and no other has it (as
        the validator of UD wants). Words that were cut off hang on the root's word as `dep`."""
        known = np.flatnonzero(read_at >= 0)  # the first is ROOT
        tree = known[spanning_tree(output["arcs"][np.ix_(known, known)])]
        heads = np.full(len(read_at) - 1, -1)
        heads[known[1:] - 1] = tree
        best = output["relations"][1 : len(read_at)]
        found = [self.relations[best[i, max(head, 0)]] for i, head in enumerate(heads)]
        root = int(np.flatnonzero(heads == 0)[0]) + 1
        return Arcs(
            [root if head < 0 else int(head) for head in heads],
            [_fitting(x, int(head)) for x, head in zip(found, heads, strict=True)],
        )

    def scores(self, items: Sequence[Tree], answers: Sequence[Arcs]) -> dict[str, float]:
        """uas and las in the paper's convention (see `attachment`), and the official ones."""
        return attachment(items, answers) | official(items, answers)

    def counts(self, items: Sequence[Tree], answers: Sequence[Arcs]) -> dict[str, np.ndarray]:
        hits = _hits(items, answers)
        return {name: hits[:, [i, 2]] for i, name in enumerate(("uas", "las"))}

    def write(self, items: Sequence[Tree], answers: Sequence[Arcs], path: Path) -> None:
        """CoNLL-U; no enhanced graph."""
        path.write_text(_conllu(items, answers), encoding="utf-8")


def _fitting(relation: str, head: int) -> str:
    """The relation where it may go with the head (-1: cut off); otherwise the general one, which
    is needed where training had none that may."""
    if (simple(relation) == ROOT) == (head == 0) and head >= 0:
        return relation
    return "dep" if head else ROOT


def _relation(relation: str, tuning: Tuning) -> str:
    return relation if tuning.subtypes else simple(relation)


def _without_lost_heads(rows: Rows) -> Rows:
    """No head to learn where the head was cut off."""
    head = rows.labels["head"]
    sentence = np.repeat(rows.word_starts[:-1], rows.words)
    lost = rows.read_at[sentence + np.maximum(head, 0)] < 0
    labels = {name: np.where(lost, -1, x).astype(np.int32) for name, x in rows.labels.items()}
    return dataclasses.replace(rows, labels=labels)


def spanning_tree(scores: Float[np.ndarray, "W W"]) -> np.ndarray:
    """The heads of words 1..W-1 in the best tree with exactly one child of ROOT (word 0).

    `scores[i, j]` is the log-probability of word i's head being j. An arc from ROOT costs more than
    all others together could gain, so that the best tree has one.
    """
    scores = np.maximum(np.asarray(scores, np.float64), -1e4)  # the library wants finite numbers,
    shifted = scores - scores.min() + 1  # and none near 0, which it leaves out
    shifted[:, 1:] += shifted.max() * len(shifted)
    heads, _ = _trees().chu_liu_edmonds(shifted)
    return np.asarray(heads[1:])


def _trees() -> Any:
    """The library of best trees, which has no wheels for Python 3.13 and newer."""
    try:
        return importlib.import_module("ufal.chu_liu_edmonds")
    except ImportError as error:
        raise InputError(
            "parsing needs ufal.chu_liu_edmonds: pip install ufal.chu_liu_edmonds (from Python "
            "3.13 on it is built, by a C++ compiler)"
        ) from error


def attachment(items: Sequence[Tree], answers: Sequence[Arcs]) -> dict[str, float]:
    """`uas`, `las`: shares of the words with the right head (and relation), punctuation (PUNCT,
    SYM) left out and subtypes stripped: the paper's convention (crosslingual-nlp)."""
    heads, both, words = _hits(items, answers).sum(0).tolist()
    return {"uas": heads / max(words, 1), "las": both / max(words, 1)}


def _hits(items: Sequence[Tree], answers: Sequence[Arcs]) -> np.ndarray:
    """int[items, 3]: words with the right head, with the right relation too, words."""
    hits = np.zeros((len(items), 3), np.int64)
    for row, tree, arcs in zip(hits, items, answers, strict=True):
        words = zip(tree.upos, tree.heads, tree.relations, *arcs, strict=True)
        for tag, head, relation, found_head, found_relation in words:
            if tag not in PUNCTUATION:
                right = head == found_head
                row += right, right and simple(relation) == simple(found_relation), 1
    return hits


def official(items: Sequence[Tree], answers: Sequence[Arcs]) -> dict[str, float]:
    """`uas_official`, `las_official`: F1 of the UD evaluation (udtools), punctuation included,
    subtypes ignored."""
    gold = _conllu(items, [Arcs(tree.heads, tree.relations) for tree in items])
    files = [io.StringIO(text) for text in (gold, _conllu(items, answers))]
    scores = udeval.evaluate(*(udeval.load_conllu(file, "", {}) for file in files))
    return {f"{name.lower()}_official": float(scores[name].f1) for name in ("UAS", "LAS")}


def _conllu(items: Sequence[Tree], answers: Sequence[Arcs]) -> str:
    pairs = zip(items, answers, strict=True)
    return "".join(write(tree, {HEAD: x.heads, RELATION: x.relations}) for tree, x in pairs)
