"""Batches of rows of nearly equal length: few shapes to compile, little padding to compute.

A bucket is one shape; the examples of a batch all fit it. Which examples make up which batch of an
epoch is a function of (seed, epoch).
"""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, Int32

from xl_jax.errors import InputError
from xl_jax.rng import Purpose, generator
from xl_jax.tasks.rows import Rows

STEP = 2  # row lengths are multiples of this
MOST = 10  # buckets: each takes seconds to compile
SAVING = 0.02  # share of the positions that one more bucket has to save
WORDS = 8  # a bucket is widened to a multiple of so many words: sets share compiled programs
BATCHES = 16  # of an epoch, for each bucket


@dataclass(frozen=True)
class Bucket:
    """Examples of up to `windows` windows of `length` tokens, with up to `words` words."""

    windows: int
    length: int
    words: int

    @property
    def size(self) -> int:
        return self.windows * self.length


class Plan(NamedTuple):
    """The batches of an epoch, in order."""

    examples: Int32[np.ndarray, "steps rows"]  # -1: no example
    bucket: Int32[np.ndarray, " steps"]


def make_buckets(sets: Sequence[Rows], batch: int) -> tuple[Bucket, ...]:
    """Buckets for all `sets` (of one row length), smallest first: as many as pay for the first set
    in batches of `batch`, and one more where another set has longer items.

    Raises:
      InputError: sets of different row lengths.
    """
    limit = sets[0].length
    if any(x.length != limit for x in sets):
        raise InputError(f"rows of {sorted({x.length for x in sets})} tokens: set tune.length")
    most = min(MOST, max(1, steps_of(len(sets[0]), batch) // BATCHES))
    sizes = [_rounded(x.sizes, limit) for x in sets]
    words = np.concatenate([x.words for x in sets])
    ends = _best_ends(*np.unique(sizes[0], return_counts=True), most)
    every = np.concatenate(sizes)
    ends += [int(every.max())] if every.max() > ends[-1] else []
    return tuple(
        Bucket(-(-end // limit), min(end, limit), int(words[every <= end].max())) for end in ends
    )


def widened(buckets: Sequence[Bucket], rows: Rows) -> tuple[Bucket, ...]:
    """The buckets with room for the words of every item of `rows`, and one more where an item is
    longer than all of them: training and every test set have shapes of their own, so that no set
    changes what becomes of another."""
    sizes = _rounded(rows.sizes, rows.length)
    ends = [b.size for b in buckets]
    if len(sizes) and sizes.max() > ends[-1]:
        end = int(sizes.max())
        buckets = [*buckets, Bucket(-(-end // rows.length), min(end, rows.length), 0)]
    of_item = np.searchsorted(ends, sizes)
    result = []
    for i, bucket in enumerate(buckets):
        words = int(rows.words[of_item == i].max(initial=0))
        if words > bucket.words:
            bucket = dataclasses.replace(bucket, words=-(-words // WORDS) * WORDS)
        result.append(bucket)
    return tuple(result)


def _rounded(sizes: np.ndarray, limit: int) -> np.ndarray:
    """The positions that items of these sizes take, alone in a bucket."""
    short = np.minimum(-(-sizes // STEP) * STEP, limit)
    return np.where(sizes <= limit, short, -(-sizes // limit) * limit)


def _best_ends(sizes: np.ndarray, counts: np.ndarray, most: int) -> list[int]:
    """The sizes at which up to `most` buckets end, by dynamic programming over the positions that
    are computed."""
    n = len(sizes)
    total = np.concatenate([[0], np.cumsum(counts)])
    cost = np.full((n, n), np.inf)  # [first, last] size of a bucket
    for last in range(n):
        cost[: last + 1, last] = (total[last + 1] - total[: last + 1]) * sizes[last]
    best, back = cost[0], [np.zeros(n, int)]
    while len(back) < min(most, n):
        through = np.vstack([np.full(n, np.inf), best[:-1, None] + cost[1:]])
        if through[:, -1].min() > (1 - SAVING) * best[-1]:
            break
        back.append(through.argmin(0))
        best = through.min(0)
    ends, last = [], n - 1
    for first in reversed(back):
        ends.append(int(sizes[last]))
        last = first[last] - 1
    return sorted(set(ends))


def bucket_of(rows: Rows, buckets: Sequence[Bucket]) -> Int[np.ndarray, " items"]:
    """The smallest bucket that holds each item."""
    sizes = _rounded(rows.sizes, rows.length)
    return np.searchsorted([b.size for b in buckets], sizes)


def steps_of(items: int, batch: int, epoch_size: int = 0) -> int:
    """Batches in an epoch of `epoch_size` examples (0 = every item once)."""
    return -(-(epoch_size or items) // batch)


def make_plan(
    of_item: Int[np.ndarray, " items"], batch: int, seed: int, epoch: int, epoch_size: int = 0
) -> Plan:
    """The batches of an epoch.

    Epochs read on in an endless row of shuffles of all items, `epoch_size` of them each (0 = all:
    one shuffle an epoch; XLM's epochs are 20,000 examples, paper 1.1). What does not fill a batch
    of its bucket moves to the next larger one, so that only the last batch can be incomplete.
    """
    size = epoch_size or len(of_item)
    position = np.arange(epoch * size, (epoch + 1) * size)
    shuffles = {
        int(k): generator(seed, Purpose.FINETUNE_ORDER, 0, int(k)).permutation(len(of_item))
        for k in np.unique(position // len(of_item))
    }
    chosen = np.concatenate(list(shuffles.values()))
    chosen = chosen[position - position[0] // len(of_item) * len(of_item)]
    batches, buckets = [], []
    waiting = np.zeros(0, np.int64)
    last = int(of_item[chosen].max())
    for b in range(last + 1):
        waiting = np.concatenate([waiting, chosen[of_item[chosen] == b]])
        if b == last:
            fill = -len(waiting) % batch
            waiting = np.concatenate([waiting, np.full(fill, -1)])
        full = len(waiting) // batch * batch
        batches.append(waiting[:full].reshape(-1, batch))
        buckets += [b] * (full // batch)
        waiting = waiting[full:]
    order = generator(seed, Purpose.FINETUNE_ORDER, 1, epoch).permutation(len(buckets))
    examples = np.concatenate(batches)[order].astype(np.int32)
    return Plan(examples, np.asarray(buckets, np.int32)[order])


def in_batches(
    of_item: Int[np.ndarray, " items"], buckets: Sequence[Bucket], positions: int
) -> Iterator[tuple[int, Int32[np.ndarray, " rows"]]]:
    """(bucket, items) of every item once, for evaluation: as many rows a batch as `positions`
    allow, the same number for each batch of a bucket; -1: no item."""
    for b in np.unique(of_item):
        items = np.flatnonzero(of_item == b)
        rows = max(1, positions // buckets[b].size)
        for first in range(0, len(items), rows):
            part = items[first : first + rows]
            yield int(b), np.pad(part, (0, rows - len(part)), constant_values=-1).astype(np.int32)
