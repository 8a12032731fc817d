"""Linear centred kernel alignment: are two sets of representations the same up to a rotation?"""

import numpy as np
from jaxtyping import Float


def linear_cka(x: Float[np.ndarray, "n width"], y: Float[np.ndarray, "n other"]) -> float:
    """||Yc'Xc||^2 / (||Xc'Xc|| ||Yc'Yc||), Frobenius, columns centred; rows are paired items.

    In 0..1; 1 for spaces equal up to an orthogonal map and a scale (Kornblith et al. 2019; paper
    section 5.2). Small n overestimates: compare with `shuffled_cka`.
    """
    x = np.asarray(x, np.float64) - x.mean(0, dtype=np.float64)
    y = np.asarray(y, np.float64) - y.mean(0, dtype=np.float64)
    cross = float(np.linalg.norm(y.T @ x)) ** 2
    own = float(np.linalg.norm(x.T @ x)) * float(np.linalg.norm(y.T @ y))
    return cross / max(own, 1e-300)


def shuffled_cka(
    x: Float[np.ndarray, "n width"], y: Float[np.ndarray, "n other"], random: np.random.Generator
) -> float:
    """The chance level of `linear_cka`: mean over three random pairings of the same rows."""
    return float(np.mean([linear_cka(x, y[random.permutation(len(y))]) for _ in range(3)]))
