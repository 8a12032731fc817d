"""Rows of tokens out of shards, and which rows make up which step.

Everything here is a function of (seed, step): a resumed run needs only its step, and a process of a
distributed run makes only the slots and rows that it will use.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from xl_jax.batches.windows import Windows
from xl_jax.config import Batch
from xl_jax.errors import InputError
from xl_jax.rng import Purpose, generator

STEPS_AT_ONCE = 1024  # of which the languages are drawn together
ROWS_AT_ONCE = 4096  # whose positions in the text are looked up together
ALL = slice(None)


class Step(NamedTuple):
    """One step's rows, or those of several steps, stacked. All rows of a slot are of one
    language."""

    tokens: Int[np.ndarray, "*steps accum slot row length"]
    language: Int[np.ndarray, "*steps accum slot"]


class Epochs:
    """The rows of one language in the order of training: `rows(position)`, position 0, 1, 2, ...

    Every row comes once an epoch, and each epoch has an order of its own. Where a text comes in
    several copies, made differently (they need not be equally long), epoch e reads copy e mod
    copies.
    """

    def __init__(self, copies: Sequence[Windows], seed: int, language: int):
        self.copies = copies
        self.ends = np.cumsum([len(copy) for copy in copies])
        random = generator(seed, Purpose.WINDOWS, language)
        self.keys = random.integers(0, 2**63, 4, dtype=np.uint64)
        self._block = lru_cache(2)(self._find_block)

    def rows(self, position: Int[np.ndarray, " rows"]) -> Int[np.ndarray, "rows length"]:
        """`position` must rise."""
        blocks = range(position[0] // ROWS_AT_ONCE, position[-1] // ROWS_AT_ONCE + 1)
        found = np.concatenate([self._block(k) for k in blocks], axis=1)
        number, index = found[:, position - blocks.start * ROWS_AT_ONCE]
        rows = np.empty((len(position), self.copies[0].length), np.int32)
        for c in set(number.tolist()):
            here = number == c
            rows[here] = self.copies[c].rows(index[here])
        return rows

    def _find_block(self, block: int) -> Int[np.ndarray, "2 positions"]:
        """(number of the copy, row of it) at `ROWS_AT_ONCE` positions."""
        position = np.arange(block * ROWS_AT_ONCE, (block + 1) * ROWS_AT_ONCE)
        cycle, within_cycle = np.divmod(position, self.ends[-1])
        number = np.searchsorted(self.ends, within_cycle, side="right")
        index = np.empty_like(within_cycle)
        for c in set(number.tolist()):
            here, n = number == c, len(self.copies[c])
            epoch = cycle[here] * len(self.copies) + c
            index[here] = shuffled(within_cycle[here] - (self.ends[c] - n), n, epoch, self.keys)
        return np.stack([number, index])


def shuffled(
    index: Int[np.ndarray, " rows"], n: int, epoch: Int[np.ndarray, " rows"], keys: np.ndarray
) -> Int[np.ndarray, " rows"]:
    """A permutation of 0..n-1 for each epoch, at `index`, found without looking at the rest: a
    four-round Feistel network (`keys`: uint64[4]) over the next power of four, walked until it
    lands inside."""
    half = max(1, (max(n - 1, 1).bit_length() + 1) // 2)
    low = np.uint64((1 << half) - 1)

    def walk(value: np.ndarray, salt: np.ndarray) -> np.ndarray:
        left, right = value >> np.uint64(half), value & low
        for key in keys:
            mixed = (right ^ key) + salt
            for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
                mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
            left, right = right, left ^ ((mixed >> np.uint64(31)) & low)
        return (left << np.uint64(half)) | right

    salt = epoch.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    value = walk(index.astype(np.uint64), salt)
    outside = np.flatnonzero(value >= np.uint64(n))
    while len(outside):
        value[outside] = walk(value[outside], salt[outside])
        outside = outside[value[outside] >= np.uint64(n)]
    return value.astype(np.int64)


def language_shares(sizes: Sequence[int], alpha: float) -> np.ndarray:
    """p_l proportional to (share of lines)^alpha (paper section 3; 0 uniform, 1 proportional)."""
    share = np.asarray(sizes, float) / sum(sizes)
    return share**alpha / (share**alpha).sum()


class Batches:
    """The rows of every step of a run: `batches(step)`.

    `windows`: of each language, or, where its text comes in several copies, of each copy.

    Raises:
      InputError: a language that is to be drawn has not a single row.
    """

    def __init__(
        self,
        windows: Sequence[Windows | Sequence[Windows]],
        config: Batch,
        seed: int,
        steps: int,
    ):
        self.config, self.seed = config, seed
        copies = [x if isinstance(x, Sequence) else [x] for x in windows]
        for copy in (copy for language in copies for copy in language):
            copy.shard.expect_random_reads()
        self.epochs = [Epochs(x, seed, i) for i, x in enumerate(copies)]
        self.length = copies[0][0].length

        shards = [x[0].shard for x in copies]
        sizes = [x.n_tokens if config.by == "tokens" else len(x) for x in shards]
        phases = [(end, np.divide(shares, sum(shares))) for end, shares in config.schedule]
        phases = phases or [(1.0, language_shares(sizes, config.alpha))]
        for i, language in enumerate(copies):
            if not all(map(len, language)) and any(shares[i] for _, shares in phases):
                raise InputError(f"language {i} of the run has no row of training text")
        self.phase_ends = np.array([round(end * steps) for end, _ in phases])
        self.edges = [np.cumsum(shares)[:-1] for _, shares in phases]
        self.before = {0: np.zeros(len(copies), np.int64)}  # slots of each language before a chunk
        self._chunk = lru_cache(2)(self._draw_chunk)

    def __call__(self, step: int, slots: slice = ALL, rows: slice = ALL) -> Step:
        """One step, or only some of its slots and rows: no other window is read."""
        return Step(*(x[0] for x in self.steps(step, 1, slots, rows)))

    def steps(self, first: int, n: int, slots: slice = ALL, rows: slice = ALL) -> Step:
        """The n steps from `first` on, stacked, or only some of their slots and rows."""
        c = self.config
        chunks = range(first // STEPS_AT_ONCE, (first + n - 1) // STEPS_AT_ONCE + 1)
        draws = zip(*map(self._chunk, chunks), strict=True)
        begin = first - chunks.start * STEPS_AT_ONCE
        language, earlier = (
            np.concatenate(x)[begin : begin + n].reshape(n, c.accum, c.slots)[:, :, slots]
            for x in draws
        )
        row = np.arange(c.rows)[rows]
        tokens = np.empty((*language.shape, len(row), self.length), np.int32)
        for i, epochs in enumerate(self.epochs):
            here = language == i
            position = earlier[here][:, None] * c.rows + row
            if position.size:
                tokens[here] = epochs.rows(position.ravel()).reshape(*position.shape, -1)
        return Step(tokens, language)

    def _draw_chunk(self, chunk: int) -> tuple[np.ndarray, np.ndarray]:
        """Of `STEPS_AT_ONCE` steps: each slot's language, int32[steps, accum * slots], and how many
        slots that language had before it since step 0 (where its reading goes on), int64.

        To jump to a late step all languages before it are drawn once, in bounded memory.
        """
        for k in range(max(self.before), chunk):
            drawn = np.bincount(self._languages(k).ravel(), minlength=len(self.epochs))
            self.before[k + 1] = self.before[k] + drawn
        language = self._languages(chunk)
        earlier = np.empty(language.shape, np.int64)
        for i, before in enumerate(self.before[chunk]):
            here = language == i
            earlier[here] = before + np.arange(here.sum())
        return language, earlier

    def _languages(self, chunk: int) -> Int[np.ndarray, "steps slots"]:
        """Drawn languages of all slots, accum * slots of them, in the steps of a chunk."""
        parallel = self.config.accum * self.config.slots
        systematic = self.config.draw == "systematic"
        random = generator(self.seed, Purpose.LANGUAGE)
        draws = 1 if systematic else parallel  # of a step
        bits = random.bit_generator
        assert isinstance(bits, np.random.PCG64)  # it can jump
        bits.advance(chunk * STEPS_AT_ONCE * draws)
        points = random.random((STEPS_AT_ONCE, draws))
        if systematic:
            points = (points + np.arange(parallel)) / parallel
        step = np.arange(chunk * STEPS_AT_ONCE, (chunk + 1) * STEPS_AT_ONCE)
        phase = np.searchsorted(self.phase_ends[:-1], step, side="right")
        language = np.empty(points.shape, np.int32)
        for p in set(phase.tolist()):
            here = phase == p
            language[here] = np.searchsorted(self.edges[p], points[here], side="right")
        return language
