"""Batches of nearly equal length: every item once an epoch, little padding, few shapes."""

import dataclasses
from collections import Counter

import numpy as np
import pytest

from xl_jax.errors import InputError
from xl_jax.finetune.buckets import (
    Bucket,
    bucket_of,
    in_batches,
    make_buckets,
    make_plan,
    steps_of,
    widened,
)
from xl_jax.tasks.rows import Rows


def rows(sizes: list[int], length: int = 32) -> Rows:
    """Items of so many tokens; half as many words."""
    ends = np.cumsum([0, *sizes]).astype(np.int32)
    words = np.cumsum([0, *(x // 2 for x in sizes)]).astype(np.int32)
    flat = np.zeros(words[-1], np.int32)
    return Rows(length, np.zeros(ends[-1], np.int32), ends, flat, words, {}, Counter())


def drawn(n: int, length: int = 32) -> Rows:
    """Lengths as sentences have them: a long tail, some beyond a row."""
    return rows(np.random.default_rng(0).gamma(4, 5, n).astype(int).clip(3, 90).tolist(), length)


def test_buckets_are_the_cheapest_shapes() -> None:
    """Two lengths, equally often: two buckets. One rare length in between: it pays for none."""
    sizes = [4] * 40 + [20] * 40
    found = make_buckets([rows(sizes)], batch=1)
    assert found == (Bucket(1, 4, 2), Bucket(1, 20, 10))
    assert make_buckets([rows(sizes + [18])], batch=1) == found
    assert make_buckets([rows(sizes)], batch=40) == (Bucket(1, 20, 10),)  # too few batches
    longer = make_buckets([rows(sizes), rows([70])], batch=1)  # train and dev
    assert longer == (*found, Bucket(3, 32, 35))  # another set's item, in three windows


def test_other_sets_are_read_in_wider_copies_of_the_buckets() -> None:
    found = make_buckets([rows([4] * 40 + [20] * 40)], batch=1)
    assert widened(found, rows([4, 3, 20])) == found
    wordy = dataclasses.replace(rows([4, 20]), word_starts=np.asarray([0, 4, 15], np.int32))
    assert widened(found, wordy) == (Bucket(1, 4, 8), Bucket(1, 20, 16))
    assert widened(found, rows([70])) == (*found, Bucket(3, 32, 40))


def test_sets_of_different_row_lengths_are_refused() -> None:
    with pytest.raises(InputError, match="rows of \\[16, 32\\] tokens"):
        make_buckets([rows([4]), rows([4], length=16)], batch=4)


def test_at_least_85_percent_of_the_positions_are_real() -> None:
    data = drawn(2000, length=128)
    buckets = make_buckets([data], batch=16)
    of_item = bucket_of(data, buckets)
    assert len(buckets) <= 10
    plan = make_plan(of_item, 16, seed=0, epoch=0)
    positions = sum(16 * buckets[b].size for b in plan.bucket)
    assert data.sizes.sum() / positions >= 0.85


def test_every_item_once_an_epoch_in_a_bucket_that_holds_it() -> None:
    data = drawn(203)
    buckets = make_buckets([data], batch=8)
    of_item = bucket_of(data, buckets)
    plan = make_plan(of_item, 8, seed=0, epoch=0)
    assert len(plan.bucket) == steps_of(203, 8) == 26
    real = plan.examples[plan.examples >= 0]
    assert sorted(real) == list(range(203))
    for items, b in zip(plan.examples, plan.bucket, strict=True):
        assert data.sizes[items[items >= 0]].max() <= buckets[b].size
        assert data.words[items[items >= 0]].max() <= buckets[b].words
    again, other, later = (make_plan(of_item, 8, s, e) for s, e in ((0, 0), (1, 0), (0, 1)))
    np.testing.assert_array_equal(again.examples, plan.examples)
    assert (other.examples != plan.examples).any() and (later.examples != plan.examples).any()


def test_epochs_of_a_size_read_on_through_shuffles_of_all() -> None:
    """Three epochs of 8 are twice 12 items (XLM's epochs of 20,000 examples)."""
    of_item = np.zeros(12, np.int64)
    plans = [make_plan(of_item, 4, 0, epoch, epoch_size=8) for epoch in range(3)]
    seen = [sorted(plan.examples.ravel().tolist()) for plan in plans]
    assert [len(set(x)) for x in (seen[0], seen[2])] == [8, 8]
    assert Counter(sum(seen, [])) == Counter([*range(12), *range(12)])
    assert set(seen[0]) | set(seen[1]) == set(range(12))


def test_evaluation_reads_every_item_once() -> None:
    data = drawn(100)
    buckets = make_buckets([data], batch=4)
    batches = list(in_batches(bucket_of(data, buckets), buckets, positions=256))
    items = np.concatenate([x for _, x in batches])
    assert sorted(items[items >= 0]) == list(range(100))
    for b, found in batches:
        assert len(found) == max(1, 256 // buckets[b].size)
