"""A data set's rows on the device, and batches of them."""

from functools import partial
from typing import Any, NamedTuple

import jax

from xl_jax.finetune.buckets import Bucket
from xl_jax.tasks.rows import Rows
from xl_jax.tokens.special import PAD


class Data(NamedTuple):
    """A data set on the device: the arrays of `Rows`."""

    tokens: Any
    starts: Any
    read_at: Any
    word_starts: Any
    labels: dict[str, Any]


class Batch(NamedTuple):
    tokens: Any  # [rows, windows, length]
    read_at: Any  # [rows, words], -1 beyond a row's words
    labels: dict[str, Any]  # [rows, words]


def host_data(rows: Rows) -> Data:
    return Data(rows.tokens, rows.starts, rows.read_at, rows.word_starts, rows.labels)


def device_data(rows: Rows) -> Data:
    return jax.device_put(host_data(rows))


def gather(data: Data, items: Any, bucket: Bucket) -> Batch:
    """The rows of `items` [rows] (-1: an empty row), padded to the bucket's shape. NumPy for NumPy
    arrays, traceable for JAX's."""
    xp = data.tokens.__array_namespace__()

    def take(flat: Any, starts: Any, width: int, padding: int) -> Any:
        item = xp.maximum(items, 0)
        at = starts[item][:, None] + xp.arange(width)[None]
        inside = (at < starts[item + 1][:, None]) & (items >= 0)[:, None]
        return xp.where(inside, flat[xp.minimum(at, len(flat) - 1)], padding)

    tokens = take(data.tokens, data.starts, bucket.size, PAD)
    words = partial(take, starts=data.word_starts, width=bucket.words, padding=-1)
    return Batch(
        tokens.reshape(len(items), bucket.windows, bucket.length),
        words(data.read_at),
        {name: words(flat) for name, flat in data.labels.items()},
    )
