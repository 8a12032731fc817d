"""What the fine-tuning loop needs of a task."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Real

from xl_jax.config import Model
from xl_jax.tasks.rows import Framing, Rows
from xl_jax.tokens.vocabulary import Vocabulary

Outputs = dict[str, Any]  # of the head: arrays [B, W, ...]
Item = Any  # what the task's reader gives
Answer = Any  # what the task makes of one item


@runtime_checkable
class Task(Protocol):
    """A head, its loss, decoding and scores. Made from the training data, whose labels it knows."""

    @property
    def metric(self) -> str:
        """The key of `scores` that chooses epochs and settings."""
        ...

    @property
    def ending(self) -> str:
        """Of the names of files that `write` makes: their format."""
        ...

    def head(self, config: Model) -> nn.Module:
        """From word states [B, W, D] to outputs (see `heads`)."""
        ...

    def rows(
        self, items: Sequence[Item], vocabulary: Vocabulary, language: str, framing: Framing
    ) -> Rows:
        """The items in pieces, with their labels; a label that training did not have is -1."""
        ...

    def unseen(self, items: Sequence[Item]) -> Counter[str]:
        """Labels that the training data did not have, and how often."""
        ...

    def loss(self, outputs: Outputs, labels: dict[str, Array]) -> tuple[Array, Array]:
        """(sum over what has a label, their number)."""
        ...

    def decode(self, output: dict[str, np.ndarray], read_at: np.ndarray) -> Answer:
        """The answer to one item, from its row of the outputs and the positions of its words' first
        pieces."""
        ...

    def scores(self, items: Sequence[Item], answers: Sequence[Answer]) -> dict[str, float]:
        """Every score, in 0..1, by name."""
        ...

    def counts(
        self, items: Sequence[Item], answers: Sequence[Answer]
    ) -> dict[str, Real[np.ndarray, "n 2"]]:
        """Of scores that are ratios of sums over the items: each item's numerator and denominator,
        from which their intervals come."""
        ...

    def write(self, items: Sequence[Item], answers: Sequence[Answer], path: Path) -> None:
        """The answers as a file that other scorers read."""
        ...


def cross_entropy(
    logits: Float[Array, "B W C"], labels: Int[Array, "B W"]
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """(sum over the words with a label of -log p(label), in nats; their number)."""
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, jnp.maximum(labels, 0))
    known = labels >= 0
    return jnp.sum(jnp.where(known, losses, 0.0)), jnp.sum(known).astype(jnp.float32)


def inventory(labels: Any) -> tuple[str, ...]:
    """The distinct labels, sorted."""
    return tuple(sorted(set(labels)))


def numbers(labels: Sequence[str], known: Sequence[str]) -> list[int]:
    """The index of each label in `known`, -1 for one that is not there."""
    index = {label: i for i, label in enumerate(known)}
    return [index.get(label, -1) for label in labels]


def unseen(labels: Any, known: Sequence[str]) -> Counter[str]:
    return Counter(label for label in labels if label not in known)
