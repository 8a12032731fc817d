"""Sharing rules from a tree of languages: what all share, what a family shares, what is private."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from xl_jax.errors import InputError, unknown
from xl_jax.rules import Rules

Tree: TypeAlias = Mapping[str, "Tree"] | Sequence[str]  # families of families, down to languages


def languages(tree: Tree) -> tuple[str, ...]:
    """All languages of the tree, in its order.

    Raises:
      InputError: one is named twice, or a family has none.
    """
    found = _below(tree, "the tree")
    for language in found:
        if (times := found.count(language)) > 1:
            raise InputError(f"language {language!r} is in the tree {times} times")
    return found


def tree_rules(tree: Tree, levels: Mapping[str, int | str]) -> Rules:
    """Rules of `sharing.make_mask`, which refuses a tree that leaves out a language of the run.

    Args:
      tree: {"romance": ("fr", "es"), "slavic": {"east": ("ru", "uk"), "west": ("pl",)}}
      levels: pattern over leaf paths -> who shares a variant. 0: all languages; 1: those of a
        family; 2: those of a branch of a family, and so on (a family without branches stays one
        group); "own": none.

    Raises:
      InputError: a wrong tree (see `languages`); a level that the tree does not have.
    """
    groups: dict[int | str, tuple[tuple[str, ...], ...]]
    groups = {"own": tuple((language,) for language in languages(tree))}
    nodes: list[Tree] = [tree]
    for level in range(_depth(tree) + 1):
        groups[level] = tuple(_below(node, "the tree") for node in nodes)
        nodes = [x for n in nodes for x in (n.values() if isinstance(n, Mapping) else (n,))]
    for pattern, wanted in levels.items():
        if wanted not in groups:
            raise unknown(f"level of {pattern!r} in the tree", wanted, map(str, groups))
    return tuple((pattern, groups[level]) for pattern, level in levels.items())


def _below(tree: Tree, name: str) -> tuple[str, ...]:
    if isinstance(tree, str):
        raise InputError(f"{name} is not a family: {tree!r} is one language")
    if isinstance(tree, Mapping):
        found = tuple(x for key, node in tree.items() for x in _below(node, repr(key)))
    else:
        found = tuple(tree)
    if not found:
        raise InputError(f"{name} is not a family: it has no languages")
    return found


def _depth(tree: Tree) -> int:
    return 1 + max(map(_depth, tree.values())) if isinstance(tree, Mapping) else 0
