"""The transformer encoder of XLM and BERT (paper section 3), as one language sees it.

Shapes in names: B rows, T tokens, D width, H heads, K width of a head, F feed-forward, N = B*T.
Activations stay flat, [N, D], through everything but attention: XLA's CPU backend then needs no
transposing copies in the backward pass (up to a quarter of a step).

Parameters, layer numbers as in the paper:

    embed/token [V, D]   (embed/position [P, D])   (embed/norm)   (embed/language [1, D])
    layer_i/attention/{query,key,value,output}   layer_i/attention_norm
    layer_i/ffn/{up,(gate),down}                 layer_i/ffn_norm
    final_norm (pre-norm models only)

Those in brackets are there where an option of `Model` says so, as are biases (docs/encoder.md).
"""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from xl_jax.config import Model
from xl_jax.model.attention import Attention, at
from xl_jax.model.dropout import Dropout
from xl_jax.model.embeddings import Embed
from xl_jax.model.feed_forward import FeedForward
from xl_jax.model.norm import Norm


class Layer(nn.Module):
    """One transformer layer, a norm after (post) or before (pre) each residual branch.

    Attributes:
      local: its attention is.
      normed: its input comes from a norm, so that its attention has none before it.
    """

    config: Model
    local: bool = False
    normed: bool = False

    @nn.compact
    def __call__(
        self,
        x_NxD: jax.Array,
        attention_mask_BxT: jax.Array,
        train: bool,
        positions_BxQ: jax.Array | None = None,
    ) -> jax.Array:
        """States of all tokens or, [B*Q, D], those at some positions, which read all tokens."""
        c = self.config
        attention = Attention(c, self.local, name="attention")
        feed_forward = FeedForward(c, name="ffn")
        norm1, norm2 = Norm(c, name="attention_norm"), Norm(c, name="ffn_norm")
        drop = partial(Dropout(c.dropout), train=train)
        read_NxD = x_NxD if c.norm == "post" or self.normed else norm1(x_NxD)
        mixed_NxD = attention(read_NxD, attention_mask_BxT, train, positions_BxQ)
        x_NxD = at(x_NxD, attention_mask_BxT.shape[1], positions_BxQ) + drop(mixed_NxD)
        if c.norm == "post":
            x_NxD = norm1(x_NxD)
            return norm2(x_NxD + drop(feed_forward(x_NxD)))
        return x_NxD + drop(feed_forward(norm2(x_NxD)))


class Encoder(nn.Module):
    """Tokens to hidden states. Linen; `apply` with one language's view of the parameters."""

    config: Model
    vocab_size: int

    def setup(self) -> None:
        c = self.config
        self.embed = Embed(c, self.vocab_size)
        layer = nn.remat(Layer, static_argnums=(3,)) if c.remat else Layer  # 3: `train`
        self.layers = [
            layer(c, c.is_local(i), c.embed_norm and i == 1, name=f"layer_{i}")
            for i in range(1, c.layers + 1)
        ]
        if c.norm == "pre":
            self.final_norm = Norm(c)

    def __call__(
        self,
        tokens_BxT: Int[Array, "B T"],
        attention_mask_BxT: Bool[Array, "B T"],
        train: bool = False,
        all_layers: bool = False,
        positions_BxQ: Int[Array, "B Q"] | None = None,
    ) -> Float[Array, "B T D"] | Float[Array, "B Q D"] | Float[Array, "L B T D"]:
        """The top layer's states, or those of every layer: 0 the embeddings, then 1..layers; or
        with `positions_BxQ` the top layer's at these positions, and no others are computed.

        `attention_mask_BxT` is False at padding, which no token attends to; nor, with
        `Model.causal`, to later ones. `train` turns dropout on (rng "dropout"). The top state of a
        pre-norm model includes its final norm.
        """
        states = [self.embed(tokens_BxT, train)]
        for layer in self.layers[:-1]:
            states.append(layer(states[-1], attention_mask_BxT, train))
        states.append(self.layers[-1](states[-1], attention_mask_BxT, train, positions_BxQ))
        if self.config.norm == "pre":
            states[-1] = self.final_norm(states[-1])
        B, D = len(tokens_BxT), self.config.width
        if all_layers:
            return jnp.stack([x_NxD.reshape(B, -1, D) for x_NxD in states])
        return states[-1].reshape(B, -1, D)
