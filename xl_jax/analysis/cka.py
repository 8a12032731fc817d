"""Centred kernel alignment: are two sets of representations the same up to a rotation?

CKA(X, Y) = HSIC(X, Y) / sqrt(HSIC(X, X) HSIC(Y, Y)); with linear kernels the numerator is
||Yc' Xc||^2 of the centred columns (Kornblith et al. 2019; paper section 5.2). 1 for spaces
that are equal up to an orthogonal map, a scale and an offset.

Every layer of one encoder meets every layer of the other. Items come in blocks, and no n x n matrix
is made. Each item's contribution to the HSICs is kept: the contributions sum to the value, and
resampling them gives its interval.

Letters in names: n items in blocks of N, X and Y layers, D and E widths.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.lax import Precision
from jaxtyping import Float

from xl_jax.analysis.bootstrap import interval, resample
from xl_jax.analysis.vectors import finite
from xl_jax.errors import InputError, unknown
from xl_jax.progress import counted

KERNELS = ("linear", "rbf")
ITEMS = 2048  # of a block: linear kernels
RBF_ITEMS = 128  # their full rows of the kernel matrices are computed
MEDIAN_OF = 1000  # items among which the median distance is found
LEAST = 4  # items that the debiased estimate needs


class Similarity(NamedTuple):
    """CKA of every layer of x with every layer of y, its 95 % interval, and its mean over random
    pairings of the same items."""

    value: Float[np.ndarray, "X Y"]
    low: Float[np.ndarray, "X Y"]
    high: Float[np.ndarray, "X Y"]
    chance: Float[np.ndarray, "X Y"]


class _Items(NamedTuple):
    """What each item adds: to HSIC(x, y), HSIC(x, x), HSIC(y, y); its own entry on the diagonal of
    each kernel. Then the sum of each kernel, which is 0 where it is centred."""

    xy: np.ndarray  # [n, X, Y]
    xx: np.ndarray  # [n, X]
    yy: np.ndarray  # [n, Y]
    x: np.ndarray  # [n, X]
    y: np.ndarray  # [n, Y]
    x_total: np.ndarray  # [X]
    y_total: np.ndarray  # [Y]


def cka(
    x: Float[np.ndarray, "X n D"],
    y: Float[np.ndarray, "Y m E"],
    kernel: str = "linear",
    centred: bool = True,
    debiased: bool = False,
    bandwidth: float = 1.0,
    seed: int = 0,
) -> Similarity:
    """CKA between paired items, layer by layer.

    Args:
      x, y: item i of both is one sentence. The widths may differ. A memory map is read in blocks.
      kernel: "linear", or "rbf": exp(-d^2 / 2 s^2), s = `bandwidth` times the median distance.
      centred: False for the formula without centring. Beware: two unrelated spaces, each far from
        the origin, then come near 1.
      debiased: estimate HSIC without its bias (Song et al. 2012), which few items make large. May
        be below 0; its mean over random pairings is 0.
      seed: of the bootstrap over items. It resamples each item's first-order influence on the
        HSICs: of resampled vectors, an item drawn twice would be its own equal and raise CKA.

    Raises:
      InputError: different numbers of items, or too few; values that are not finite.
    """
    made = _items(x, y, kernel, centred, debiased, bandwidth)
    return _estimate(made, x.shape[1], debiased, seed)


def with_debiased(
    x: Float[np.ndarray, "X n D"],
    y: Float[np.ndarray, "Y m E"],
    kernel: str = "linear",
    centred: bool = True,
    seed: int = 0,
) -> tuple[Similarity, Similarity]:
    """(CKA as it is, CKA debiased and centred), for little more than one of them; see `cka`."""
    made = _items(x, y, kernel, centred, False, 1.0)
    plain = _estimate(made, x.shape[1], False, seed)
    made = made if centred else _items(x, y, kernel, True, True, 1.0)
    return plain, _estimate(made, x.shape[1], True, seed)


def _items(
    x: np.ndarray, y: np.ndarray, kernel: str, centred: bool, debiased: bool, bandwidth: float
) -> _Items:
    if kernel not in KERNELS:
        raise unknown("kernel of CKA", kernel, KERNELS)
    if x.shape[1] != y.shape[1]:
        raise InputError(f"CKA pairs items: {x.shape[1]} and {y.shape[1]} vectors")
    n = x.shape[1]
    if n < LEAST:
        raise InputError(f"CKA of {n} items: at least {LEAST} are needed")
    if debiased and not centred:
        raise InputError("the debiased CKA is centred: leave out one of the two")
    x, y = finite(x, "source vectors"), finite(y, "target vectors")
    return _linear(x, y, centred) if kernel == "linear" else _rbf(x, y, centred, bandwidth)


def _estimate(made: _Items, n: int, debiased: bool, seed: int) -> Similarity:
    xy, xx, yy = (
        _Hsic(h, a, b, n, debiased)
        for h, a, b in (
            (made.xy, made.x[:, :, None], made.y[:, None, :]),
            (made.xx, made.x, made.x),
            (made.yy, made.y, made.y),
        )
    )
    value = _ratio(xy.value, xx.value, yy.value)
    parts = [h.rows.reshape(n, -1) for h in (xy, xx, yy)]
    drawn = np.split(resample(np.concatenate(parts, 1), seed), [xy.value.size, -yy.value.size], 1)
    moved = [2 * d - h.rows.sum(0).reshape(1, -1) for d, h in zip(drawn, (xy, xx, yy), strict=True)]
    moved[0] = moved[0].reshape(-1, *value.shape)
    plain = _ratio(xy.rows.sum(0), xx.rows.sum(0), yy.rows.sum(0))
    low, high = interval(_ratio(*moved) - plain[None])
    if debiased:
        chance = np.zeros_like(value)
    else:
        chance = _ratio(_shuffled(made, n), xx.value, yy.value)
    return Similarity(value, value + low, value + high, chance)


class _Hsic:
    """n^2 HSIC of two kernels (or of one), and what each item adds to it to first order.

    rows: sums over the other items of the products of the (centred) kernels; a, b: the kernels'
    diagonals. Without the diagonal, and corrected for its absence, the estimate has no bias: the
    rows of a centred kernel sum to 0, so those without the diagonal to -a.
    """

    def __init__(self, rows: np.ndarray, a: np.ndarray, b: np.ndarray, n: int, debiased: bool):
        self.rows, self.value = rows, rows.sum(0)
        if debiased:
            self.rows = rows - a * b
            both, total = (a * b).sum(0), a.sum(0) * b.sum(0)
            corrected = self.rows.sum(0) + total / ((n - 1) * (n - 2)) - 2 / (n - 2) * both
            self.value = corrected * n / (n - 3)


def _ratio(xy: np.ndarray, xx: np.ndarray, yy: np.ndarray) -> np.ndarray:
    own = np.maximum(xx[..., :, None], 0) * np.maximum(yy[..., None, :], 0)
    return xy / np.sqrt(np.maximum(own, 1e-30))


def _shuffled(made: _Items, n: int) -> np.ndarray:
    """The mean over all pairings of the sum of products of both kernels: exact."""
    x, y = made.x.sum(0), made.y.sum(0)
    apart = np.outer(made.x_total - x, made.y_total - y)
    return np.outer(x, y) / n + apart / (n * (n - 1))


def _linear(x_XxnxD: np.ndarray, y_YxnxE: np.ndarray, centred: bool) -> _Items:
    """From the products Xi' Yj alone: an item's share of ||Xi' Yj||^2 is xi' (Xi' Yj) yj."""
    n = x_XxnxD.shape[1]
    x_at, y_at = _Spot(x_XxnxD, centred), _Spot(y_YxnxE, centred)
    firsts = range(0, n, ITEMS)
    products = None
    for first in counted(firsts, "products of layers"):
        products = _add_products(products, x_at(first), y_at(first))
    told = counted(firsts, "CKA")
    parts = [jax.device_get(_shares(products, x_at(first), y_at(first))) for first in told]
    rows = [np.concatenate(each).astype(np.float64)[:n] for each in zip(*parts, strict=True)]
    return _Items(*rows, *(at.total(n) for at in (x_at, y_at)))


class _Spot:
    """Blocks of the items of every layer, padded with zeros: centred, root mean square 1."""

    def __init__(self, x_XxnxD: np.ndarray, centred: bool):
        self.x = x_XxnxD
        self.mean = np.stack([layer.mean(0, dtype=np.float64) for layer in x_XxnxD])
        square = np.stack([np.einsum("nD,nD->", a, a, dtype=np.float64) for a in x_XxnxD])
        square = square / x_XxnxD.shape[1] - centred * np.square(self.mean).sum(1)
        self.scale = 1 / np.sqrt(np.maximum(square, 1e-30))
        self.taken_off = self.mean * centred

    def __call__(self, first: int) -> jax.Array:
        part = self.x[:, first : first + ITEMS] - self.taken_off[:, None].astype(np.float32)
        part *= self.scale[:, None, None].astype(np.float32)
        short = min(ITEMS, self.x.shape[1]) - part.shape[1]
        return jnp.asarray(np.pad(part, ((0, 0), (0, short), (0, 0))))

    def total(self, n: int) -> np.ndarray:
        """The sum of each layer's kernel."""
        left = (self.mean - self.taken_off) * self.scale[:, None]
        return n**2 * np.square(left).sum(1)


@jax.jit
def _add_products(
    products: tuple[jax.Array, ...] | None, x_XxNxD: jax.Array, y_YxNxE: jax.Array
) -> tuple[jax.Array, ...]:
    """Sums over items of x y' [X, D, Y E], x x' [X, D, D], y y' [Y, E, E]."""
    N = x_XxNxD.shape[1]
    y_NxYE = y_YxNxE.swapaxes(0, 1).reshape(N, -1)
    best = Precision.HIGHEST
    made = (
        jnp.einsum("XND,NF->XDF", x_XxNxD, y_NxYE, precision=best),
        jnp.einsum("XND,XNF->XDF", x_XxNxD, x_XxNxD, precision=best),
        jnp.einsum("YNE,YNF->YEF", y_YxNxE, y_YxNxE, precision=best),
    )
    return made if products is None else tuple(map(jnp.add, products, made))


@jax.jit
def _shares(
    products: tuple[jax.Array, ...], x_XxNxD: jax.Array, y_YxNxE: jax.Array
) -> tuple[jax.Array, ...]:
    """Every item's share [N, X, Y], [N, X], [N, Y]; and its squared length [N, X], [N, Y]."""
    Y, N, E = y_YxNxE.shape
    xy_XxDxYE, xx_XxDxD, yy_YxExE = products

    def of_layer(at: tuple[jax.Array, jax.Array]) -> jax.Array:
        x_NxD, xy_DxYE = at
        z_NxYE = jnp.matmul(x_NxD, xy_DxYE, precision=Precision.HIGHEST)
        return jnp.einsum("NYE,YNE->NY", z_NxYE.reshape(N, Y, E), y_YxNxE)

    def with_itself(z_XxNxD: jax.Array, zz_XxDxD: jax.Array) -> jax.Array:
        projected = jnp.einsum("XND,XDF->XNF", z_XxNxD, zz_XxDxD, precision=Precision.HIGHEST)
        return (projected * z_XxNxD).sum(2).T

    xy_XxNxY = jax.lax.map(of_layer, (x_XxNxD, xy_XxDxYE))
    own = with_itself(x_XxNxD, xx_XxDxD), with_itself(y_YxNxE, yy_YxExE)
    squares = (jnp.square(z).sum(2).T for z in (x_XxNxD, y_YxNxE))
    return xy_XxNxY.swapaxes(0, 1), *own, *squares


def _rbf(x_XxnxD: np.ndarray, y_YxnxE: np.ndarray, centred: bool, bandwidth: float) -> _Items:
    """From full rows of the kernel matrices, a block of items at a time."""
    n = x_XxnxD.shape[1]
    sides = []
    for raw in (x_XxnxD, y_YxnxE):
        moved = raw - raw.mean(1, keepdims=True)
        scale = np.stack([_median_distance(layer) for layer in moved]) * bandwidth
        sides.append(jnp.asarray(moved / scale[:, None, None].astype(np.float32)))
    firsts = range(0, n, RBF_ITEMS)
    blocks = [np.minimum(np.arange(first, first + RBF_ITEMS), n - 1) for first in firsts]
    means, totals = [], []
    for z in sides:
        parts = [np.asarray(_kernel(z, at).sum(2)) for at in counted(blocks, "kernels")]
        sums = np.concatenate(parts, 1)[:, :n]
        totals.append(sums.sum(1, dtype=np.float64) * (not centred))
        means.append(jnp.asarray(sums / n * centred))
    told = counted(blocks, "CKA")
    shares = [jax.device_get(_rbf_shares(*sides, *means, at)) for at in told]
    rows = [np.concatenate(each)[:n].astype(np.float64) for each in zip(*shares, strict=True)]
    return _Items(*rows, *totals)


def _median_distance(x_nxD: np.ndarray) -> float:
    some = x_nxD[np.linspace(0, len(x_nxD) - 1, min(len(x_nxD), MEDIAN_OF)).astype(int)]
    squares = np.square(some).sum(1)
    distances = squares[:, None] + squares[None] - 2 * some @ some.T
    apart = distances[np.triu_indices(len(some), 1)]
    return float(np.sqrt(max(np.median(apart), 1e-30)))


@jax.jit
def _kernel(z_XxnxD: jax.Array, at_N: jax.Array) -> jax.Array:
    """Rows `at_N` of every layer's kernel matrix [X, N, n]."""
    squares_Xxn = jnp.square(z_XxnxD).sum(2)
    products = jnp.einsum("XND,XnD->XNn", z_XxnxD[:, at_N], z_XxnxD, precision=Precision.HIGHEST)
    distances = squares_Xxn[:, at_N, None] + squares_Xxn[:, None] - 2 * products
    return jnp.exp(-jnp.maximum(distances, 0) / 2)


@jax.jit
def _rbf_shares(
    x_XxnxD: jax.Array,
    y_YxnxE: jax.Array,
    x_mean_Xxn: jax.Array,
    y_mean_Yxn: jax.Array,
    at_N: jax.Array,
) -> tuple[jax.Array, ...]:
    """As `_shares`, for the items `at_N`."""

    def rows(z_XxnxD: jax.Array, mean_Xxn: jax.Array) -> jax.Array:
        k_XxNxn = _kernel(z_XxnxD, at_N)
        centre = mean_Xxn[:, at_N, None] + mean_Xxn[:, None] - mean_Xxn.mean(1)[:, None, None]
        return k_XxNxn - centre

    k, m = rows(x_XxnxD, x_mean_Xxn), rows(y_YxnxE, y_mean_Yxn)
    diagonals = (jnp.take_along_axis(z, at_N[None, :, None], 2)[:, :, 0].T for z in (k, m))
    shares = (
        jnp.einsum("XNn,YNn->NXY", k, m, precision=Precision.HIGHEST),
        jnp.square(k).sum(2).T,
        jnp.square(m).sum(2).T,
    )
    return *shares, *diagonals
