"""Rows of tokens out of a shard: its text cut into windows of one length, or a line a row."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from xl_jax.tokens.shards import Shard
from xl_jax.tokens.special import BOS, EOS, PAD


@dataclass(frozen=True)
class Lines:
    """One line a row, `<s> ... </s>`, cut to `length`, padded."""

    shard: Shard
    length: int

    def __len__(self) -> int:
        return len(self.shard)

    def rows(self, index: np.ndarray) -> Int[np.ndarray, "rows length"]:
        return line_rows(self.shard, index, self.length)


@dataclass(frozen=True)
class Stream:
    """The lines one after the other, each closed by `</s>`, cut into windows of `length` tokens
    (paper section 3). The last, incomplete window is left out."""

    shard: Shard
    length: int

    def __len__(self) -> int:
        return self.shard.stream_length // self.length

    def rows(self, index: np.ndarray) -> Int[np.ndarray, "rows length"]:
        return self.shard.slices(np.asarray(index) * self.length, self.length)


Windows = Lines | Stream


def make_windows(kind: str, shard: Shard, length: int) -> Windows:
    """The rows of a shard, by `Data.windows`: "line" or "stream"."""
    return Lines(shard, length) if kind == "line" else Stream(shard, length)


def line_rows(shard: Shard, index: np.ndarray, length: int) -> Int[np.ndarray, "rows length"]:
    """Lines `index` of a shard as rows `<s> ... </s>`, cut to `length` and padded."""
    first, last = shard.bounds(np.asarray(index))
    n = np.minimum(last - first, length - 2)
    rows = np.full((len(first), length), PAD, np.int32)
    rows[:, 0] = BOS
    inside = np.arange(length - 2) < n[:, None]
    rows[:, 1:-1] = np.where(inside, shard.slices(first, length - 2), PAD)
    rows[np.arange(len(rows)), n + 1] = EOS
    return rows
