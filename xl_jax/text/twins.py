"""What makes a twin differ from its base: the order of a line's tokens, and which pieces it renames
(Dufter and Schuetze 2020; K et al. 2020; Deshpande et al. 2022).

The two compose, and so does the choice of text. Token i of a twin's line is token `order[i]` of the
base's line, renamed if its piece is `shifted`: the order is the gold word alignment.
"""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Bool, Int64

from xl_jax.errors import unknown
from xl_jax.text.documents import position

ORDERS = ("keep", "invert", "permute")


def order(n: int, kind: str, p: float, random: np.random.Generator) -> Int64[np.ndarray, "n"]:
    """The position in the base's line, of n tokens, of each token of the twin's.

    Only `permute` uses p and draws: exactly round(p * n) positions, uniformly chosen, whose tokens
    are put in uniformly random order among themselves; the others stay where they are.

    Raises:
      InputError: an unknown kind.
    """
    if kind == "keep":
        return np.arange(n)
    if kind == "invert":
        return np.arange(n)[::-1].copy()
    if kind != "permute":
        raise unknown("order of a twin", kind, ORDERS)
    positions = np.arange(n)
    moved = random.permutation(n)[: round(p * n)]  # random positions, in random order
    positions[np.sort(moved)] = moved
    return positions


def shifted(pieces: Iterable[str], share: float) -> Bool[np.ndarray, "n"]:
    """Which pieces a twin renames: all with share 1, none with 0. The hash of its string decides
    about a piece, so the choice outlives changes of the vocabulary, and a larger share only adds.
    """
    return np.array([position([piece], b"shift") < share for piece in pieces], bool)
