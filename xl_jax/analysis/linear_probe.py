"""A linear classifier of labelled vectors: what can be read off frozen states, and read in another
language by the classifier of the first.

Multinomial logistic regression, as the field's probes are (Alain and Bengio 2017). Its loss is
convex: L-BFGS on all vectors finds the one minimum from zero, without seed, batches or learning
rate. Ridge regression onto one-hot labels has a closed form, but reads tags less accurately.

Letters in names: n vectors, L layers, D width, C classes.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from xl_jax.analysis.vectors import finite
from xl_jax.progress import counted

STRENGTHS = (1e-3, 1e-4, 1e-5)  # of the squared weights beside the mean loss; strongest first
ITERATIONS = 100  # at most, of each strength; each starts from the weights of the one before
FLAT = 3e-3  # the gradient's norm at which the minimum counts as found


class Probe(NamedTuple):
    """One classifier a layer, of standardised vectors: (x - mean) / sd."""

    mean: Float[np.ndarray, "L D"]
    sd: Float[np.ndarray, "L D"]
    weight: Float[np.ndarray, "L D C"]
    bias: Float[np.ndarray, "L C"]
    strength: Float[np.ndarray, " L"]  # of the regularisation, chosen on the development set
    dev: Float[np.ndarray, " L"]  # accuracy on it

    def logits(
        self, x: Float[np.ndarray, "L n D"], mean: Float[np.ndarray, "L D"] | None = None
    ) -> Float[np.ndarray, "L n C"]:
        """What the classifiers say of vectors.

        Args:
          mean: of the language that they are of, in place of the training language's: it takes off
            what lies between the languages by a constant.
        """
        mean = self.mean if mean is None else mean
        z = (finite(x, "vectors") - mean[:, None]) / self.sd[:, None]
        return np.einsum("LnD,LDC->LnC", z, self.weight, optimize=True) + self.bias[:, None]


def fit(
    x: Float[np.ndarray, "L n D"],
    labels: Int[np.ndarray, " n"],
    dev_x: Float[np.ndarray, "L m D"],
    dev_labels: Int[np.ndarray, " m"],
) -> Probe:
    """The classifiers that training vectors give, each layer with the strength of `STRENGTHS` that
    is most accurate on the development vectors (of equal ones the strongest).

    Args:
      labels, dev_labels: from 0. A development label that training does not have, such as -1, is
        an error whatever the strength.

    Raises:
      InputError: no vectors, or values that are not finite.
    """
    x, dev_x = finite(x, "training vectors"), finite(dev_x, "development vectors")
    shape = x.shape[2], int(labels.max()) + 1
    y_nxC = jax.nn.one_hot(labels, shape[1])
    layers = []
    for x_nxD, dev_mxD in zip(counted(x, "layers probed"), dev_x, strict=True):
        mean, sd = x_nxD.mean(0), np.maximum(x_nxD.std(0), 1e-6)
        z_nxD = jnp.asarray((x_nxD - mean[None]) / sd[None])
        dev_z = (dev_mxD - mean[None]) / sd[None]
        weights = jnp.zeros(shape), jnp.zeros(shape[1])
        tried = []
        for strength in STRENGTHS:
            weights = _minimum(z_nxD, y_nxC, jnp.float32(strength), weights)
            weight, bias = jax.device_get(weights)
            right = ((dev_z @ weight + bias[None]).argmax(-1) == dev_labels).mean()
            tried.append((mean, sd, weight, bias, np.float64(strength), right))
        layers.append(max(tried, key=lambda one: one[-1]))
    return Probe(*map(np.stack, zip(*layers, strict=True)))


@jax.jit
def _minimum(
    z_nxD: Array, y_nxC: Array, strength: Array, weights: tuple[Array, Array]
) -> tuple[Array, Array]:
    """(weight [D, C], bias [C]) of the least mean loss plus strength x squared weights."""

    def loss(weights: tuple[Array, Array]) -> Array:
        weight_DxC, bias_C = weights
        logits_nxC = z_nxD @ weight_DxC + bias_C[None]
        losses = optax.softmax_cross_entropy(logits_nxC, y_nxC)
        return losses.mean() + strength * jnp.square(weight_DxC).sum()

    tx = optax.lbfgs()
    value_and_grad = optax.value_and_grad_from_state(loss)

    def steep(at: Any) -> Array:
        return (at[0] < ITERATIONS) & (at[1] > FLAT)

    def step(at: Any) -> Any:
        i, _, weights, state = at
        value, grad = value_and_grad(weights, state=state)
        updates, state = tx.update(grad, state, weights, value=value, grad=grad, value_fn=loss)
        weights = optax.apply_updates(weights, updates)
        return i + 1, optax.tree.norm(grad), weights, state

    start: Any = (0, jnp.inf, weights, tx.init(weights))
    return jax.lax.while_loop(steep, step, start)[2]
