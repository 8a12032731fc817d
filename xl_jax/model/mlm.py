"""A language model, of masked tokens or of next ones: the encoder and the head on it.

Letters in names: B rows, T tokens, P predicted positions, D width, V pieces, N = B*P.
Parameters of the head: mlm/bias [V], and with `Model.mlm_transform` mlm/dense, mlm/norm.
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from xl_jax.config import Model
from xl_jax.model.custom_vjp import linear
from xl_jax.model.encoder import Encoder
from xl_jax.model.feed_forward import ACTIVATIONS
from xl_jax.model.linear import Linear
from xl_jax.model.norm import Norm


class Head(nn.Module):
    """Softmax tied to the token embeddings, with a bias (XLM); after a linear layer, activation and
    LayerNorm where the config says so (BERT)."""

    config: Model
    vocab_size: int

    @nn.compact
    def __call__(
        self, h_NxD: Float[Array, "N D"], table_VxD: Float[Array, "V D"]
    ) -> Float[Array, "N V"]:
        c = self.config
        if c.mlm_transform:
            h_NxD = Linear((c.width,), (c.width,), c, c.bias, name="dense")(h_NxD)
            h_NxD = Norm(c, name="norm")(ACTIVATIONS[c.activation](h_NxD))
        bias_V = self.param("bias", nn.initializers.zeros, (self.vocab_size,))
        return linear(h_NxD, table_VxD.astype(c.dtype).T, bias_V)


class MaskedLM(nn.Module):
    """Encoder and head, over the predicted positions only.

    The encoder's parameters stand at the top of the tree, beside the head's.
    """

    config: Model
    vocab_size: int

    def setup(self) -> None:
        self.encoder = Encoder(self.config, self.vocab_size)
        nn.share_scope(self, self.encoder)
        self.mlm = Head(self.config, self.vocab_size)

    def __call__(
        self,
        tokens_BxT: Int[Array, "B T"],
        attention_mask_BxT: Bool[Array, "B T"],
        positions_BxP: Int[Array, "B P"],
        allowed_V: Bool[Array, " V"],
        train: bool = False,
    ) -> Float[Array, "B P V"]:
        """float32 logits at the given positions; -1e30 for the pieces that are not allowed."""
        if self.config.last_layer == "predicted":
            h_BxPxD = self.encoder(
                tokens_BxT, attention_mask_BxT, train, positions_BxQ=positions_BxP
            )
        else:
            x_BxTxD = self.encoder(tokens_BxT, attention_mask_BxT, train)
            h_BxPxD = jnp.take_along_axis(x_BxTxD, positions_BxP[:, :, None], axis=1)
        B, P, D = h_BxPxD.shape
        logits_BPxV = self.mlm(h_BxPxD.reshape(B * P, D), self.encoder.embed.token)
        logits_BPxV = jnp.where(allowed_V[None], logits_BPxV, -1e30)
        return logits_BPxV.reshape(B, P, self.vocab_size)

    def states(
        self, tokens_BxT: Int[Array, "B T"], attention_mask_BxT: Bool[Array, "B T"]
    ) -> Float[Array, "L B T D"]:
        """Hidden states of every layer, no dropout (see `Encoder`)."""
        return self.encoder(tokens_BxT, attention_mask_BxT, all_layers=True)
