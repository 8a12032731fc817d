"""Average neuron-wise correlation: do the two encoders say the same with the same neurons?

ANC(X, Y) = mean over neurons d of |corr(x_d, y_d)| over paired items (Del and Fishel 2022). Unlike
CKA it sees a rotation, as whatever reads the states of one encoder off those of another does.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from xl_jax.analysis.bootstrap import influence_interval
from xl_jax.analysis.vectors import one_space
from xl_jax.progress import counted


class Alike(NamedTuple):
    """A similarity of every layer with the same layer of the other encoder: its value, its 95 %
    interval, and its mean over random pairings of the same items."""

    value: Float[np.ndarray, " L"]
    low: Float[np.ndarray, " L"]
    high: Float[np.ndarray, " L"]
    chance: Float[np.ndarray, " L"]


def anc(x: Float[np.ndarray, "L n D"], y: Float[np.ndarray, "L n D"], seed: int = 0) -> Alike:
    """ANC of paired items, layer by layer. A neuron that is constant correlates with nothing.

    Chance: the mean of |r| where r is nearly normal with variance 1 / (n - 1).

    Raises:
      InputError: different widths, values that are not finite.
    """
    n = x.shape[1]
    chance = np.sqrt(2 / np.pi / max(n - 1, 1))
    pairs = counted(zip(x, y, strict=True), "layers correlated", len(x))
    return layerwise([(*_of_layer(*one_space(a, b)), chance) for a, b in pairs], seed)


def layerwise(layers: list[tuple[float, np.ndarray, float]], seed: int) -> Alike:
    """Of (value, influence of each item, chance) of each layer."""
    rows = [(value, *influence_interval(value, x, seed), chance) for value, x, chance in layers]
    return Alike(*np.array(rows, float).T)


def _of_layer(x_nxD: np.ndarray, y_nxD: np.ndarray) -> tuple[float, np.ndarray]:
    """(value, what each item adds to it to first order)."""
    zx, zy = (_standardised(side) for side in (x_nxD, y_nxD))
    r_D = (zx * zy).mean(0)
    of_item = np.sign(r_D)[None] * (zx * zy - r_D[None] * (zx**2 + zy**2) / 2)
    return float(np.abs(r_D).mean()), of_item.mean(1)


def _standardised(x_nxD: np.ndarray) -> np.ndarray:
    x_nxD = x_nxD.astype(np.float64)
    x_nxD = x_nxD - x_nxD.mean(0, keepdims=True)
    sd_D = x_nxD.std(0)
    return np.where(sd_D[None] > 1e-9, x_nxD / np.maximum(sd_D, 1e-9)[None], 0.0)
