"""Self-attention. Letters: B rows, T tokens, D width, H heads, K width of a head, N = B*T."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from xl_jax.config import Model
from xl_jax.model.dropout import Dropout
from xl_jax.model.linear import Linear
from xl_jax.model.rotary import rotate


class Attention(nn.Module):
    """Multi-head attention; softmax in float32. With `Model.causal` a token sees itself and those
    before it. A `local` layer's tokens see `Model.window` / 2 tokens to each side, and no others
    (Beltagy et al. 2020, section 3.1). All scores are computed, so neither saves time."""

    config: Model
    local: bool = False

    @nn.compact
    def __call__(self, x_NxD: jax.Array, attention_mask_BxT: jax.Array, train: bool) -> jax.Array:
        c = self.config
        B, T = attention_mask_BxT.shape
        H, K = c.heads, c.width // c.heads

        def project(name: str) -> jax.Array:
            return Linear((c.width,), (H, K), c, c.bias, name=name)(x_NxD).reshape(B, T, H, K)

        output = Linear((H, K), (c.width,), c, c.bias, name="output")
        q_BxTxHxK, k_BxTxHxK, v_BxTxHxK = project("query"), project("key"), project("value")
        if c.position_encoding == "rope":
            base = c.rope_base_local if self.local else c.rope_base
            q_BxTxHxK, k_BxTxHxK = rotate(q_BxTxHxK, base), rotate(k_BxTxHxK, base)
        if c.attention == "cudnn":  # it takes lengths, so padding has to come last
            # At least 1: nothing says that the kernel's gradient is finite where there is no key.
            length_B = jnp.maximum(attention_mask_BxT.sum(1, dtype=jnp.int32), 1)
            mixed_BxTxHxK = jax.nn.dot_product_attention(
                *(q_BxTxHxK, k_BxTxHxK, v_BxTxHxK),
                query_seq_lengths=T + 0 * length_B,  # vmap cannot batch a constant
                key_value_seq_lengths=length_B,
                is_causal=c.causal,
                implementation="cudnn",
            )
            return output(mixed_BxTxHxK.reshape(B * T, H, K))
        scores_BxHxTxT = jnp.einsum("BTHK,BSHK->BHTS", q_BxTxHxK * K**-0.5, k_BxTxHxK)
        scores_BxHxTxT = scores_BxHxTxT.astype(jnp.float32)
        seen_Bx1xTxT = attention_mask_BxT[:, None, None, :]
        back_TxT = jnp.arange(T)[:, None] - jnp.arange(T)[None]  # from query to key
        if self.local:
            seen_Bx1xTxT = seen_Bx1xTxT & (jnp.abs(back_TxT) <= c.window // 2)[None, None]
        if c.causal:
            seen_Bx1xTxT = seen_Bx1xTxT & (back_TxT >= 0)[None, None]
        scores_BxHxTxT = jnp.where(seen_Bx1xTxT, scores_BxHxTxT, -1e30)
        weights_BxHxTxT = jax.nn.softmax(scores_BxHxTxT, axis=-1).astype(c.dtype)
        weights_BxHxTxT = Dropout(c.attention_dropout)(weights_BxHxTxT, train)
        mixed_BxTxHxK = jnp.einsum("BHTS,BSHK->BTHK", weights_BxHxTxT, v_BxTxHxK)
        return output(mixed_BxTxHxK.reshape(B * T, H, K))
