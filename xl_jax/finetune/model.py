"""The fine-tuned model: a pretrained encoder or its first layers, new layers, a task's head.

Its parameters are flat, path -> leaf, as `rules` names them: the encoder's own paths, `new_i/...`,
`head/...`. Some are trainable and the rest are frozen.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict
from jaxtyping import Array, Bool, Float, Int

from xl_jax.config import Model
from xl_jax.model import leaf_parts
from xl_jax.model.encoder import Encoder, Layer
from xl_jax.tokens.special import PAD

Leaves = dict[str, Any]  # path -> array
NEW = ("head/", "new_")  # how the paths begin of what was not pretrained
TOP = -1


class Tuned(nn.Module):
    """Linen module of the whole; `apply` with {"params": unflatten(leaves)}.

    Attributes:
      layer: the head (or the first new layer) reads the states of this layer, 0 the embeddings;
        TOP = the last.
      new_layers: transformer layers between them and the head.
      frozen: no dropout in the encoder, none of whose parameters are tuned.
    """

    config: Model
    vocab_size: int
    head: nn.Module
    layer: int = TOP
    new_layers: int = 0
    frozen: bool = False

    def setup(self) -> None:
        self.encoder = Encoder(self.config, self.vocab_size)
        nn.share_scope(self, self.encoder)
        self.new = [Layer(self.config, name=f"new_{i}") for i in range(1, self.new_layers + 1)]

    def __call__(
        self,
        tokens_BxKxT: Int[Array, "B K T"],
        read_at_BxW: Int[Array, "B W"],
        labels: dict[str, Int[Array, "B W"]] | None = None,
        train: bool = False,
        affine: tuple[Float[Array, "D D"], Float[Array, " D"]] | None = None,
    ) -> dict[str, Array]:
        """The head's outputs for sentences of K windows.

        Args:
          read_at_BxW: the position of each word's state in the windows, one after the other (see
            `tasks.rows`); negative for a word that has none.
          labels: for heads that look at the right answer in training.
          affine: (W, b) that takes the encoder's states h to h W + b: another encoder's states
            into the space in which new layers and head were trained (paper section 5.1.2).
        """
        x_BxKTxD = self.states(tokens_BxKxT, train, affine)
        at_BxWx1 = jnp.maximum(read_at_BxW, 0)[:, :, None]
        x_BxWxD = jnp.take_along_axis(x_BxKTxD, at_BxWx1, axis=1)
        return self.head(x_BxWxD, read_at_BxW >= 0, labels, train)

    def states(
        self, tokens_BxKxT: Int[Array, "B K T"], train: bool, affine: Any
    ) -> Float[Array, "B KT D"]:
        B, K, T = tokens_BxKxT.shape
        tokens_NxT = tokens_BxKxT.reshape(B * K, T)
        attention_mask_NxT: Bool[Array, "N T"] = tokens_NxT != PAD
        x_NxTxD = self.encoder(
            tokens_NxT, attention_mask_NxT, train and not self.frozen, all_layers=self.layer != TOP
        )
        if self.layer != TOP:
            x_NxTxD = x_NxTxD[self.layer]  # what lies above is not computed under jit
        D = self.config.width
        if affine is not None:
            x_NxTxD = (x_NxTxD @ affine[0] + affine[1][None, None]).astype(x_NxTxD.dtype)
        x_MxD = x_NxTxD.reshape(B * K * T, D)
        for layer in self.new:
            x_MxD = layer(x_MxD, attention_mask_NxT, train)
        return x_MxD.reshape(B, K * T, D)


def init_new(module: Tuned, key: jax.Array) -> Leaves:
    """New layers and head at the start."""

    @jax.jit
    def init(key: jax.Array) -> Leaves:  # what is left out is not computed
        tokens = jnp.ones((1, 1, 4), jnp.int32)
        leaves = flatten(module.init(key, tokens, jnp.zeros((1, 2), jnp.int32))["params"])
        return {path: leaf for path, leaf in leaves.items() if path.startswith(NEW)}

    return init(key)


def flatten(tree: Any) -> Leaves:
    """path -> leaf of a nested tree of parameters."""
    return flatten_dict(tree, sep="/")


def unflatten(leaves: Leaves) -> Any:
    """The nested tree, with leaves in parts joined."""
    return leaf_parts.join(unflatten_dict(leaves, sep="/"))
