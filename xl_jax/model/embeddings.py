"""Tokens to the states that the first layer reads. Letters: B rows, T tokens, D width, N = B*T."""

import flax.linen as nn
import jax

from xl_jax.config import Model
from xl_jax.model.dropout import Dropout
from xl_jax.model.linear import normal
from xl_jax.model.norm import Norm


class Embed(nn.Module):
    """Token (+ learned position) (+ language) embeddings; norm, where there is one; dropout."""

    config: Model
    vocab_size: int

    def setup(self) -> None:
        c = self.config
        xlm = c.width**-0.5
        self.token = self.param("token", normal(c.init_token or xlm), (self.vocab_size, c.width))
        if c.position_encoding == "learned":
            self.position = self.param(
                "position", normal(c.init_position or xlm), (c.positions, c.width)
            )
        if c.language_embedding:  # [1, D] a view; the mask makes it private
            self.language = self.param("language", normal(c.init_token or xlm), (1, c.width))
        if c.normed_embeddings:
            self.norm = Norm(c)
        self.dropout = Dropout(c.dropout)

    def __call__(self, tokens_BxT: jax.Array, train: bool) -> jax.Array:
        x_BxTxD = self.token[tokens_BxT]
        if self.config.position_encoding == "learned":
            x_BxTxD = x_BxTxD + self.position[None, : tokens_BxT.shape[1]]
        if self.config.language_embedding:
            x_BxTxD = x_BxTxD + self.language[None]
        if self.config.normed_embeddings:
            x_BxTxD = self.norm(x_BxTxD)
        x_NxD = x_BxTxD.reshape(-1, self.config.width).astype(self.config.dtype)
        return self.dropout(x_NxD, train)
