"""Parameters that start as another model's: a language is plugged into a finished model (Artetxe et
al. 2020), or chosen layers are made random again (Muller et al. 2021).

A variant starts as the one that its languages use there. One that only new languages use starts
from random numbers, or as a language that the rules name; so do rows of new pieces.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from xl_jax.config import Config, difference
from xl_jax.errors import InputError, unknown
from xl_jax.model.shared_model import SharedModel
from xl_jax.model.sharing import Params
from xl_jax.rules import leaf_paths

BY_PIECE = ("embed/token", "mlm/bias")  # leaves with a row a piece
SAME = (  # of a model: what no shape tells
    *("heads", "norm", "norm_eps", "activation"),
    *("position_encoding", "rope_base", "rope_base_local", "window", "global_every"),
    *("norm_kind", "bias", "causal"),
)
Plan = dict[str, list[int | None]]  # path -> for each variant here, which one there, if any


def check_vocabulary(config: Config, other: Config) -> None:
    """Raises InputError: another vocabulary than that of the run `config.start`, which has the
    config `other`, and no language is new that would learn it."""
    lines = difference(vars(other.vocab), vars(config.vocab), "vocab.")
    if lines and set(config.languages) <= set(other.languages):
        raise InputError(
            f"start = {config.start!r}: no language is new, so all keep their pieces, and vocab "
            f"has to be as there (there -> here): {'; '.join(lines)}"
        )


def plan(model: SharedModel, other: SharedModel) -> Plan:
    """Which variants of `model` start as which of `other`, by `config.start_rules`; numbers of
    pieces may differ.

    Raises:
      InputError: rules that do not fit; leaves that are not there or have another shape, all of
        them; languages that share a leaf here and not there.
    """
    there, start = other.config.languages, model.config.start
    values = _flat(model.start_values, model.template)
    for value in values.values():
        if value not in ("start", "new", *there):
            raise unknown("value in start_rules", value, ("start", "new", *there))
    shapes, masks = _flat(other.template, other.template), _flat(other.mask, other.template)
    own_shapes = _flat(model.template, model.template)
    mine, its = vars(model.config.model), vars(other.config.model)
    wrong = [f"model.{x}: {its[x]!r} -> {mine[x]!r}" for x in SAME if its[x] != mine[x]]
    result: Plan = {}
    for path, variants in _flat(model.mask, model.template).items():
        if values[path] == "new":
            continue
        if path not in shapes:
            wrong.append(f"{path}: not there")
            continue
        rows = int(path in BY_PIECE)
        old, new = shapes[path].shape[rows:], own_shapes[path].shape[rows:]
        if old != new:
            wrong.append(f"{path}: {list(old)} -> {list(new)}")
        used_there = dict(zip(there, masks[path], strict=True))
        users = zip(model.config.languages, variants, strict=True)
        result[path] = _sources(path, list(users), used_there, values[path], start)
    if wrong:
        more = f"; and {len(wrong) - 6} more" if len(wrong) > 6 else ""
        raise InputError(
            f"start = {start!r} does not fit (there -> here): {'; '.join(wrong[:6])}{more}. "
            "start_rules say what starts anew: (('layer_5/.*', 'new'), ('.*', 'start'))"
        )
    return result


def _sources(
    path: str, users: list[tuple[str, int]], there: dict[str, int], value: str, start: str
) -> list[int | None]:
    """Of a leaf: for each variant here the one there, by the languages that use them."""
    sources: list[int | None] = []
    for variant in range(max(v for _, v in users) + 1):
        known = [x for x, v in users if v == variant and x in there]
        found = {there[x] for x in known}
        if len(found) != 1 and value != "start":
            found = {there[value]}
        if len(found) > 1:
            raise InputError(
                f"{path}: {', '.join(known)} share it here and not in {start}; name one of them in "
                f"start_rules: ({path!r}, {known[0]!r})"
            )
        sources.append(found.pop() if found else None)
    return sources


def merge(random: Params, trained: Params, plan: Plan, n_pieces: int) -> Params:
    """The stacked parameters `random`, in place of which stand those of `trained` where `plan` says
    so. Of leaves with a row a piece the first `n_pieces` rows are taken."""
    there = _flat(trained, trained)
    given, counts = [], []
    for path, x in _flat(random, random).items():
        axes = 2 if path in BY_PIECE else 1
        rows = slice(n_pieces) if path in BY_PIECE else ...
        given.append(np.zeros(x.shape, x.dtype))
        counts.append(np.zeros((*x.shape[:axes], *[1] * (x.ndim - axes)), bool))
        for variant, source in enumerate(plan.get(path, ())):
            if source is not None:
                given[-1][variant][rows] = np.asarray(there[path][source])[rows]
                counts[-1][variant][rows] = True
    structure: Any = jax.tree.structure(random)
    where = jax.tree.map(lambda x: x.sharding, random)
    choose = jax.jit(lambda *trees: jax.tree.map(jnp.where, *trees), out_shardings=where)
    return choose(structure.unflatten(counts), structure.unflatten(given), random)


def summary(plan: Plan, model: SharedModel) -> str:
    """Which parts do not start from there, in one line."""
    new = []
    for path, variants in _flat(model.mask, model.template).items():
        sources = plan.get(path, [None] * (max(variants) + 1))
        users = [
            x for x, v in zip(model.config.languages, variants, strict=True) if sources[v] is None
        ]
        if users:
            new.append(f"{path} of {', '.join(users)}")
    shown = "; ".join(new[:6]) + (f"; and {len(new) - 6} more" if len(new) > 6 else "")
    return f"from random numbers: {shown or 'nothing'}"


def _flat(tree: Any, like: Any) -> dict[str, Any]:
    """Path -> value, of a tree with a value at each leaf of `like`."""
    structure: Any = jax.tree.structure(like)
    return dict(zip(leaf_paths(like), structure.flatten_up_to(tree), strict=True))
