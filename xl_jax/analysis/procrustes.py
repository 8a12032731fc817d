"""Maps from one encoder's space to another's (paper section 5.1; Schönemann 1966).

Items are rows: a map takes x to x W. The paper writes items as columns, where the same map is W^T.
"""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from xl_jax.analysis.anc import Alike, layerwise
from xl_jax.analysis.vectors import finite, one_space, unit
from xl_jax.atomic_files import replacing
from xl_jax.errors import InputError, unknown
from xl_jax.progress import counted
from xl_jax.rng import Purpose, generator

NORMALISATIONS = ("iterative", "centre", "none")
ROTATIONS = ("procrustes", "identity", "random")
ROUNDS = 5  # of iterative normalisation (Zhang et al. 2019)
ROWS_AT_ONCE = 1 << 16


@dataclass(frozen=True, eq=False)
class Normaliser:
    """Takes off each of `means` in turn; with `lengths`, vectors are scaled to length 1 before the
    first and after each. New vectors take the means of those it was made of."""

    means: Float[np.ndarray, "rounds D"]
    lengths: bool

    def __call__(self, x: Float[np.ndarray, "n D"]) -> Float[np.ndarray, "n D"]:
        x = np.asarray(x, np.float32)
        x = unit(x) if self.lengths else x
        for mean in self.means:
            x = x - mean[None]
            x = unit(x) if self.lengths else x
        return x


def normaliser(x: Float[np.ndarray, "n D"], kind: str = "iterative") -> Normaliser:
    """What normalises the space of x: "iterative" (length 1, then five times mean 0 and length 1:
    both hold afterwards, nearly), "centre" (mean 0) or "none".

    Raises:
      InputError: another kind, no vectors, or values that are not finite.
    """
    if kind not in NORMALISATIONS:
        raise unknown("normalisation", kind, NORMALISATIONS)
    x = finite(x, "vectors to normalise")
    lengths = kind == "iterative"
    rounds = {"iterative": ROUNDS, "centre": 1, "none": 0}[kind]
    means = np.zeros((rounds, x.shape[1]), np.float32)
    x = unit(x) if lengths else x
    for i in range(rounds):
        means[i] = _mean(x)
        x = x - means[i][None]
        x = unit(x) if lengths else x
    return Normaliser(means, lengths)


def orthogonal(
    x: Float[np.ndarray, "n D"], y: Float[np.ndarray, "n D"]
) -> Float[np.ndarray, "D D"]:
    """The orthogonal W of least ||x W - y||, rows paired: W = U V^T where U S V^T = x^T y.

    Fewer pairs than dimensions leave W free where neither side reaches.
    """
    product = np.zeros((x.shape[1], y.shape[1]))
    for first in range(0, len(x), ROWS_AT_ONCE):
        rows = slice(first, first + ROWS_AT_ONCE)
        product += x[rows].astype(np.float64).T @ y[rows].astype(np.float64)
    u, _, v = np.linalg.svd(product)
    return u @ v


def similarity(
    x: Float[np.ndarray, "L n D"], y: Float[np.ndarray, "L n D"], seed: int = 0
) -> Alike:
    """How much of one space an orthogonal map and a scale bring into the other, layer by layer:
    ||X' Y||_* of paired items, centred and of Frobenius norm 1; in 0..1.

    Half of what the squared Procrustes distance is short of its most: d^2 = 2 - 2 s (Ding et al.
    2021). Blind to rotation, as CKA is; chance, of one random pairing, is high where the width is
    not small beside the number of items.

    Raises:
      InputError: different widths, values that are not finite.
    """
    layers = []
    for i, (a, b) in enumerate(zip(counted(x, "layers rotated"), y, strict=True)):
        a, b = (_unit_norm(side) for side in one_space(a, b))
        u, s, v = np.linalg.svd(a.T @ b)
        value, n = float(s.sum()), len(a)
        shares = np.einsum("nD,nD->n", a @ (u @ v), b)
        norms = (np.square(a).sum(1) + np.square(b).sum(1)) / 2
        shuffled = generator(seed, Purpose.SHUFFLED_PAIRS, i).permutation(n)
        chance = float(np.linalg.svd(a.T @ b[shuffled], compute_uv=False).sum())
        layers.append((value, n * (shares - value * norms), chance))
    return layerwise(layers, seed)


def distance(x: Float[np.ndarray, "n D"], y: Float[np.ndarray, "n D"]) -> float:
    """The orthogonal Procrustes distance of paired items, centred and of Frobenius norm 1: the
    least ||X W - Y|| of all orthogonal W, in 0..sqrt(2)."""
    return float(max(2 - 2 * similarity(x[None], y[None]).value[0], 0) ** 0.5)


def _unit_norm(x: np.ndarray) -> np.ndarray:
    x = x.astype(np.float64)
    x = x - x.mean(0, keepdims=True)
    return x / max(float(np.linalg.norm(x)), 1e-30)


def random_rotation(width: int, seed: int) -> Float[np.ndarray, "D D"]:
    """An orthogonal map drawn uniformly: the control of a learnt one."""
    q, r = np.linalg.qr(generator(seed, Purpose.RANDOM_MAP).normal(size=(width, width)))
    return q * np.sign(np.diag(r))[None]


@dataclass(frozen=True, eq=False)
class Map:
    """From a source space to a target space.

    Attributes:
      source, target: what normalises each space.
      rotation: from normalised source to normalised target vectors, x W.
      source_mean, target_mean: of the raw vectors.
      scale: how far raw target vectors lie from their mean, over how far source vectors do (root
        mean squares).
    """

    source: Normaliser
    target: Normaliser
    rotation: Float[np.ndarray, "D D"]
    source_mean: Float[np.ndarray, " D"]
    target_mean: Float[np.ndarray, " D"]
    scale: float

    def __call__(self, x: Float[np.ndarray, "n D"]) -> Float[np.ndarray, "n D"]:
        """Source vectors, normalised and rotated: comparable with `target(y)`."""
        return self.source(x) @ self.rotation

    def affine(
        self, rescale: bool = False
    ) -> tuple[Float[np.ndarray, "D D"], Float[np.ndarray, " D"]]:
        """(W, b) that takes raw source states h to h W + b among raw target states: the source's
        mean is moved to the target's, and the other states are rotated about it. Lengths are kept
        unless `rescale` (the paper does not say)."""
        w = self.rotation * np.float32(self.scale if rescale else 1)
        return w, self.target_mean - self.source_mean @ w

    def save(self, path: Path) -> None:
        """Writes one .npz file, complete or not at all."""
        with replacing(path) as file:
            np.savez(
                file,
                source_means=self.source.means,
                target_means=self.target.means,
                lengths=[self.source.lengths, self.target.lengths],
                rotation=self.rotation,
                source_mean=self.source_mean,
                target_mean=self.target_mean,
                scale=self.scale,
            )


def load(path: Path) -> Map:
    """A saved map.

    Raises:
      InputError: no such file, or not a map.
    """
    try:
        with np.load(path) as file:
            of_source, of_target = file["lengths"].tolist()
            return Map(
                Normaliser(file["source_means"], of_source),
                Normaliser(file["target_means"], of_target),
                file["rotation"],
                file["source_mean"],
                file["target_mean"],
                float(file["scale"]),
            )
    except FileNotFoundError as error:
        raise InputError(f"map {path}: no such file") from error
    except (KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"map {path}: not a map ({error})") from error


def fit(
    x: Float[np.ndarray, "n D"],
    y: Float[np.ndarray, "p E"],
    normalise: str = "iterative",
    rotation: str = "procrustes",
    spaces: tuple[Float[np.ndarray, "s D"], Float[np.ndarray, "t E"]] | None = None,
    seed: int = 0,
) -> Map:
    """The map learnt from paired rows.

    Args:
      normalise: of both spaces before the rotation is learnt: iterative (the paper), centre, none.
      rotation: "procrustes"; "identity" (with `centre`: mean-centring only); "random", the control.
      spaces: the vectors that means are taken of, where the pairs are a part of larger spaces (all
        words, of which a dictionary pairs a few); the pairs by default.

    Raises:
      InputError: sides of different width or number, values that are not finite, an unknown choice.
    """
    if rotation not in ROTATIONS:
        raise unknown("rotation", rotation, ROTATIONS)
    if x.shape[1] != y.shape[1]:
        raise InputError(
            f"no map between spaces of width {x.shape[1]} and {y.shape[1]}: it would not be "
            "orthogonal (CKA compares such spaces)"
        )
    if len(x) != len(y):
        raise InputError(f"a map is learnt from pairs: {len(x)} source and {len(y)} target vectors")
    x, y = finite(x, "source vectors"), finite(y, "target vectors")
    all_vectors = (x, y) if spaces is None else spaces
    source, target = (normaliser(space, normalise) for space in all_vectors)
    if rotation == "procrustes":
        matrix = orthogonal(source(x), target(y))
    else:
        matrix = random_rotation(x.shape[1], seed) if rotation == "random" else np.eye(x.shape[1])
    means = [_mean(space) for space in all_vectors]
    spread = [
        float(np.square(space - mean[None]).mean(dtype=np.float64)) ** 0.5
        for space, mean in zip(all_vectors, means, strict=True)
    ]
    scale = spread[1] / max(spread[0], 1e-12)
    return Map(source, target, matrix.astype(np.float32), means[0], means[1], scale)


def _mean(x: np.ndarray) -> np.ndarray:
    return x.mean(0, dtype=np.float64).astype(np.float32)
