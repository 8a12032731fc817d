"""Parts of a parameter leaf as leaves of their own: heads, neurons, rows of the vocabulary.

A rule `layer_3/attention/.*[head 0:4]` is about the first four heads of every leaf that it matches
and that has heads. Each leaf that rules name parts of is cut at the borders they name, into leaves
`.../kernel[head 0:4]` and `.../kernel[head 4:12]`, which are shared, frozen, counted and saved like
any other; the module sees them joined.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict

from xl_jax.errors import InputError, unknown
from xl_jax.rules import Rules, leaf_paths, pattern_of, split_name

Cuts: TypeAlias = Mapping[str, tuple[str, Sequence[int]]]  # path -> (kind, borders from 0 on)

_AXES = {  # kind -> (paths, axis of one language's leaf)
    "head": (
        (r".*/attention/(query|key|value)/kernel", 1),
        (r".*/attention/(query|key|value)/bias", 0),
        (r".*/attention/output/kernel", 0),
    ),
    "neuron": (
        (r".*/ffn/(up|gate)/kernel", 1),
        (r".*/ffn/(up|gate)/bias", 0),
        (r".*/ffn/down/kernel", 0),
    ),
    "row": ((r"embed/token|mlm/bias", 0),),
}


def cuts(template: Any, rules: Mapping[str, Rules]) -> Cuts:
    """Where the leaves of `template` (shapes, without parts) are cut.

    Args:
      rules: by the name that errors give them.

    Raises:
      InputError: an unknown kind of part, one beyond the leaf, one that no matching leaf has, or
        parts of two kinds of one leaf.
    """
    shapes = dict(zip(leaf_paths(template), map(jnp.shape, jax.tree.leaves(template)), strict=True))
    found: dict[str, tuple[str, set[int]]] = {}
    patterns = [(what, pattern) for what, given in rules.items() for pattern, _ in given]
    for what, pattern in patterns:
        _, part = split_name(pattern)
        if part is None:
            continue
        kind, first, last = part
        if kind not in _AXES:
            raise unknown(f"part of a leaf in {what} rule {pattern!r}", kind, _AXES)
        about = pattern_of(pattern, what).about
        axes = {path: axis(path, kind) for path in shapes if about(path) and has(path, kind)}
        if not axes:
            raise InputError(f"{what}: rule {pattern!r} matches no leaf that has {kind}s")
        for path, where in axes.items():
            size = shapes[path][where]
            if not first < last <= size:
                raise InputError(f"{what}: rule {pattern!r}: {path} has {kind}s 0:{size}")
            other, borders = found.setdefault(path, (kind, {0, size}))
            if other != kind:
                raise InputError(f"{what}: {path} is cut by {other} and by {kind}")
            borders |= {first, last}
    return {path: (kind, sorted(borders)) for path, (kind, borders) in found.items()}


def has(path: str, kind: str) -> bool:
    """Whether a leaf has heads, neurons or rows."""
    return any(re.fullmatch(paths, path) for paths, _ in _AXES[kind])


def axis(path: str, kind: str) -> int:
    """The axis of the heads, neurons or rows of a leaf that has them."""
    return next(found for paths, found in _AXES[kind] if re.fullmatch(paths, path))


def split(tree: Any, cuts: Cuts) -> Any:
    """A tree of whole leaves (one language's) with those of `cuts` in parts."""
    if not cuts:
        return tree
    leaves = {}
    for path, leaf in flatten_dict(tree, sep="/").items():
        if path not in cuts:
            leaves[path] = leaf
            continue
        kind, borders = cuts[path]
        where = axis(path, kind)
        for first, last in zip(borders, borders[1:], strict=False):
            part = jax.lax.slice_in_dim(leaf, first, last, axis=where)
            leaves[f"{path}[{kind} {first}:{last}]"] = part
    return unflatten_dict(leaves, sep="/")


def join(tree: Any) -> Any:
    """The opposite of `split`, of any tree whose names are those of its parts."""
    leaves: dict[str, Any] = {}
    parts: dict[str, list[tuple[int, str, Any]]] = {}
    for name, leaf in flatten_dict(tree, sep="/").items():
        path, part = split_name(name)
        if part is None:
            leaves[name] = leaf
        else:
            parts.setdefault(path, []).append((part[1], part[0], leaf))
    for path, found in parts.items():
        _, kinds, arrays = zip(*sorted(found, key=lambda x: x[0]), strict=True)
        leaves[path] = jnp.concatenate(arrays, axis=axis(path, kinds[0]))
    return unflatten_dict(leaves, sep="/")
