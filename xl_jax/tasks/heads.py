"""The heads of the downstream tasks (paper section 5): from word states to scores, all with one
signature.

Letters in names: B sentences, W words, D width, C classes, R relations.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from xl_jax.config import Model
from xl_jax.model.linear import Linear


class Classifier(nn.Module):
    """Dropout and a linear layer on each word's state (NLI: on one token's alone).

    out/kernel [D, C]   out/bias [C]
    """

    config: Model
    classes: int
    dropout: float

    @nn.compact
    def __call__(
        self,
        x_BxWxD: Float[Array, "B W D"],
        known_BxW: Bool[Array, "B W"],
        labels: dict[str, Int[Array, "B W"]] | None = None,
        train: bool = False,
    ) -> dict[str, Array]:
        """`logits` float32 [B, W, C]."""
        x_BxWxD = nn.Dropout(self.dropout)(x_BxWxD, deterministic=not train)
        logits = Linear(x_BxWxD.shape[-1:], (self.classes,), self.config, name="out")(x_BxWxD)
        return {"logits": logits.astype(jnp.float32)}


class Biaffine(nn.Module):
    """The graph-based parser of Dozat & Manning (2017): a head for each word, a relation for each
    arc. Word 0 is ROOT, a head like any other.

    {arc,relation}_{head,dependent}/{kernel,bias}   arc [A+1, A+1]   relation [E+1, R, E+1]
    """

    config: Model
    relations: int  # R
    roots: tuple[int, ...]  # of the relations, those that ROOT's arcs have, and no other arc has
    arc: int  # A, width of the arc scorer's states
    relation: int  # E, of the relation scorer's
    input_dropout: float  # whole features of a sentence, as is `dropout`
    dropout: float

    @nn.compact
    def __call__(
        self,
        x_BxWxD: Float[Array, "B W D"],
        known_BxW: Bool[Array, "B W"],
        labels: dict[str, Int[Array, "B W"]] | None = None,
        train: bool = False,
    ) -> dict[str, Array]:
        """float32 `arcs` [B, W, W], log p(head | word), no word its own head; and relations: their
        `logits` [B, W, R] at the heads in `labels`, or without labels the best `relations`
        int32 [B, W, W] of each word under each head, of those that this head may have."""
        c, D, W = self.config, x_BxWxD.shape[-1], x_BxWxD.shape[1]

        def variational(x: jax.Array, rate: float) -> jax.Array:
            return nn.Dropout(rate, broadcast_dims=(1,))(x, deterministic=not train)

        def states(name: str, width: int) -> jax.Array:
            x = variational(nn.elu(Linear((D,), (width,), c, name=name)(x_BxWxD)), self.dropout)
            return jnp.concatenate([x, jnp.ones_like(x[..., :1])], axis=-1)  # and a bias

        x_BxWxD = variational(x_BxWxD, self.input_dropout)
        glorot = nn.initializers.glorot_uniform()
        A, E, R = self.arc + 1, self.relation + 1, self.relations
        arc_AxA = self.param("arc", glorot, (A, A)).astype(c.dtype)
        relation_ExRxE = self.param("relation", glorot, (E, R, E)).astype(c.dtype)

        head_BxWxA = states("arc_head", self.arc)
        dependent_BxWxA = states("arc_dependent", self.arc)
        arcs_BxWxW = jnp.einsum("BWA,BVA->BWV", dependent_BxWxA @ arc_AxA, head_BxWxA)
        possible_BxWxW = known_BxW[:, None, :] & ~jnp.eye(W, dtype=bool)[None]
        arcs_BxWxW = jnp.where(possible_BxWxW, arcs_BxWxW.astype(jnp.float32), -1e30)
        outputs = {"arcs": jax.nn.log_softmax(arcs_BxWxW, axis=-1)}

        head_BxWxE = states("relation_head", self.relation)
        dependent_BxWxE = states("relation_dependent", self.relation)
        scorer_BxWxRxE = jnp.einsum("BWE,ERF->BWRF", dependent_BxWxE, relation_ExRxE)
        if labels is None:
            logits_BxWxVxR = jnp.einsum("BWRF,BVF->BWVR", scorer_BxWxRxE, head_BxWxE)
            root_R = jnp.asarray([i in self.roots for i in range(R)])
            fits_VxR = (jnp.arange(W) == 0)[:, None] == root_R[None]
            logits_BxWxVxR = jnp.where(fits_VxR[None, None], logits_BxWxVxR, -jnp.inf)
            return {**outputs, "relations": jnp.argmax(logits_BxWxVxR, axis=-1).astype(jnp.int32)}
        gold_BxWx1 = jnp.maximum(labels["head"], 0)[:, :, None]
        gold_BxWxE = jnp.take_along_axis(head_BxWxE, gold_BxWx1, axis=1)
        logits_BxWxR = jnp.einsum("BWRF,BWF->BWR", scorer_BxWxRxE, gold_BxWxE)
        return {**outputs, "logits": logits_BxWxR.astype(jnp.float32)}
