"""What every comparison asks of its vectors, one a row: finite values; of two sets, one width."""

import numpy as np
from jaxtyping import Float

from xl_jax.errors import InputError


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


def one_space(
    x: Float[np.ndarray, "n D"], y: Float[np.ndarray, "m E"]
) -> tuple[Float[np.ndarray, "n D"], Float[np.ndarray, "m E"]]:
    """Both in float32.

    Raises:
      InputError: different widths, no vectors, or values that are not finite.
    """
    if x.shape[1] != y.shape[1]:
        raise InputError(f"vectors of width {x.shape[1]} and of width {y.shape[1]} do not compare")
    return finite(x, "source vectors"), finite(y, "target vectors")


def unit(x: Float[np.ndarray, "n D"]) -> Float[np.ndarray, "n D"]:
    """x scaled to length 1; a zero vector stays zero."""
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12)
