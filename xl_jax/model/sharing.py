"""The sharing mask: which variant of each parameter leaf each language uses.

    template  one language's ordinary tree    layer_3/.../kernel : [768, 12, 64]
    mask      one tuple per leaf              (en, fr) -> (0, 1) private, (0, 0) shared
    params    stacked variants                [2, 768, 12, 64]            [1, 768, 12, 64]
    view      what language l computes with   leaf[variant[l]] : [768, 12, 64]

Every model of the study is a mask, and nothing else: all shared is one multilingual model, nothing
shared is independent monolingual models, "Sep Emb" is the embedding leaves private. Autodiff sums
the gradients of a shared variant by itself, since every view reads the same array.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from xl_jax.errors import InputError, unknown
from xl_jax.rules import Absent, Rules, apply_rules, leaf_paths

Variants: TypeAlias = tuple[int, ...]  # variant used by each language; 0 first, no gaps
Mask: TypeAlias = Any  # the template's structure with a `Variants` at each leaf
Params: TypeAlias = Any

PRESETS = (
    "all_shared",
    "all_private",
    "sep_emb",
    "sep_tokens",
    "sep_positions",
    "sep_l1",
    "sep_l1_3",
    "sep_l1_6",
    "sep_emb_l1",
    "sep_emb_l1_3",
    "sep_emb_l1_6",
)
_SEPARATE = re.compile(
    r"sep(?P<emb>_emb)?(?P<tok>_tokens)?(?P<pos>_positions)?(_l(?P<first>\d+)(_(?P<last>\d+))?)?"
)


def preset(name: str) -> Rules:
    """The rules of a row of Table 1 (paper section 4.3) or of one like it, by name.

    `all_shared` (the paper's Default), `all_private`, and `sep_` followed by what is private:
    `emb` (token embeddings, positions, their LayerNorm, and the output bias that goes with the
    tied softmax), `tokens` (the table and the output bias alone), `positions`, `l1` or `l1_3`
    (layers counted from 1), joined by `_`: `sep_emb_l1_6`.
    """
    if name == "all_shared":
        return ((".*", "shared"),)
    if name == "all_private":
        return ((".*", "private"),)
    parts = _SEPARATE.fullmatch(name)
    if parts is None or name == "sep":
        raise unknown("sharing preset", name, PRESETS)
    rules: list[tuple[str, str]] = []
    if parts["emb"]:
        rules += [("embed/.*", "private"), ("mlm/bias", "private")]
    if parts["tok"] and not parts["emb"]:
        rules += [("embed/token", "private"), ("mlm/bias", "private")]
    if parts["pos"] and not parts["emb"]:  # which has them
        rules += [("embed/position", "private")]
    if parts["first"]:
        first = int(parts["first"])
        last = int(parts["last"] or first)
        if not 1 <= first <= last:
            raise InputError(f"sharing preset {name!r}: layers {first} to {last} are not a range")
        rules += [(f"layer_{i}/.*", "private") for i in range(first, last + 1)]
    return (*rules, (".*", "shared"))


def make_mask(
    rules: str | Rules, template: Params, languages: Sequence[str], absent: Absent | None = None
) -> Mask:
    """The mask that `rules` give `template`'s leaves.

    Args:
      rules: a preset's name, or ordered (pattern, value) pairs; a value is "shared", "private" or
        explicit groups such as (("en", "fr"), ("zh",)), one variant per group in that order.
      template: any tree of one language's structure (arrays, shapes, or the paths alone).
      languages: names, in the order of the mask's tuples.
      absent: see `rules.assign`.

    Raises:
      InputError: see `rules.assign`; a group that names an unknown language, or misses or repeats
        one.
    """
    pairs = preset(rules) if isinstance(rules, str) else rules
    resolved = [(pattern, _variants(value, pattern, languages)) for pattern, value in pairs]
    return apply_rules(resolved, template, "sharing", absent)


def _variants(value: Any, pattern: str, languages: Sequence[str]) -> Variants:
    if isinstance(value, str):
        if value == "shared":
            return (0,) * len(languages)
        if value == "private":
            return tuple(range(len(languages)))
        raise unknown(f"sharing value for {pattern!r}", value, ("shared", "private"))
    groups = [(group,) if isinstance(group, str) else tuple(group) for group in value]
    named = [language for group in groups for language in group]
    for language in named:
        if language not in languages:
            raise unknown(f"language in the sharing groups of {pattern!r}", language, languages)
    for language in languages:
        if named.count(language) != 1:
            count = "no group" if language not in named else "more than one group"
            raise InputError(f"sharing groups of {pattern!r}: language {language!r} is in {count}")
    return tuple(next(i for i, g in enumerate(groups) if lang in g) for lang in languages)


def init(
    init_fn: Callable[[jax.Array], Params], mask: Mask, key: jax.Array, degrees: Any = None
) -> Params:
    """Stacked parameters: variant v of every leaf is `init_fn(fold_in(key, v))`'s, [V, ...].

    So a shared leaf starts as the plain model of `fold_in(key, 0)`, whatever the mask, and private
    variants start from different random numbers.

    Args:
      degrees: the template's structure with a number in 0..1 at each leaf, by default 1 everywhere:
        how different its variants start. At 0 all start as variant 0, at d as
        sqrt(1 - d) * (variant 0) + sqrt(d) * (variant v's own draw): the variance stays, and the
        correlation with variant 0 is sqrt(1 - d). Constants, as LayerNorm's, stay what they are.
    """
    template = jax.eval_shape(init_fn, key)
    if degrees is None:
        degrees = jax.tree.map(lambda _: 1.0, template)
    number = jax.tree.map(lambda _, variants: max(variants) + 1, template, mask)
    drawn = jax.tree.map(lambda n, degree: n if degree else 1, number, degrees)
    numbers = sorted(set(jax.tree.leaves(drawn)))
    # One operation a leaf for all its variants: one for each took XLA minutes for 32 languages.
    # A tree of each number of variants; jit leaves out the leaves that are not taken from it.
    of_variant = jax.vmap(lambda v: init_fn(jax.random.fold_in(key, v)))
    draws = [of_variant(jnp.arange(n)) for n in numbers]

    def stack(n: int, n_drawn: int, degree: float, *leaves: jax.Array) -> jax.Array:
        own = leaves[numbers.index(n_drawn)]
        return _between(jnp.broadcast_to(own[:1], (n, *own.shape[1:])), own, degree)

    return jax.tree.map(stack, number, drawn, degrees, *draws)


def _between(first: jax.Array, own: jax.Array, degree: float) -> jax.Array:
    if degree in (0, 1):
        return own if degree else first
    mixed = np.sqrt(1 - degree) * first + np.sqrt(degree) * own
    return jnp.where(first == own, first, mixed).astype(first.dtype)


def select(params: Params, mask: Mask, language: int | jax.Array) -> Params:
    """The view of `params` that `language` computes with: one language's ordinary tree.

    A traced language costs a gather for each leaf that has several variants; shared leaves are
    taken as they are, so under `vmap` over languages they stay unbatched.
    """

    def take(leaf: jax.Array, variants: Variants) -> jax.Array:
        if leaf.shape[0] == 1:
            return leaf[0]
        if isinstance(language, int):
            return leaf[variants[language]]
        return leaf[jnp.asarray(variants)[language]]

    return jax.tree.map(take, params, mask)


def presence(params: Params, mask: Mask, present: jax.Array) -> Any:
    """Which variants take part in a step: bool[V] per leaf, from `present` bool[languages]."""

    def any_user(leaf: Any, variants: Variants) -> jax.Array:
        users = np.equal.outer(np.arange(leaf.shape[0]), np.asarray(variants))  # [V, languages]
        return jnp.any(users & present[None], axis=1)

    return jax.tree.map(any_user, params, mask)


def trainable(params: Params, mask: Mask, freeze: str | Rules, absent: Absent | None = None) -> Any:
    """Which variants fine-tuning may move: bool[V] per leaf, NumPy.

    `freeze` is "none", "all", "private" (leaves that not all languages share stay as they are: the
    paper's fine-tuning, section 4.3), "up_to:n" (embeddings and layers 1..n), a preset's name
    ("sep_emb_l1": what that preset makes private, whatever this run's own mask; so models of
    several masks can be tuned with the same leaves frozen), or ordered rules with values "frozen" /
    "trained". `absent`: see `rules.assign`.
    """
    if isinstance(freeze, str) and freeze == "private":
        return jax.tree.map(lambda x, v: np.full(x.shape[0], max(v) == 0), params, mask)
    values = apply_rules(_freeze_rules(freeze), params, "freeze", absent)
    return jax.tree.map(lambda x, value: np.full(x.shape[0], value == "trained"), params, values)


def _freeze_rules(freeze: str | Rules) -> Rules:
    if not isinstance(freeze, str):
        for _, value in freeze:
            if value not in ("frozen", "trained"):
                raise unknown("freeze value", value, ("frozen", "trained"))
        return freeze
    if freeze in ("none", "all"):
        return ((".*", "trained" if freeze == "none" else "frozen"),)
    if freeze.startswith("sep"):
        return [(p, "frozen" if value == "private" else "trained") for p, value in preset(freeze)]
    upto = re.fullmatch(r"up_to:(\d+)", freeze)
    if upto is None:
        raise unknown("freeze", freeze, ("none", "all", "private", "up_to:n", *PRESETS[2:]))
    layers = [(f"layer_{i}/.*", "frozen") for i in range(1, int(upto[1]) + 1)]
    return (("embed/.*", "frozen"), *layers, (".*", "trained"))


def components(template: Params, mask: Mask, n_languages: int) -> tuple[np.ndarray, Any]:
    """Connected components of the sharing graph: its nodes are the languages, and every parameter
    that two languages share joins them.

    Returns (component of each language int[languages], component of each variant int[V] per leaf).
    Components are optimised independently: the training step normalises losses and clips gradients
    within each one.
    """
    component = np.arange(n_languages)
    for variants in _tuples(template, mask):
        for v in range(max(variants) + 1):
            tied = component[[i for i, used in enumerate(variants) if used == v]]
            component[np.isin(component, tied)] = tied.min()
    component = np.unique(component, return_inverse=True)[1]

    def of_leaf(_: Any, variants: Variants) -> np.ndarray:
        first_user = [variants.index(v) for v in range(max(variants) + 1)]
        return component[first_user]

    return component, jax.tree.map(of_leaf, template, mask)


def parts(template: Params, mask: Mask, languages: Sequence[str]) -> tuple[list[str], Any]:
    """(names, int[V] per leaf): which part of the tree each variant belongs to.

    `shared` by all languages, `private/en` used by one alone, or `partly` by several; only parts
    that exist are named.
    """
    known = ["shared", "partly", *(f"private/{x}" for x in languages)]

    def of_variants(variants: Variants) -> list[str]:
        named = []
        for v in range(max(variants) + 1):
            users = [x for x, used in zip(languages, variants, strict=True) if used == v]
            alone = f"private/{users[0]}" if len(users) == 1 else "partly"
            named.append("shared" if len(users) == len(languages) else alone)
        return named

    by_leaf = [of_variants(variants) for variants in _tuples(template, mask)]
    names = [name for name in known if any(name in named for named in by_leaf)]
    index = [np.array([names.index(name) for name in named]) for named in by_leaf]
    return names, jax.tree.unflatten(jax.tree.structure(template), index)


def count(template: Params, mask: Mask, languages: Sequence[str]) -> dict[str, int]:
    """Numbers of parameters: `total`, `shared` (by all languages), and what each language's own
    view uses alone, `private/en`; groups of several but not all languages are `partly`."""
    counts = dict.fromkeys(["total", "shared", "partly", *(f"private/{x}" for x in languages)], 0)
    names, index = parts(template, mask, languages)
    for leaf, of_variant in zip(jax.tree.leaves(template), jax.tree.leaves(index), strict=True):
        size = int(np.prod(leaf.shape))
        counts["total"] += size * len(of_variant)
        for part in of_variant:
            counts[names[part]] += size
    return counts


def table(template: Params, mask: Mask, languages: Sequence[str]) -> str:
    """One line a leaf: path, one language's shape, and who shares it, e.g. `en+fr | zh`."""
    rows = []
    paths = leaf_paths(template)
    leaves = jax.tree.leaves(template)
    for path, leaf, variants in zip(paths, leaves, _tuples(template, mask), strict=True):
        groups = [
            "+".join(x for x, used in zip(languages, variants, strict=True) if used == v)
            for v in range(max(variants) + 1)
        ]
        rows.append((path, str(list(leaf.shape)), " | ".join(groups)))
    widths = [max(len(row[i]) for row in rows) for i in range(2)]
    return "\n".join(f"{p:<{widths[0]}}  {s:<{widths[1]}}  {g}" for p, s, g in rows)


def by_path(template: Params, mask: Mask) -> list[tuple[str, Variants]]:
    """(path, variants) of every leaf."""
    return list(zip(leaf_paths(template), _tuples(template, mask), strict=True))


def _tuples(template: Params, mask: Mask) -> list[Variants]:
    """The mask's tuples in the order of the template's leaves."""
    structure: Any = jax.tree.structure(template)
    return structure.flatten_up_to(mask)
