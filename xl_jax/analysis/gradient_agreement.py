"""Do languages pull a parameter the same way? Inner products of their gradients, in which noise
does not count, and which parts to make private under a budget.

A shared leaf moves along G = sum_l w_l g_l, the mean gradient of the languages, weighted by their
share of the text. With Adam's scaling D the loss falls, to first order, by <G, D G> a unit of the
learning rate: sum_l w_l^2 <g_l, D g_l>, which each language gives itself, and the rest, what they
give one another. The rest is what a private leaf goes without; where it is negative, the languages
are in each other's way.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from xl_jax.rules import Rules, pattern_of


class Decrease(NamedTuple):
    """First-order decrease of the loss by the update of some parameters that languages share."""

    own: float  # what each language gives itself
    others: float  # what the languages give one another
    cosines: tuple[float, ...] = ()  # of pairs of languages

    @property
    def gain(self) -> float:
        """What sharing adds, over what each language gives itself: 0 where the gradients have
        nothing to do with each other, below 0 in conflict, n - 1 where n languages of equal weight
        have the same gradient; NaN where noise leaves no estimate."""
        return self.others / self.own if self.own > 0 else float("nan")


class Part(NamedTuple):
    """Parameters that are made private together."""

    pattern: str  # over leaf paths
    size: int  # parameters that it adds
    decrease: Decrease


class Tie(NamedTuple):
    """Parameters that all languages come to share, as their mean."""

    pattern: str  # over leaf paths
    size: int  # parameters that it saves
    change: float  # of the loss, to first order: nats a token, mean over languages


def products(
    halves_2xLxN: Float[np.ndarray, "2 L N"], scale_N: Float[np.ndarray, "N"]
) -> Float[np.ndarray, "L L"]:
    """<g_l, D g_m> of every two languages, of gradients over two halves of each language's text.

    A gradient over finite text is the true one with noise, whose square would count where l = m,
    and where the text of m is a translation of l's. Only products of different halves are taken:
    their noise is independent where half 1 of a language is not a translation of half 2 of another.
    """
    first, second = halves_2xLxN.astype(np.float64)
    found = (first * scale_N) @ second.T
    return (found + found.T) / 2


def decrease(products_LxL: Float[np.ndarray, "L L"], weights_L: Float[np.ndarray, "L"]) -> Decrease:
    """Of parameters that all these languages share, from `products`."""
    weighted = products_LxL * np.outer(weights_L, weights_L)
    own, squares = float(np.trace(weighted)), np.diagonal(products_LxL)
    cosines = []
    for i, j in zip(*np.triu_indices(len(weights_L), 1), strict=True):
        norms = squares[i] * squares[j] if min(squares[i], squares[j]) > 0 else 0.0
        cosines.append(float(products_LxL[i, j] / np.sqrt(norms)) if norms else float("nan"))
    return Decrease(own, float(weighted.sum()) - own, tuple(cosines))


def grouped(leaves: Sequence[Part]) -> list[Part]:
    """Leaves by the parts of an encoder; those that no languages share are left out."""
    found = []
    for pattern, paths in patterns(x.pattern for x in leaves).items():
        members = [x for x in leaves if x.pattern in paths and x.size]
        own, others = (sum(x.decrease[i] for x in members) for i in (0, 1))
        if members:
            found.append(Part(pattern, sum(x.size for x in members), Decrease(own, others)))
    return found


def ties(leaves: Sequence[Tie]) -> list[Tie]:
    """Leaves by the parts of an encoder, those first that cost least; without what all share."""
    found = []
    for pattern, paths in patterns(x.pattern for x in leaves).items():
        members = [x for x in leaves if x.pattern in paths and x.size]
        if members:
            size, change = (sum(x[i] for x in members) for i in (1, 2))
            found.append(Tie(pattern, size, change))
    return sorted(found, key=lambda x: x.change)


def mean(steps: Sequence[Sequence[Part]]) -> list[Part]:
    """The same parts at several steps, each step's decrease over its own total: late steps have
    small gradients, and count as much as early ones."""
    totals = [sum(part.decrease.own + part.decrease.others for part in parts) for parts in steps]
    found = []
    for of_part in zip(*steps, strict=True):
        shares = [
            [x / whole for x in part.decrease[:2]]
            for part, whole in zip(of_part, totals, strict=True)
        ]
        own, others = np.mean(shares, 0).tolist()
        found.append(of_part[0]._replace(decrease=Decrease(own, others)))
    return found


def by_gain(parts: Sequence[Part]) -> list[Part]:
    """Those first whose sharing gains least; without those that have no estimate."""
    known = [part for part in parts if not math.isnan(part.decrease.gain)]
    return sorted(known, key=lambda x: x.decrease.gain)


def propose(parts: Sequence[Part], budget: int) -> list[Part]:
    """The parts to make private within `budget` added parameters: those first whose sharing gains
    least, conflicts before all. Left out: one that does not fit, one without an estimate."""
    chosen, left = [], budget
    for part in by_gain(parts):
        if part.size <= left:
            chosen.append(part)
            left -= part.size
    return chosen


def with_first(new: Rules, rules: Rules, paths: Sequence[str]) -> Rules:
    """`rules` with `new` ones before them; without those of `rules` that nothing is left for, which
    `rules.assign` would refuse."""
    first = [pattern_of(pattern, "chosen") for pattern, _ in new]
    given = [pattern_of(pattern, "sharing") for pattern, _ in rules]
    left = [path for path in paths if not any(pattern.matches(path) for pattern in first)]
    used = {next(i for i, pattern in enumerate(given) if pattern.matches(path)) for path in left}
    return (*new, *(rule for i, rule in enumerate(rules) if i in used))


def patterns(paths: Iterable[str]) -> Mapping[str, list[str]]:
    """Pattern -> leaf paths of the parts of an encoder: the token table with the output bias that
    is tied to it, positions, and attention, feed-forward and norms of every layer."""
    found: dict[str, list[str]] = {}
    for path in paths:
        above = path.split("/")[:-1][:2]
        pattern = path if above == ["embed"] else f"{'/'.join(above)}/.*"
        if path in ("embed/token", "mlm/bias"):
            pattern = "embed/token|mlm/bias"
        found.setdefault(pattern, []).append(path)
    return found
