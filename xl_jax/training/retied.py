"""The state of a run under another sharing mask, to go on training from."""

from typing import Any

import jax
import jax.numpy as jnp

from xl_jax.errors import InputError
from xl_jax.model.shared_model import SharedModel
from xl_jax.model.sharing import Variants
from xl_jax.rules import leaf_paths
from xl_jax.training.step import State


def retied(state: State, old: SharedModel, new: SharedModel) -> State:
    """`state` of `old`, with the variants of `new`.

    A variant starts as the mean of those that its languages had: untied leaves are copies. So do
    Adam's moments; its count of updates is the largest.

    Raises:
      InputError: the two have other leaves, as where rules name parts of one.
    """
    if leaf_paths(old.template) != leaf_paths(new.template):
        raise InputError("a state goes under another mask only where both have the same leaves")
    structure: Any = jax.tree.structure(old.template)
    masks = [structure.flatten_up_to(x.mask) for x in (old, new)]

    def moved(tree: Any) -> Any:
        leaves = structure.flatten_up_to(tree)
        return structure.unflatten(
            [
                jax.tree.map(lambda x, a=a, b=b: _variants(x, a, b), leaf)
                for leaf, a, b in zip(leaves, *masks, strict=True)
            ]
        )

    return State(state.step, moved(state.params), moved(state.moments))


def _variants(x: jax.Array, old: Variants, new: Variants) -> jax.Array:
    """[old variants, ...] -> [new variants, ...]."""
    users = [{a for a, b in zip(old, new, strict=True) if b == v} for v in range(max(new) + 1)]
    join = jnp.mean if jnp.issubdtype(x.dtype, jnp.floating) else jnp.max
    return jnp.stack([join(x[jnp.asarray(sorted(v))], axis=0) for v in users])
