"""Exact nearest neighbours of n items among m candidates, in blocks: never an n x m matrix.

A score is an inner product, of unit vectors the cosine, plus an offset of the candidate. A block of
scores leaves behind only the highest score of each group of GROUP candidates. The k best candidates
lie in the k groups whose highest scores are best, so k groups an item are carried from block to
block, and at the end their candidates alone are scored again. One block serves both directions.
Equal scores: the candidate with the lower index first.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.lax import Precision
from jaxtyping import Array, Float, Int

from xl_jax.analysis.vectors import Rows, Vectors, one_space, unit
from xl_jax.errors import InputError
from xl_jax.progress import counted

GROUP = 32
BLOCK = 4096  # rows and columns of a block: 64 MiB of scores
CSLS_K = 10  # nearest neighbours over which CSLS takes its mean similarity (paper 5.1.1)
ALIGNMENT = 64  # bytes, of XLA's arrays in memory
NOWHERE = -1e9  # the offset of padding
ROUNDING = 1e-6  # cosines that differ by less count as equal


class Nearest(NamedTuple):
    """The best candidates of each item, best first."""

    scores: Float[np.ndarray, "n k"]
    index: Int[np.ndarray, "n k"]  # type: ignore[assignment]  # hides tuple.index


def nearest(
    x: Float[np.ndarray, "n D"],
    y: Float[np.ndarray, "m D"],
    k: int,
    offset: Float[np.ndarray, " m"] | None = None,
) -> Nearest:
    """The k candidates y of highest x . y + offset, for each x.

    Raises:
      InputError: more than m neighbours, different widths, values that are not finite.
    """
    x, y = one_space(x, y)
    _enough(k, len(y))
    x_IxBxF, y_JxCxF = left_blocks(x), right_blocks(y, offset)
    told = one_by_one(x_IxBxF, "nearest neighbours")
    groups = [_search(x_BxF, y_JxCxF, None, 0, k)[0] for x_BxF in told]
    return _joined(_rescored(x_IxBxF, groups, y_JxCxF, k, len(y)), len(x))


def nearest_both(x: Vectors, y: Vectors, k: int) -> tuple[Nearest, Nearest]:
    """The k neighbours of highest inner product, or all where there are fewer: of each x among the
    y, and of each y among the x.

    Raises:
      InputError: k below 1, different widths, values that are not finite.
    """
    forward, back = _both_in_blocks(x, y, k)
    return _joined(forward, len(x)), _joined(back, len(y))


def mean_similarity(
    x: Vectors, y: Vectors, k: int = CSLS_K
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " m"]]:
    """Mean cosine to the k nearest vectors of the other language, for each x and each y."""
    forward, back = _both_in_blocks(Rows(x, unit), Rows(y, unit), k)
    of_x, of_y = (np.concatenate([b.scores.mean(1) for b in blocks]) for blocks in (forward, back))
    return of_x[: len(x)], of_y[: len(y)]


def _both_in_blocks(x: Vectors, y: Vectors, k: int) -> tuple[Iterator[Nearest], Iterator[Nearest]]:
    """`nearest_both`, a block of items at a time with its padding: the neighbours of a million
    items are as large as vectors of width 2 k."""
    x, y = one_space(x, y)
    of_x, of_y = min(k, len(y)), min(k, len(x))
    _enough(of_x, len(y))
    x_IxBxF, y_JxCxF = left_blocks(x), right_blocks(y)
    columns = _nothing(y_JxCxF.shape[:2], of_y)
    groups = []
    for i, x_BxF in enumerate(one_by_one(x_IxBxF, "nearest neighbours")):
        found, columns = _search(x_BxF, y_JxCxF, columns, i, of_x)
        groups.append(found)
    forward = _rescored(x_IxBxF, groups, y_JxCxF, of_x, len(y))
    return forward, _rescored(y_JxCxF, columns[1], x_IxBxF, of_y, len(x))


def csls(
    x: Float[np.ndarray, "n D"], y: Float[np.ndarray, "m D"], best: int = 1, k: int = CSLS_K
) -> Nearest:
    """The `best` candidates of each x by CSLS, with their scores: 2 cos(x, y) - r(x) - r(y), where
    r is the mean cosine to the k nearest vectors of the other language (Conneau et al. 2018). It
    lowers the scores of hubs, vectors that are near to many others.

    Raises:
      InputError: `best` above m, different widths, values that are not finite.
    """
    x, y = one_space(x, y)
    _enough(best, len(y))
    x, y = unit(x), unit(y)
    forward, back = nearest_both(x, y, max(k, best))
    of_x, offset = forward.scores[:, :k].mean(1), -back.scores[:, :k].mean(1) / 2
    scores = forward.scores + offset[forward.index]
    order = np.lexsort((forward.index, -scores))[:, :best]
    scores, index = (np.take_along_axis(a, order, 1) for a in (scores, forward.index))
    # No candidate beyond the nearest ones scores more than `unseen`: only where that may be enough,
    # rounding included, all candidates are looked at again.
    unseen = forward.scores[:, -1] + offset.max()
    doubt = scores[:, -1] <= unseen + ROUNDING
    if doubt.any():
        scores[doubt], index[doubt] = nearest(x[doubt], y, best, offset)
    return Nearest(2 * scores - of_x[:, None], index)


def left_blocks(
    x: Vectors, offset: Float[np.ndarray, " n"] | None = None
) -> Float[Array, "blocks B F"]:
    """x in blocks, padded, with two columns more, in which offsets ride along with the product:
    (x, offset, 1) . (y, 1, offset) = x . y + both offsets."""
    return _blocks(x, offset, 0)


def right_blocks(
    y: Vectors, offset: Float[np.ndarray, " m"] | None = None
) -> Float[Array, "blocks C F"]:
    """The other factor of the scores of `left_blocks`."""
    return _blocks(y, offset, 1)


def _blocks(x: Vectors, offset: np.ndarray | None, column: int) -> jax.Array:
    n, width = x.shape
    blocks = -(-n // BLOCK)
    size = -(-n // (blocks * GROUP)) * GROUP  # as equal as groups allow: little padding
    made = _aligned_zeros(blocks * size, width + 2)
    for first in range(0, n, size):
        rows = slice(first, min(first + size, n))
        made[rows, :width] = x[rows]
    made[:, width + 1 - column] = 1
    made[:n, width + column] = 0 if offset is None else offset
    made[n:, width + column] = NOWHERE
    # Nobody else has `made`: on a CPU the device may use this memory instead of a copy.
    return jax.device_put(made.reshape(-1, size, width + 2), may_alias=True)


def _aligned_zeros(n: int, width: int) -> Float[np.ndarray, "n width"]:
    """Where XLA would put an array itself: it copies others."""
    flat = np.zeros(n * width + ALIGNMENT // 4, np.float32)
    first = -flat.ctypes.data % ALIGNMENT // 4
    return flat[first : first + n * width].reshape(n, width)


def one_by_one(x_IxBxF: Float[Array, "blocks B F"], what: str) -> Iterator[jax.Array]:
    """The blocks, counted; iterating over the array itself would copy a hundred at a time."""
    return counted((x_IxBxF[i] for i in range(len(x_IxBxF))), what, len(x_IxBxF))


def product(x_BxF: jax.Array, y_CxF: jax.Array) -> jax.Array:
    """Scores [B, C]."""
    return jnp.matmul(x_BxF, y_CxF.T, precision=Precision.HIGHEST)


def _nothing(shape: tuple[int, ...], k: int) -> tuple[jax.Array, jax.Array]:
    """Lists of k groups for each item, still empty: highest score, number of the group."""
    return jnp.full((*shape, k), -jnp.inf), jnp.full((*shape, k), -1, jnp.int32)


@partial(jax.jit, static_argnames="k", donate_argnames="columns")
def _search(
    x_BxF: jax.Array,
    y_JxCxF: jax.Array,
    columns: tuple[jax.Array, jax.Array] | None,
    i: int | jax.Array,
    k: int,
) -> tuple[jax.Array, Any]:
    """(the k best groups of each x of block i, the lists of the y after this block of x)."""
    b, c = len(x_BxF) // GROUP, y_JxCxF.shape[1] // GROUP

    def tile(rows: Any, at: Any) -> Any:
        y_CxF, columns, j = at
        s_BxC = product(x_BxF, y_CxF)
        in_rows = s_BxC.reshape(-1, c, GROUP)
        if columns is None:
            return _merge(rows, _maximum(in_rows), j * c), None
        in_columns = s_BxC.reshape(b, GROUP, -1)
        columns = _merge(columns, in_columns.max(1).T, i * b)
        return _merge(rows, in_rows.max(2), j * c), columns

    blocks = jnp.arange(len(y_JxCxF), dtype=jnp.int32)
    rows = _nothing(x_BxF.shape[:1], k)
    rows, columns = jax.lax.scan(tile, rows, (y_JxCxF, columns, blocks))
    return rows[1], columns


def _maximum(s_BxcxG: jax.Array) -> jax.Array:
    """Maximum over the last axis. On a CPU XLA gives a product that only `max` reads to one kernel
    for both, 1.4 times slower than the two apart (jax 0.10); this it does not recognise."""
    return jax.lax.reduce(
        s_BxcxG, np.float32(-np.inf), lambda a, b: jnp.where(a > b, a, b), dimensions=(2,)
    )


def _merge(best: tuple[jax.Array, jax.Array], maxima_BxG: jax.Array, first: Any) -> Any:
    """The best groups among those known and new ones, which are numbered from `first`."""
    scores_BxK, groups_BxK = best
    k = scores_BxK.shape[1]
    top, at = jax.lax.top_k(jnp.concatenate([scores_BxK, maxima_BxG], 1), k)
    known = jnp.take_along_axis(groups_BxK, jnp.minimum(at, k - 1), 1)
    return top, jnp.where(at < k, known, first + at - k)


def _rescored(
    x_IxBxF: jax.Array, groups: Sequence[jax.Array] | jax.Array, y_JxCxF: jax.Array, k: int, m: int
) -> Iterator[Nearest]:
    """The neighbours of each block's items, which lie in these groups."""
    for i, x_BxF in enumerate(one_by_one(x_IxBxF, "their scores")):
        yield Nearest(*jax.device_get(_rescore(x_BxF, groups[i], y_JxCxF, k, m)))


def _joined(blocks: Iterator[Nearest], n: int) -> Nearest:
    scores, index = (np.concatenate(parts)[:n] for parts in zip(*blocks, strict=True))
    return Nearest(scores, index)


@partial(jax.jit, static_argnames=("k", "m"))
def _rescore(
    x_BxF: jax.Array, groups_BxK: jax.Array, y_JxCxF: jax.Array, k: int, m: int
) -> tuple[jax.Array, jax.Array]:
    """The k best of the m candidates, which lie in these groups, and their scores."""
    y_PxGxF = y_JxCxF.reshape(-1, GROUP, y_JxCxF.shape[2])  # outside it would be a copy
    groups_BxK = jnp.sort(groups_BxK, axis=1)

    def score(at: tuple[jax.Array, jax.Array]) -> jax.Array:
        x_F, groups_K = at
        candidates = (jax.lax.dynamic_index_in_dim(y_PxGxF, g, keepdims=False) for g in groups_K)
        return jnp.concatenate(
            [jnp.matmul(y, x_F, precision=Precision.HIGHEST) for y in candidates]
        )

    # one item at a time needs no copy of its groups, and an accelerator needs many at a time
    at_once = None if jax.default_backend() == "cpu" else 256
    s_BxN = jax.lax.map(score, (x_BxF, groups_BxK), batch_size=at_once)
    index = groups_BxK[:, :, None] * GROUP + jnp.arange(GROUP, dtype=jnp.int32)[None, None]
    index = index.reshape(s_BxN.shape)
    valid = (index >= 0) & (index < m)
    top, at = jax.lax.top_k(jnp.where(valid, s_BxN, -jnp.inf), k)
    return top, jnp.take_along_axis(index, at, 1)


def _enough(k: int, m: int) -> None:
    if not 1 <= k <= m:
        raise InputError(f"the {k} nearest of {m} candidates")
