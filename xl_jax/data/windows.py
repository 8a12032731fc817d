"""Rows of tokens out of shards, and which rows make up which step.

Everything here is a function of (seed, step): no state, so a resumed run needs only its step.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from xl_jax.config import Batch
from xl_jax.data.shards import Shard
from xl_jax.data.special import BOS, EOS, PAD
from xl_jax.randomness import Purpose, generator


class Step(NamedTuple):
    """One step's rows. All rows of a slot are of one language."""

    tokens: Int[np.ndarray, "accum slot row length"]
    language: Int[np.ndarray, "accum slot"]


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
        return (len(self.shard.tokens) + len(self.shard)) // self.length

    def rows(self, index: np.ndarray) -> Int[np.ndarray, "rows length"]:
        return np.stack([self._window(int(i)) for i in index])

    def _window(self, i: int) -> np.ndarray:
        """Places p of the stream: token p - (lines closed before p), or the end of a line.

        Line j ends at place starts[j + 1] + j, so the lines closed before a place are a search.
        """
        starts, first = self.shard.starts, i * self.length
        lo, hi = 0, len(self.shard)  # lines that end before `first`
        while lo < hi:
            middle = (lo + hi) // 2
            if starts[middle + 1] + middle < first:
                lo = middle + 1
            else:
                hi = middle
        row = np.full(self.length, EOS, np.int32)
        place, line, token = 0, lo, first - lo
        while place < self.length:
            n = min(int(starts[line + 1]) - token, self.length - place)
            row[place : place + n] = self.shard.tokens[token : token + n]
            place, token, line = place + n + 1, token + n, line + 1
        return row


def make_windows(kind: str, shard: Shard, length: int) -> Lines | Stream:
    """The rows of a shard, by `Data.windows`: "line" or "stream"."""
    return Lines(shard, length) if kind == "line" else Stream(shard, length)


def line_rows(shard: Shard, index: np.ndarray, length: int) -> Int[np.ndarray, "rows length"]:
    """Lines `index` of a shard as rows `<s> ... </s>`, cut to `length` and padded."""
    rows = np.full((len(index), length), PAD, np.int32)
    rows[:, 0] = BOS
    starts = np.asarray(shard.starts)[index]
    n = np.minimum(np.asarray(shard.starts)[np.asarray(index) + 1] - starts, length - 2)
    place = np.arange(length - 2)
    inside = place < n[:, None]
    rows[:, 1:-1][inside] = shard.tokens[(starts[:, None] + place)[inside]]
    rows[np.arange(len(index)), n + 1] = EOS
    return rows


def shuffled(position: np.ndarray, n: int, seed: int, language: int) -> np.ndarray:
    """Row numbers in 0..n-1 for `position` = 0, 1, 2, ...: every row once an epoch, each epoch in
    an order of its own, each position found without looking at the others (a four-round Feistel
    network over the next power of four, walked until it lands inside)."""
    epoch, value = np.divmod(np.asarray(position, np.int64), n)
    half = max(1, (max(n - 1, 1).bit_length() + 1) // 2)
    low = np.uint64((1 << half) - 1)
    base = generator(seed, Purpose.WINDOWS, language).integers(0, 2**63, 4, dtype=np.uint64)
    value = value.astype(np.uint64)
    walking = np.ones(value.shape, bool)
    while walking.any():
        left, right = value >> np.uint64(half), value & low
        for key in base:
            mixed = (right ^ key) + epoch.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
            for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
                mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
            left, right = right, left ^ ((mixed >> np.uint64(31)) & low)
        value = np.where(walking, (left << np.uint64(half)) | right, value)
        walking = value >= np.uint64(n)
    return value.astype(np.int64)


def language_shares(lines: Sequence[int], alpha: float) -> np.ndarray:
    """p_l proportional to (share of lines)^alpha (paper section 3; 0 uniform, 1 proportional)."""
    share = np.asarray(lines, float) / sum(lines)
    return share**alpha / (share**alpha).sum()


class Batches:
    """The rows of every step of a run: `batches(step)`."""

    def __init__(self, windows: Sequence[Lines | Stream], config: Batch, seed: int, steps: int):
        self.windows, self.config, self.seed = windows, config, seed
        shares = language_shares([len(w.shard) for w in windows], config.alpha)
        parallel = config.accum * config.slots
        random = generator(seed, Purpose.LANGUAGE)
        if config.draw == "systematic":
            points = (random.random((steps, 1)) + np.arange(parallel)) / parallel
        else:
            points = random.random((steps, parallel))
        edges = np.cumsum(shares)[:-1]
        self.language = np.searchsorted(edges, points, side="right").astype(np.int32)
        # Slots that each language had before each step: where its reading goes on.
        drawn = np.stack([(self.language == i).sum(1) for i in range(len(windows))])
        self.before = np.cumsum(drawn, axis=1) - drawn

    def __call__(self, step: int) -> Step:
        c = self.config
        language = self.language[step]
        tokens = np.empty((len(language), c.rows, self.windows[0].length), np.int32)
        for i, windows in enumerate(self.windows):
            slots = np.flatnonzero(language == i)
            first = (self.before[i, step] + np.arange(len(slots))) * c.rows
            position = (first[:, None] + np.arange(c.rows)).reshape(-1)
            if len(position):
                index = shuffled(position, len(windows), self.seed, i)
                tokens[slots] = windows.rows(index).reshape(len(slots), c.rows, -1)
        shape = (c.accum, c.slots)
        return Step(tokens.reshape(*shape, c.rows, -1), language.reshape(shape))
