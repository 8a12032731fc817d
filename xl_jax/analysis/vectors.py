"""What every comparison asks of its vectors, one a row: finite values; of two sets, one width."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float

from xl_jax.errors import InputError


class Rows:
    """Vectors that are changed when they are read, some rows at a time: a changed copy of a million
    vectors would take as much memory as they do.

    Args:
      vectors: as they are; `base` is the array.
      change: of any rows; it does not look at others, and keeps their number and width.
    """

    def __init__(
        self,
        vectors: "Float[np.ndarray, '_ _'] | Rows",
        change: Callable[[np.ndarray], np.ndarray],
    ) -> None:
        self._vectors, self._change = vectors, change
        self.shape: tuple[int, ...] = vectors.shape
        self.base: np.ndarray = vectors.base if isinstance(vectors, Rows) else vectors

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> np.ndarray:
        return self._change(self._vectors[rows])


Vectors = Float[np.ndarray, "_ _"] | Rows  # one a row


def finite(x: Float[np.ndarray, "... n D"], name: str) -> Float[np.ndarray, "... n D"]:
    """x in float32.

    Raises:
      InputError: a value that is not finite, or no vector at all.
    """
    if x.shape[-2] == 0:
        raise InputError(f"{name}: no vectors")
    x = np.asarray(x, np.float32)
    if not np.isfinite(x.sum(dtype=np.float64)):  # one sum, no copy; look closer only if it fails
        row = int(np.argwhere(~np.isfinite(x).all(-1))[0][-1])
        raise InputError(f"{name}: vector {row} of {x.shape[-2]} holds a value that is not finite")
    return x


def one_space(x: Any, y: Any) -> tuple[Any, Any]:
    """Both [n, D] and [m, D] in float32; `Rows` as they are, the array behind them checked.

    Raises:
      InputError: different widths, no vectors, or values that are not finite.
    """
    if x.shape[1] != y.shape[1]:
        raise InputError(f"vectors of width {x.shape[1]} and of width {y.shape[1]} do not compare")
    return _checked(x, "source vectors"), _checked(y, "target vectors")


def _checked(x: Any, name: str) -> Any:
    if not isinstance(x, Rows):
        return finite(x, name)
    finite(x.base, name)
    return x


def unit(x: Float[np.ndarray, "n D"]) -> Float[np.ndarray, "n D"]:
    """x scaled to length 1; a zero vector stays zero."""
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12)
