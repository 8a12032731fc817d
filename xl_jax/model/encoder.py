"""The transformer encoder of XLM and BERT (paper section 3), as one language sees it.

Shapes in names: B rows, T tokens, D width, H heads, K width of a head, F feed-forward, N = B*T.
Activations stay flat, [N, D], through everything but attention: XLA's CPU backend then needs no
transposing copies in the backward pass (up to a quarter of a step).

Parameters, layer numbers as in the paper:

    embed/token [V, D]   (embed/position [P, D])   embed/norm/{scale,bias}   (embed/language [1, D])
    layer_i/attention/{query,key,value,output}   layer_i/attention_norm
    layer_i/ffn/{up,down}                        layer_i/ffn_norm
    final_norm (pre-norm models only)
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from xl_jax.config import Model
from xl_jax.model import by_platform
from xl_jax.model.custom_vjp import layer_norm, linear
from xl_jax.model.rotary import rotate

Initializer = jax.nn.initializers.Initializer


def _normal(deviation: float) -> Initializer:
    return nn.initializers.normal(deviation)


def _fan_in_uniform(fan_in: int) -> Initializer:
    """PyTorch's default for linear layers, which XLM keeps: U(-fan_in^-0.5, fan_in^-0.5)."""

    def init(
        key: jax.Array, shape: Any, dtype: Any = jnp.float32, out_sharding: Any = None
    ) -> jax.Array:
        return jax.random.uniform(key, shape, dtype, -(fan_in**-0.5), fan_in**-0.5)

    return init


class Linear(nn.Module):
    """x W + b over the last axes of x, in the config's dtype; kernel [*inputs, *outputs]."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    config: Model

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        c = self.config
        fan_in = 1
        for size in self.inputs:
            fan_in *= size
        uniform = _fan_in_uniform(fan_in)
        kernel_init = _normal(c.init_body) if c.init_body else uniform
        bias_init = nn.initializers.zeros if c.init_body else uniform
        kernel = self.param("kernel", kernel_init, (*self.inputs, *self.outputs))
        bias = self.param("bias", bias_init, self.outputs)
        kernel, bias = kernel.astype(c.dtype), bias.astype(c.dtype)
        lead = x.shape[: x.ndim - len(self.inputs)]
        flat = x.astype(c.dtype).reshape(-1, fan_in)
        y = linear(flat, kernel.reshape(fan_in, -1), bias.reshape(-1))
        return y.reshape(*lead, *self.outputs)


class Norm(nn.Module):
    """LayerNorm in float32, whatever the input's type."""

    config: Model

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        scale = self.param("scale", nn.initializers.ones, x.shape[-1:])
        bias = self.param("bias", nn.initializers.zeros, x.shape[-1:])
        flat = x.astype(jnp.float32).reshape(-1, x.shape[-1])
        return layer_norm(flat, scale, bias, self.config.norm_eps).reshape(x.shape).astype(x.dtype)


class Attention(nn.Module):
    """Bidirectional multi-head attention; softmax in float32."""

    config: Model

    @nn.compact
    def __call__(self, x_NxD: jax.Array, attention_mask_BxT: jax.Array, train: bool) -> jax.Array:
        c = self.config
        B, T = attention_mask_BxT.shape
        H, K = c.heads, c.width // c.heads

        def project(name: str) -> jax.Array:
            return Linear((c.width,), (H, K), c, name=name)(x_NxD).reshape(B, T, H, K)

        output = Linear((H, K), (c.width,), c, name="output")
        q_BxTxHxK, k_BxTxHxK, v_BxTxHxK = project("query"), project("key"), project("value")
        if c.position_encoding == "rope":
            q_BxTxHxK, k_BxTxHxK = (rotate(x, c.rope_base) for x in (q_BxTxHxK, k_BxTxHxK))
        if c.attention == "cudnn":  # it takes lengths, so padding has to come last
            # At least 1: nothing says that the kernel's gradient is finite where there is no key.
            length_B = jnp.maximum(attention_mask_BxT.sum(1, dtype=jnp.int32), 1)
            mixed_BxTxHxK = jax.nn.dot_product_attention(
                *(q_BxTxHxK, k_BxTxHxK, v_BxTxHxK),
                query_seq_lengths=T + 0 * length_B,  # vmap cannot batch a constant
                key_value_seq_lengths=length_B,
                implementation="cudnn",
            )
            return output(mixed_BxTxHxK.reshape(B * T, H, K))
        scores_BxHxTxT = jnp.einsum("BTHK,BSHK->BHTS", q_BxTxHxK * K**-0.5, k_BxTxHxK)
        scores_BxHxTxT = scores_BxHxTxT.astype(jnp.float32)
        scores_BxHxTxT = jnp.where(attention_mask_BxT[:, None, None, :], scores_BxHxTxT, -1e30)
        weights_BxHxTxT = jax.nn.softmax(scores_BxHxTxT, axis=-1).astype(c.dtype)
        weights_BxHxTxT = Dropout(c.attention_dropout)(weights_BxHxTxT, train)
        mixed_BxTxHxK = jnp.einsum("BHTS,BSHK->BTHK", weights_BxHxTxT, v_BxTxHxK)
        return output(mixed_BxTxHxK.reshape(B * T, H, K))


class Dropout(nn.Module):
    """flax's dropout, the same choices by the same keys, in the platform's form."""

    rate: float

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        if not train or self.rate == 0:
            return x
        kept = jax.random.bernoulli(self.make_rng("dropout"), 1.0 - self.rate, x.shape)
        return by_platform.dropout(x, kept, self.rate)


ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "gelu": by_platform.gelu,
    "gelu_tanh": partial(jax.nn.gelu, approximate=True),
    "relu": jax.nn.relu,
}


class FeedForward(nn.Module):
    """Two linear maps around the activation, by default the exact (erf) GELU."""

    config: Model

    @nn.compact
    def __call__(self, x_NxD: jax.Array) -> jax.Array:
        c = self.config
        h_NxF = Linear((c.width,), (c.ffn,), c, name="up")(x_NxD)
        return Linear((c.ffn,), (c.width,), c, name="down")(ACTIVATIONS[c.activation](h_NxF))


class Layer(nn.Module):
    """One transformer layer, LayerNorm after (post) or before (pre) each residual branch."""

    config: Model

    @nn.compact
    def __call__(self, x_NxD: jax.Array, attention_mask_BxT: jax.Array, train: bool) -> jax.Array:
        c = self.config
        attention, feed_forward = Attention(c, name="attention"), FeedForward(c, name="ffn")
        norm1, norm2 = Norm(c, name="attention_norm"), Norm(c, name="ffn_norm")
        drop = partial(Dropout(c.dropout), train=train)
        if c.norm == "post":
            x_NxD = norm1(x_NxD + drop(attention(x_NxD, attention_mask_BxT, train)))
            return norm2(x_NxD + drop(feed_forward(x_NxD)))
        x_NxD = x_NxD + drop(attention(norm1(x_NxD), attention_mask_BxT, train))
        return x_NxD + drop(feed_forward(norm2(x_NxD)))


class Embed(nn.Module):
    """Token (+ learned position) (+ language) embeddings; LayerNorm (post-norm models); dropout."""

    config: Model
    vocab_size: int

    def setup(self) -> None:
        c = self.config
        xlm = c.width**-0.5
        self.token = self.param("token", _normal(c.init_token or xlm), (self.vocab_size, c.width))
        if c.position_encoding == "learned":
            self.position = self.param(
                "position", _normal(c.init_position or xlm), (c.positions, c.width)
            )
        if c.language_embedding:  # [1, D] a view; the mask makes it private
            self.language = self.param("language", _normal(c.init_token or xlm), (1, c.width))
        if c.norm == "post":
            self.norm = Norm(c)
        self.dropout = Dropout(c.dropout)

    def __call__(self, tokens_BxT: jax.Array, train: bool) -> jax.Array:
        x_BxTxD = self.token[tokens_BxT]
        if self.config.position_encoding == "learned":
            x_BxTxD = x_BxTxD + self.position[None, : tokens_BxT.shape[1]]
        if self.config.language_embedding:
            x_BxTxD = x_BxTxD + self.language[None]
        if self.config.norm == "post":
            x_BxTxD = self.norm(x_BxTxD)
        x_NxD = x_BxTxD.reshape(-1, self.config.width).astype(self.config.dtype)
        return self.dropout(x_NxD, train)


class Encoder(nn.Module):
    """Tokens to hidden states. Linen; `apply` with one language's view of the parameters."""

    config: Model
    vocab_size: int

    def setup(self) -> None:
        c = self.config
        self.embed = Embed(c, self.vocab_size)
        layer = nn.remat(Layer, static_argnums=(3,)) if c.remat else Layer  # 3: `train`
        self.layers = [layer(c, name=f"layer_{i}") for i in range(1, c.layers + 1)]
        if c.norm == "pre":
            self.final_norm = Norm(c)

    def __call__(
        self,
        tokens_BxT: Int[Array, "B T"],
        attention_mask_BxT: Bool[Array, "B T"],
        train: bool = False,
        all_layers: bool = False,
    ) -> Float[Array, "B T D"] | Float[Array, "L B T D"]:
        """The top layer's states, or those of every layer: 0 the embeddings, then 1..layers.

        `attention_mask_BxT` is False at padding, which no token attends to. `train` turns dropout
        on (rng "dropout"). The top state of a pre-norm model includes its final LayerNorm.
        """
        states = [self.embed(tokens_BxT, train)]
        for layer in self.layers:
            states.append(layer(states[-1], attention_mask_BxT, train))
        if self.config.norm == "pre":
            states[-1] = self.final_norm(states[-1])
        shape = (*tokens_BxT.shape, self.config.width)
        if all_layers:
            return jnp.stack([x_NxD.reshape(shape) for x_NxD in states])
        return states[-1].reshape(shape)
