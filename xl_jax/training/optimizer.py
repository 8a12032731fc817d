"""AdamW over stacked variants: one optimiser state per parameter, absent variants untouched.

Every leaf is [V, ...]; Adam (optax) runs per variant, each with its own step count, so that a
private variant whose language is absent from a step keeps its parameters, moments and count to the
bit. The learning rate follows the run's step.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from xl_jax.config import Optim
from xl_jax.errors import unknown
from xl_jax.rules import apply_rules

Tree = Any


def learning_rate(config: Optim, steps: int) -> optax.Schedule:
    """Learning rate by step: linear warm-up, then constant, cosine to 0 at `steps`, or
    lr * sqrt(warmup / step) (paper section 3, XLM).

    optax's schedules round the same values differently, and a run continues to the same bits.
    """
    warmup = max(config.warmup, 1)

    def schedule(step: jax.Array) -> jax.Array:
        done = jnp.asarray(step, jnp.float32) + 1
        rise = jnp.minimum(done / warmup, 1.0)
        if config.schedule == "inverse_sqrt":
            return config.lr * rise * jnp.sqrt(warmup / jnp.maximum(done, warmup))
        if config.schedule == "cosine":
            left = jnp.clip((done - warmup) / max(steps - warmup, 1), 0, 1)
            return config.lr * rise * 0.5 * (1 + jnp.cos(jnp.pi * left))
        return config.lr * rise

    return schedule


def decayed(config: Optim, params: Tree) -> Tree:
    """Which leaves weight decay acts on, by `config.decay_rules` (values "decay" / "none")."""
    for _, value in config.decay_rules:
        if value not in ("decay", "none"):
            raise unknown("value in optim.decay_rules", value, ("decay", "none"))
    return jax.tree.map(lambda v: v == "decay", apply_rules(config.decay_rules, params, "decay"))


def _adam(config: Optim) -> optax.GradientTransformation:
    return optax.scale_by_adam(b1=config.b1, b2=config.b2, eps=config.eps)


def init(config: Optim, params: Tree, frozen: Tree | None = None) -> Tree:
    """Adam's state for every variant of every leaf; none for those that `frozen` (a bool a leaf)
    says."""
    adam = jax.vmap(_adam(config).init)
    still = jax.tree.map(lambda _: False, params) if frozen is None else frozen
    return jax.tree.map(lambda p, no: optax.EmptyState() if no else adam(p), params, still)


def update(
    config: Optim,
    grads: Tree,
    moments: Tree,
    params: Tree,
    present: Tree,
    lr: jax.Array,
) -> tuple[Tree, Tree]:
    """One AdamW step: (params, moments), unchanged where `present` (bool[V] per leaf) is False, and
    where a leaf has no state."""
    adam = jax.vmap(_adam(config).update)

    def leaf(g: Any, m: Any, p: jax.Array, here: jax.Array, decays: bool) -> tuple[Any, Any]:
        if isinstance(m, optax.EmptyState):
            return p, m
        direction, moved = adam(g, m)
        if decays:
            direction = direction + config.decay * p

        def keep(new: jax.Array, old: jax.Array) -> jax.Array:
            return jnp.where(here.reshape(-1, *[1] * (new.ndim - 1)), new, old)

        return keep(p - lr * direction, p), jax.tree.map(keep, moved, m)

    structure: Any = jax.tree.structure(grads)
    trees = (grads, moments, params, present, decayed(config, params))
    columns = [structure.flatten_up_to(tree) for tree in trees]
    new = [leaf(*row) for row in zip(*columns, strict=True)]
    return structure.unflatten([p for p, _ in new]), structure.unflatten([m for _, m in new])


def norms(tree: Tree, groups: Tree, n: int) -> jax.Array:
    """L2 norm of `tree` within each group of variants, [n]; `groups`: the group of each variant,
    int[V] per leaf (see `sharing.components` and `sharing.parts`)."""
    leaves = jax.tree.leaves(tree)
    squares = [jnp.sum(jnp.square(leaf), axis=range(1, leaf.ndim)) for leaf in leaves]
    # One scatter for all leaves: a scatter a leaf takes XLA a second more to compile.
    group = np.concatenate(jax.tree.leaves(groups))
    return jnp.sqrt(jnp.zeros(n).at[group].add(jnp.concatenate(squares)))


def scale(grads: Tree, components: Tree, factor: jax.Array) -> Tree:
    """`grads` times `factor[component]`, variant by variant."""

    def leaf(g: jax.Array, component: np.ndarray) -> jax.Array:
        return g * factor[component].reshape(-1, *[1] * (g.ndim - 1))

    return jax.tree.map(leaf, grads, components)
