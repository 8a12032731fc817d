"""What sits on an encoder: the masked-language-model head (its parameters: mlm/bias [V]), and the
heads of the downstream tasks (paper section 5): from word states to scores, all with one signature.

Letters in names: B sentences, W words, D width, C classes, R relations.
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from xl_jax.config import Model
from xl_jax.model.custom_vjp import linear
from xl_jax.model.encoder import Encoder


class Bias(nn.Module):
    """A parameter of its own: mlm/bias."""

    size: int

    @nn.compact
    def __call__(self) -> Float[Array, " V"]:
        return self.param("bias", nn.initializers.zeros, (self.size,))


class MaskedLM(nn.Module):
    """Encoder and tied softmax with bias (XLM), over the predicted positions only.

    The encoder's parameters stand at the top of the tree, beside the head's.
    """

    config: Model
    vocab_size: int

    def setup(self) -> None:
        self.encoder = Encoder(self.config, self.vocab_size)
        nn.share_scope(self, self.encoder)
        self.mlm = Bias(self.vocab_size)

    def __call__(
        self,
        tokens_BxT: Int[Array, "B T"],
        real_BxT: Bool[Array, "B T"],
        positions_BxP: Int[Array, "B P"],
        allowed_V: Bool[Array, " V"],
        train: bool = False,
    ) -> Float[Array, "B P V"]:
        """float32 logits at the given positions; -1e30 for the pieces that are not allowed."""
        c = self.config
        x_BxTxD = self.encoder(tokens_BxT, real_BxT, train)
        h_BxPxD = jnp.take_along_axis(x_BxTxD, positions_BxP[:, :, None], axis=1)
        B, P, D = h_BxPxD.shape
        table_VxD = self.encoder.embed.token.astype(c.dtype)
        logits_BPxV = linear(h_BxPxD.reshape(B * P, D), table_VxD.T, self.mlm())
        logits_BPxV = jnp.where(allowed_V[None], logits_BPxV, -1e30)
        return logits_BPxV.reshape(B, P, self.vocab_size)

    def states(
        self, tokens_BxT: Int[Array, "B T"], real_BxT: Bool[Array, "B T"]
    ) -> Float[Array, "L B T D"]:
        """Hidden states of every layer, no dropout (see `Encoder`)."""
        return self.encoder(tokens_BxT, real_BxT, all_layers=True)
