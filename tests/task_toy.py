"""What the tests of downstream tasks share: a vocabulary without text, a small tuned model."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from xl_jax.config import Model
from xl_jax.config.finetune import Tuning
from xl_jax.finetune.buckets import make_buckets
from xl_jax.finetune.model import NEW, Leaves, Tuned, flatten
from xl_jax.finetune.trainer import Fit, Tuner, fit_all
from xl_jax.runs.tracker import Tracker
from xl_jax.tasks.rows import Framing, Rows
from xl_jax.tasks.task import Task
from xl_jax.tokens.special import BOS, N_SPECIAL, UNK
from xl_jax.tokens.vocabulary import Vocabulary

SPACE = N_SPECIAL  # the piece "_"
FRAMING = Framing(first=BOS, length=32, long="window", spaces="text")
SIZE = 128
MODEL = Model(
    layers=1,
    heads=2,
    width=32,
    ffn=64,
    positions=32,
    dropout=0.0,
    attention_dropout=0.0,
    norm="pre",
)


class Toy(Vocabulary):
    """No SentencePiece model."""

    def __init__(self) -> None:
        super().__init__("joint", "shared", SIZE, {}, {}, {})


class Words(Toy):
    """Every word is a piece of its own: the number of `w7` is 7 after the special ones."""

    def encoder(self, language: str) -> Any:
        def encode(lines: list[str]) -> list[np.ndarray]:
            return [np.asarray([self.number(x) for x in line.split()], np.int32) for line in lines]

        return encode

    def number(self, word: str) -> int:
        return N_SPECIAL + int(word[1:]) if word[1:].isdigit() else UNK


class Letters(Toy):
    """Every letter is a piece, after a space that is one too; other characters are unknown, and the
    soft hyphen is nothing."""

    def encoder(self, language: str) -> Any:
        def encode(lines: list[str]) -> list[np.ndarray]:
            return [np.asarray(self.pieces(line), np.int32) for line in lines]

        return encode

    def pieces(self, line: str) -> list[int]:
        letters = [letter(x) for x in line.replace("\u00ad", "")]
        return [SPACE, *letters] if letters else []


def letter(character: str) -> int:
    known = "abcdefghijklmnopqrstuvwxyz"
    return SPACE + 1 + known.index(character) if character in known else UNK


class Silent(Tracker):
    """Keeps the records, writes no file."""

    def __init__(self) -> None:
        self.records: list[tuple[int, dict[str, float]]] = []
        self.n = 0

    def record(self, step: int, values: dict[str, float]) -> None:
        self.records.append((step, values))

    def advance(self, n: int) -> None: ...

    def show(self, **values: str) -> None: ...

    def say(self, text: str) -> None: ...


def tuner(task: Task, sets: Sequence[Rows], tuning: Tuning, **module: Any) -> Tuner:
    config = dataclasses.replace(MODEL, dropout=tuning.dropout, attention_dropout=tuning.dropout)
    tuned = Tuned(config, SIZE, task.head(config), **module)
    batch = tuning.batch[0]
    return Tuner(tuned, task, tuning, sets[0], make_buckets(sets, 1), batch)


def pretrained(made: Tuner, seed: int = 0) -> Leaves:
    """An encoder's leaves at random."""
    tokens = jnp.ones((1, 1, 4), jnp.int32)
    init = jax.jit(made.module.init)
    leaves = flatten(init(jax.random.key(seed), tokens, tokens[0])["params"])
    return {path: leaf for path, leaf in leaves.items() if not path.startswith(NEW)}


def overfit(task: Task, items: Sequence[Any], tuning: Tuning, folder: Any) -> float:
    """The task's metric on its own training data after training with every leaf tuned."""
    rows = task.rows(items, Words(), "en", FRAMING)
    made = tuner(task, [rows], tuning)
    fit = Fit(made, tuning.settings[0], pretrained(made), folder)
    fit_all(made, [fit], {}, items, rows, Silent())
    return fit.best_score
