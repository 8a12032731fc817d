"""Retrieval across languages: the rank of the right answers among all candidates, in blocks.

Nothing is sorted and no n x m matrix is made: counting how many candidates score above the best
right answer, and how many as high, tells every precision at k.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from xl_jax.analysis.neighbours import (
    CSLS_K,
    ROUNDING,
    left_blocks,
    mean_similarity,
    one_by_one,
    product,
    right_blocks,
)
from xl_jax.analysis.vectors import Rows, Vectors, one_space, unit
from xl_jax.errors import InputError, unknown

CRITERIA = ("cosine", "csls")
PAIRS_AT_ONCE = 1 << 16


class Ranks(NamedTuple):
    """For each item, the rank of its best right answer among the candidates."""

    better: Int[np.ndarray, " n"]  # candidates that score more than it
    tied: Int[np.ndarray, " n"]  # candidates that score the same, itself one of them
    right: Int[np.ndarray, " n"]  # right answers among the tied; 0 where there is none at all

    def hits(self, at: int = 1) -> Float[np.ndarray, " n"]:
        """Probability that one of the first `at` candidates is right, the order of equal scores
        being random: so equal vectors score as chance. An item without any right answer has 0."""
        drawn = np.clip(at - self.better, 0, self.tied)
        wrong = self.tied - self.right
        missed = np.ones(len(drawn))
        for i in range(at):
            next_one = np.maximum(wrong - i, 0) / np.maximum(self.tied - i, 1)
            missed *= np.where(i < drawn, next_one, 1)
        return 1 - missed


def retrieve(
    source: Vectors,
    target: Vectors,
    answers: Int[np.ndarray, "pairs 2"],
    criterion: str = "cosine",
    centre: bool = False,
    k: int = CSLS_K,
) -> tuple[Ranks, Ranks]:
    """Each source item's answers among all target items, and each target item's among the source.

    Args:
      answers: (source, target) numbers of the right pairs; an item may have several, or none.
      criterion: "cosine", or "csls" with `k` neighbours (see `neighbours.csls`).
      centre: take each language's mean off first, which matters where the languages' states lie
        apart by a constant.

    Raises:
      InputError: an unknown criterion, different widths, values that are not finite.
    """
    if criterion not in CRITERIA:
        raise unknown("criterion of retrieval", criterion, CRITERIA)
    x, y = (_unit_rows(v, centre) for v in one_space(source, target))
    offsets = [-r / 2 for r in mean_similarity(x, y, k)] if criterion == "csls" else [None, None]
    return ranks_both(x, y, answers, *offsets)


def _unit_rows(vectors: Vectors, centre: bool) -> Rows:
    """Of length 1, their mean taken off first if they are to be centred."""
    mean = vectors[:].mean(0, keepdims=True) if centre else None
    return Rows(vectors, lambda rows: unit(rows if mean is None else rows - mean))


def ranks(
    x: Float[np.ndarray, "n D"],
    y: Float[np.ndarray, "m D"],
    answers: Int[np.ndarray, "pairs 2"],
    y_offset: Float[np.ndarray, " m"] | None = None,
) -> Ranks:
    """The rank of each x's answers among all y by x . y + offset. Vectors of about unit length:
    scores that differ by less than ROUNDING count as equal.

    Raises:
      InputError: no answer, one out of range, different widths, values that are not finite.
    """
    return _ranks(x, y, answers, None, y_offset, both=False)[0]


def ranks_both(
    x: Vectors,
    y: Vectors,
    answers: Int[np.ndarray, "pairs 2"],
    x_offset: Float[np.ndarray, " n"] | None = None,
    y_offset: Float[np.ndarray, " m"] | None = None,
) -> tuple[Ranks, Ranks]:
    """`ranks` of each x's answers, and of each y's among the x, by one pass."""
    forward, back = _ranks(x, y, answers, x_offset, y_offset, both=True)
    return forward, back


def chance(answers: Int[np.ndarray, "pairs 2"], n: int, m: int, at: int = 1) -> tuple[float, float]:
    """Expected precision at `at` of candidates in random order, for n source and m target items."""
    found = []
    answers = np.unique(answers, axis=0)
    for column, items, candidates in ((0, n, m), (1, m, n)):
        right = np.bincount(answers[:, column], minlength=items)
        everything = Ranks(np.zeros_like(right), np.full_like(right, candidates), right)
        found.append(float(everything.hits(at).mean()))
    return found[0], found[1]


def _ranks(
    x: Vectors,
    y: Vectors,
    answers: np.ndarray,
    x_offset: np.ndarray | None,
    y_offset: np.ndarray | None,
    both: bool,
) -> list[Ranks]:
    x, y = one_space(x, y)
    if len(answers) == 0:
        raise InputError("retrieval: no right answer is given")
    if answers.min() < 0 or (answers.max(0) >= (len(x), len(y))).any():
        raise InputError(
            f"right answers are numbered up to {answers.max(0).tolist()}, but there are {len(x)} "
            f"source and {len(y)} target items"
        )
    answers = np.unique(answers, axis=0)
    right_scores = _scores_of(x, y, answers, x_offset, y_offset)
    sides = [(answers[:, 0], len(x)), (answers[:, 1], len(y))][: 1 + both]
    best = []
    for of_pair, items in sides:
        best.append(np.full(items, np.inf, np.float32))  # no answer: nothing scores as high
        best[-1][of_pair] = -np.inf
        np.maximum.at(best[-1], of_pair, right_scores)

    x_IxBxF, y_JxCxF = left_blocks(x, x_offset), right_blocks(y, y_offset)
    x_best = _in_blocks(best[0], x_IxBxF)
    y_best = _in_blocks(best[1], y_JxCxF) if both else None
    counts = [np.zeros((2, items), np.int64) for _, items in sides]
    rows = []
    for x_BxF, best_B in zip(one_by_one(x_IxBxF, "ranks"), x_best, strict=True):
        in_rows, in_columns = jax.device_get(_count(x_BxF, best_B, y_JxCxF, y_best))
        rows.append(in_rows)
        if both:
            counts[1] += in_columns.swapaxes(0, 1).reshape(2, -1)[:, : len(y)]
    counts[0] += np.concatenate(rows, 1)[:, : len(x)]

    found = []
    for (of_pair, items), level, (above, at_least) in zip(sides, best, counts, strict=True):
        equal = right_scores >= level[of_pair] - np.float32(ROUNDING)
        right = np.bincount(of_pair[equal], minlength=items)
        found.append(Ranks(above, at_least - above, right))
    return found


def _scores_of(
    x: Vectors,
    y: Vectors,
    answers: np.ndarray,
    x_offset: np.ndarray | None,
    y_offset: np.ndarray | None,
) -> np.ndarray:
    parts = []
    for first in range(0, len(answers), PAIRS_AT_ONCE):
        a, b = answers[first : first + PAIRS_AT_ONCE].T
        scores = np.einsum("pD,pD->p", x[a], y[b])
        for offset, index in ((x_offset, a), (y_offset, b)):
            scores += 0 if offset is None else offset[index]
        parts.append(scores)
    return np.concatenate(parts)


def _in_blocks(best: np.ndarray, blocks: jax.Array) -> jax.Array:
    padding = blocks.shape[0] * blocks.shape[1] - len(best)
    padded = np.pad(best, (0, padding), constant_values=np.inf)
    return jnp.asarray(padded.reshape(blocks.shape[:2]))


@jax.jit
def _count(
    x_BxF: jax.Array, x_best_B: jax.Array, y_JxCxF: jax.Array, y_best_JxC: jax.Array | None
) -> tuple[jax.Array, Any]:
    """How many candidates score above, and at least as high as, an item's best answer: of each x,
    [2, B]; of each y among these x, [J, 2, C]."""

    def tile(rows: jax.Array, at: Any) -> Any:
        y_CxF, y_best_C = at
        s_BxC = product(x_BxF, y_CxF)
        rows += _above(s_BxC, x_best_B[:, None], 1)
        return rows, None if y_best_C is None else _above(s_BxC, y_best_C[None], 0)

    rows = jnp.zeros((2, len(x_BxF)), jnp.int32)
    return jax.lax.scan(tile, rows, (y_JxCxF, y_best_JxC))


def _above(s_BxC: jax.Array, best: jax.Array, axis: int) -> jax.Array:
    levels = (best + ROUNDING, best - ROUNDING)
    return jnp.stack(
        [(s_BxC > levels[0]).sum(axis, jnp.int32), (s_BxC >= levels[1]).sum(axis, jnp.int32)]
    )
