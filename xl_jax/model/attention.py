"""Self-attention. Letters: B rows, T tokens, D width, H heads, K width of a head, N = B*T, Q the
tokens of a row whose states are computed."""

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
    (Beltagy et al. 2020, section 3.1). All scores are computed, so neither saves time.

    With `positions_BxQ` the states at these positions alone are computed, [B*Q, D]; they read all
    tokens. The fused kernel is then left out: these scores are few.
    """

    config: Model
    local: bool = False

    @nn.compact
    def __call__(
        self,
        x_NxD: jax.Array,
        attention_mask_BxT: jax.Array,
        train: bool,
        positions_BxQ: jax.Array | None = None,
    ) -> jax.Array:
        c = self.config
        B, T = attention_mask_BxT.shape
        H, K = c.heads, c.width // c.heads

        def project(name: str, of: jax.Array) -> jax.Array:
            return Linear((c.width,), (H, K), c, c.bias, name=name)(of).reshape(B, -1, H, K)

        output = Linear((H, K), (c.width,), c, c.bias, name="output")
        q_BxQxHxK = project("query", at(x_NxD, T, positions_BxQ))
        k_BxTxHxK, v_BxTxHxK = project("key", x_NxD), project("value", x_NxD)
        key_1xT = jnp.arange(T)[None]
        query_BxQ = key_1xT if positions_BxQ is None else positions_BxQ
        if c.position_encoding == "rope":
            base = c.rope_base_local if self.local else c.rope_base
            q_BxQxHxK = rotate(q_BxQxHxK, query_BxQ, base)
            k_BxTxHxK = rotate(k_BxTxHxK, key_1xT, base)
        if c.attention == "cudnn" and positions_BxQ is None:
            # It takes lengths, so padding has to come last.
            # At least 1: nothing says that the kernel's gradient is finite where there is no key.
            length_B = jnp.maximum(attention_mask_BxT.sum(1, dtype=jnp.int32), 1)
            mixed_BxTxHxK = jax.nn.dot_product_attention(
                *(q_BxQxHxK, k_BxTxHxK, v_BxTxHxK),
                query_seq_lengths=T + 0 * length_B,  # vmap cannot batch a constant
                key_value_seq_lengths=length_B,
                is_causal=c.causal,
                implementation="cudnn",
            )
            return output(mixed_BxTxHxK.reshape(B * T, H, K))
        scores_BxHxQxT = jnp.einsum("BQHK,BTHK->BHQT", q_BxQxHxK * K**-0.5, k_BxTxHxK)
        scores_BxHxQxT = scores_BxHxQxT.astype(jnp.float32)
        seen_Bx1xQxT = attention_mask_BxT[:, None, None, :]
        back_Bx1xQxT = query_BxQ[:, None, :, None] - key_1xT[:, None, None, :]
        if self.local:
            seen_Bx1xQxT = seen_Bx1xQxT & (jnp.abs(back_Bx1xQxT) <= c.window // 2)
        if c.causal:
            seen_Bx1xQxT = seen_Bx1xQxT & (back_Bx1xQxT >= 0)
        scores_BxHxQxT = jnp.where(seen_Bx1xQxT, scores_BxHxQxT, -1e30)
        weights_BxHxQxT = jax.nn.softmax(scores_BxHxQxT, axis=-1).astype(c.dtype)
        weights_BxHxQxT = Dropout(c.attention_dropout)(weights_BxHxQxT, train)
        mixed_BxQxHxK = jnp.einsum("BHQT,BTHK->BQHK", weights_BxHxQxT, v_BxTxHxK)
        return output(mixed_BxQxHxK.reshape(-1, H, K))


def at(x_NxD: jax.Array, T: int, positions_BxQ: jax.Array | None) -> jax.Array:
    """The states [B*Q, D] at the given positions of rows of T tokens; all where none are given."""
    if positions_BxQ is None:
        return x_NxD
    x_BxTxD = x_NxD.reshape(-1, T, x_NxD.shape[1])
    x_BxQxD = jnp.take_along_axis(x_BxTxD, positions_BxQ[:, :, None], axis=1)
    return x_BxQxD.reshape(-1, x_NxD.shape[1])
