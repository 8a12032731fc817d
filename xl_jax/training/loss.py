"""The loss of a step, of masked tokens or of next ones, and its gradient.

Letters in names: A sequential parts (accum), S slots, R rows, T tokens, P predictions, L languages.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from xl_jax.batches.sampler import Step
from xl_jax.model.by_platform import cross_entropy
from xl_jax.model.masking import mask_rows, rate_at
from xl_jax.model.predictions import Predictions, next_tokens
from xl_jax.model.shared_model import SharedModel
from xl_jax.rng import Purpose, key
from xl_jax.tokens.special import PAD


class Sums(NamedTuple):
    """Sums over predicted tokens, by language: divide only after adding everything up."""

    loss: Float[Array, " L"]
    tokens: Float[Array, " L"]


def row_losses(
    model: SharedModel,
    view: Any,
    rows: Predictions,
    language: Int[Array, ""],
    dropout: jax.Array | None = None,
) -> Float[Array, "R P"]:
    """Cross-entropy in nats of each predicted position, 0 where its weight is 0."""
    logits: Any = model.module.apply(
        {"params": view},
        rows.tokens,
        rows.tokens != PAD,
        rows.positions,
        jnp.asarray(model.allowed)[language],
        train=dropout is not None,
        rngs=None if dropout is None else {"dropout": dropout},
    )
    flat = logits.reshape(-1, logits.shape[-1])  # with one axis of predictions XLA reduces faster
    losses = cross_entropy(flat, rows.targets.reshape(-1))
    return jnp.where(rows.weights > 0, losses.reshape(rows.weights.shape), 0.0)


class StepLoss:
    """The loss of a step as a function of the stacked parameters, summed over predicted tokens.

    Args:
      unroll: compute the slots one after the other instead of as one batch.
      steps: of the whole training, where the rate of masking depends on them.
      where: shardings of one language's leaves while a slot computes (`mesh.gathered`).
    """

    def __init__(self, model: SharedModel, unroll: bool, steps: int, where: Any | None = None):
        self.model, self.unroll, self.steps, self.where = model, unroll, steps, where
        config = model.config
        self.n_languages = len(config.languages)
        self.masking_key = key(config.seed, Purpose.MASKING)
        self.dropout_key = key(config.seed, Purpose.DROPOUT)
        self.dropout_on = config.model.dropout > 0 or config.model.attention_dropout > 0

    def gradients(self, params: Any, step: Int[Array, ""], batch: Step) -> tuple[Any, Sums]:
        """Gradient of the summed loss and the sums, over all sequential parts of one step."""
        A, S = batch.language.shape
        slots = (step * (A * S) + jnp.arange(A * S)).reshape(A, S)
        grad = jax.grad(self._part, has_aux=True)
        if A == 1:
            return grad(params, batch.tokens[0], batch.language[0], slots[0])

        def add(total: Any, part: Any) -> tuple[Any, None]:
            return jax.tree.map(jnp.add, total, grad(params, *part)), None

        zeros = jnp.zeros(self.n_languages)
        start = (jax.tree.map(jnp.zeros_like, params), Sums(zeros, zeros))
        return jax.lax.scan(add, start, (batch.tokens, batch.language, slots))[0]

    def _part(
        self, params: Any, tokens_SxRxT: jax.Array, language_S: jax.Array, slot_S: jax.Array
    ) -> tuple[jax.Array, Sums]:
        """(sum of the losses, the sums by language) of slots that are computed together."""
        params = jax.tree.map(
            lambda x, still: jax.lax.stop_gradient(x) if still else x, params, self.model.frozen
        )
        if self.unroll:
            slots = zip(tokens_SxRxT, language_S, slot_S, strict=True)
            each = [self._slot(params, *one) for one in slots]
            losses_S, counts_S = (jnp.stack(x) for x in zip(*each, strict=True))
        else:
            over_slots = jax.vmap(self._slot, in_axes=(None, 0, 0, 0), spmd_axis_name="data")
            losses_S, counts_S = over_slots(params, tokens_SxRxT, language_S, slot_S)
        zeros = jnp.zeros(self.n_languages)
        sums = Sums(zeros.at[language_S].add(losses_S), zeros.at[language_S].add(counts_S))
        return jnp.sum(losses_S), sums

    def _slot(
        self, params: Any, tokens_RxT: jax.Array, language: jax.Array, slot: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """(sum of losses, number of predictions) of one slot; `slot` counts slots since step 0."""
        model = self.model
        rows = self._predictions(tokens_RxT, language, slot)
        view = model.view(params, language, self.where)
        dropout = jax.random.fold_in(self.dropout_key, slot) if self.dropout_on else None
        losses = row_losses(model, view, rows, language, dropout)
        return jnp.sum(losses), jnp.sum(rows.weights)

    def _predictions(
        self, tokens_RxT: jax.Array, language: jax.Array, slot: jax.Array
    ) -> Predictions:
        model, c = self.model, self.model.config
        if c.model.causal:
            return next_tokens(tokens_RxT)
        masking = jax.random.fold_in(self.masking_key, slot)
        rate = rate_at(slot // (c.batch.accum * c.batch.slots), self.steps, c.masking)
        return mask_rows(tokens_RxT, language, masking, c.masking, model.pools, rate)
