"""Gradients of every language at the checkpoints of a run, and what they give one another."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from xl_jax.analysis import gradient_agreement as agreement
from xl_jax.batches.sampler import language_shares
from xl_jax.devices.mesh import one_device
from xl_jax.errors import InputError
from xl_jax.model import sharing
from xl_jax.model.predictions import Predictions
from xl_jax.pretrain.heldout import ROWS, Heldout
from xl_jax.progress import counted
from xl_jax.rules import leaf_paths
from xl_jax.runs.run_directory import Run
from xl_jax.training.loss import row_losses
from xl_jax.training.step import State, state_shapes


class AtStep(NamedTuple):
    step: int
    leaves: list[agreement.Part]  # of every leaf, its path as the pattern


def over_training(run: Run, rows: int, log: Callable[[str], None] = print) -> Iterator[AtStep]:
    """What languages give one another in every leaf, at every checkpoint that is kept and whole,
    oldest first.

    Args:
      rows: held-out rows of a language, at most.

    Raises:
      InputError: no leaf is shared; no checkpoint; too little held-out text for two batches.
    """
    if not any(len(set(x)) < len(x) for x in _variants(run)):
        raise InputError(f"{run.folder}: its languages share no parameter")
    gradients = Gradients(run, rows)
    checkpoints, shapes = run.checkpoints(log), state_shapes(run.model, one_device())
    try:
        steps = [step for step in checkpoints.steps if step]  # Adam has no scale before the first
        if not steps:
            raise InputError(f"{run.folder} has no checkpoint of a step after 0")
        for step in counted(steps, "gradients, checkpoints"):
            yield AtStep(step, gradients.leaves(checkpoints.at(step, shapes)))
    finally:
        checkpoints.close()


class Gradients:
    """Of the held-out loss of every language, over two halves of its rows.

    What is predicted is what is predicted where perplexity is measured.
    """

    def __init__(self, run: Run, rows: int):
        self.run, self.heldout = run, Heldout(run, rows)
        lines = [len(run.data.train[x]) for x in run.config.languages]
        self.weights = language_shares(lines, run.config.batch.alpha)
        self.of_batch = jax.jit(jax.grad(self._loss, has_aux=True))

    def of(self, params: sharing.Params, language: str) -> Any:
        """The language's tree of gradients of its mean loss, [2, ...]: a half each."""
        number = self.run.language(language)
        sums: list[Any] = [None, None]
        counts = [0.0, 0.0]
        for i, (_, _, rows) in enumerate(self.heldout.scored(params, language)):
            grads, tokens = self.of_batch(params, rows, jnp.int32(number))
            grads = jax.tree.map(np.asarray, sharing.select(grads, self.run.model.mask, number))
            half = sums[i % 2]
            sums[i % 2] = grads if half is None else jax.tree.map(np.add, half, grads)
            counts[i % 2] += float(tokens)
        if min(counts) == 0:
            raise InputError(
                f"language {language!r} has too little held-out text: gradients of two batches of "
                f"{ROWS} rows are compared"
            )
        of_tokens = np.array(counts, np.float32)
        return jax.tree.map(lambda *x: np.stack([x[0] / of_tokens[0], x[1] / of_tokens[1]]), *sums)

    def leaves(self, state: State) -> list[agreement.Part]:
        """What the languages that share it give one another, of every leaf."""
        languages = self.run.config.languages
        grads = zip(*(jax.tree.leaves(self.of(state.params, x)) for x in languages), strict=True)
        b2, eps = self.run.config.optim.b2, self.run.config.optim.eps
        scales = jax.tree.map(lambda p, m: _scale(p, m, b2, eps), state.params, state.moments)
        names = leaf_paths(self.run.model.template)
        of_leaves = zip(names, grads, jax.tree.leaves(scales), _variants(self.run), strict=True)
        return [self._leaf(*of_leaf) for of_leaf in of_leaves]

    def of_tying(self, params: sharing.Params) -> list[agreement.Tie]:
        """What it would cost to give all languages the mean of a leaf that is theirs alone, to
        first order; of every leaf, 0 where all share it."""
        model, languages = self.run.model, self.run.config.languages
        grads = [jax.tree.leaves(self.of(params, x)) for x in languages]
        leaves = map(np.asarray, jax.tree.leaves(params))
        found = []
        for path, x, variants, of_leaf in zip(
            leaf_paths(model.template),
            leaves,
            _variants(self.run),
            zip(*grads, strict=True),
            strict=True,
        ):
            used = sorted(set(variants))
            mean = x[used].mean(0)
            change = [
                np.sum(g.mean(0) * (mean - x[v])) for g, v in zip(of_leaf, variants, strict=True)
            ]
            found.append(agreement.Tie(path, (len(used) - 1) * mean.size, float(np.mean(change))))
        return found

    def _loss(
        self, params: sharing.Params, rows: Predictions, language: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        model = self.run.model
        losses = row_losses(model, model.view(params, language), rows, language)
        return losses.sum(), rows.weights.sum()

    def _leaf(
        self,
        path: str,
        grads: Sequence[np.ndarray],
        scale: np.ndarray,
        variants: sharing.Variants,
    ) -> agreement.Part:
        found, added = [], 0
        for variant in sorted(set(variants)):
            users = [i for i, x in enumerate(variants) if x == variant]
            if len(users) > 1 and scale[variant].any():
                halves = np.stack([grads[i].reshape(2, -1) for i in users], 1)
                products = agreement.products(halves, scale[variant].reshape(-1))
                found.append(agreement.decrease(products, self.weights[users]))
                added += (len(users) - 1) * halves.shape[-1]
        own, others = (sum(x[i] for x in found) for i in (0, 1))
        cosines = tuple(c for x in found for c in x.cosines)
        return agreement.Part(path, added, agreement.Decrease(own, others, cosines))


def _variants(run: Run) -> list[sharing.Variants]:
    return [variants for _, variants in sharing.by_path(run.model.template, run.model.mask)]


def _scale(params: jax.Array, moments: Any, b2: float, eps: float) -> np.ndarray:
    """Adam's factor of the gradient, [V, ...]; 0 where a leaf is frozen or a variant was never
    trained."""
    if isinstance(moments, optax.EmptyState):
        return np.zeros(params.shape)
    nu, count = np.asarray(moments.nu, np.float64), np.asarray(moments.count)
    count = count.reshape(-1, *[1] * (nu.ndim - 1))
    scale = 1 / (np.sqrt(nu / np.maximum(1 - b2**count, 1e-12)) + eps)
    return np.where(count > 0, scale, 0.0)
