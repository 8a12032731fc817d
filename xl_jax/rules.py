"""Ordered (pattern, value) rules over the leaf paths of a tree: the one engine behind sharing,
freezing, weight decay and partitioning over the mesh.

A leaf's path joins its keys with '/': `layer_3/attention/query/kernel`. A pattern is a regular
expression that must match the whole path; the first rule that matches gives the leaf its value.
Nothing is silent: a leaf that no rule matches, a rule that matches no leaf, and a rule that can
never win because earlier ones take all its leaves are errors. Only a closing `.*` may find nothing
left to do.

A rule may name a part of the leaves: `layer_3/attention/.*[head 0:4]`. It matches the leaves
`...[head FIRST:LAST]` that lie within it (see `model.leaf_parts`); a rule that names none matches
all parts.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import jax

from xl_jax.errors import InputError, near

Rule: TypeAlias = tuple[str, Any]
Rules: TypeAlias = Sequence[Rule]
Absent: TypeAlias = Mapping[str, str]  # path of a leaf that the config leaves out -> why


def leaf_paths(tree: Any) -> list[str]:
    """The '/'-joined path of every leaf, in the order of `jax.tree.leaves`."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in leaves]


def assign(
    rules: Rules, paths: Sequence[str], what: str = "rules", absent: Absent | None = None
) -> list[Any]:
    """The value that `rules` give each of `paths`.

    Args:
      what: the name of the rules in errors.
      absent: told where a rule is about such leaves alone.

    Raises:
      InputError: a path without a rule, or a rule without a path (see the module's docstring).
    """
    compiled = [pattern_of(pattern, what) for pattern, _ in rules]
    matches = [[i for i, pattern in enumerate(compiled) if pattern.matches(p)] for p in paths]

    matched = {i for hits in matches for i in hits}
    winning = {hits[0] for hits in matches if hits}
    for i, (pattern, _) in enumerate(rules):
        if i not in matched:
            why = [x for path, x in (absent or {}).items() if compiled[i].about(path)]
            if why:
                raise InputError(f"{what}: rule {pattern!r} matches no parameter: {why[0]}")
            close = near(pattern, _addresses(paths)) or list(paths[:3])
            raise InputError(
                f"{what}: rule {pattern!r} matches no parameter; near names: {', '.join(close)}"
            )
        if i not in winning and pattern != ".*":
            first = next(rules[hits[0]][0] for hits in matches if i in hits)
            raise InputError(
                f"{what}: rule {pattern!r} never applies: {first!r} comes before it and takes its "
                "parameters (the first match wins)"
            )
    uncovered = [p for p, hits in zip(paths, matches, strict=True) if not hits]
    if uncovered:
        shown = ", ".join(uncovered[:5]) + (", ..." if len(uncovered) > 5 else "")
        raise InputError(f"{what}: no rule for {len(uncovered)} parameters: {shown}")
    return [rules[hits[0]][1] for hits in matches]


def apply_rules(rules: Rules, tree: Any, what: str = "rules", absent: Absent | None = None) -> Any:
    """`tree` with every leaf replaced by the value of its first matching rule, see `assign`."""
    values = assign(rules, leaf_paths(tree), what, absent)
    return jax.tree.unflatten(jax.tree.structure(tree), values)


Part: TypeAlias = tuple[str, int, int]  # kind, first, behind the last
_PART = re.compile(r"(.*)\[([a-z]+) (\d+):(\d+)\]", re.DOTALL)


def split_name(name: str) -> tuple[str, Part | None]:
    """The path of a leaf, or the pattern of a rule, without the part that it names; the part."""
    found = _PART.fullmatch(name) if isinstance(name, str) else None
    if found is None:
        return name, None
    return found[1], (found[2], int(found[3]), int(found[4]))


class Pattern(NamedTuple):
    regex: re.Pattern[str]
    part: Part | None

    def about(self, path: str) -> bool:
        """Whether the leaf, or one of its parts, may match."""
        return self.regex.fullmatch(split_name(path)[0]) is not None

    def matches(self, path: str) -> bool:
        part = split_name(path)[1]
        if self.part is None:
            return self.about(path)
        if part is None or part[0] != self.part[0] or not self.about(path):
            return False
        return self.part[1] <= part[1] and part[2] <= self.part[2]


def pattern_of(pattern: str, what: str) -> Pattern:
    """Raises InputError: not a regular expression."""
    regex, part = split_name(pattern)
    try:
        return Pattern(re.compile(regex), part)
    except (re.error, TypeError) as error:
        raise InputError(f"{what}: {pattern!r} is not a regular expression: {error}") from error


def _addresses(paths: Sequence[str]) -> list[str]:
    """What a pattern may have meant: each path, and each folder of paths as `folder/.*`."""
    folders = {p.rsplit("/", n)[0] + "/.*" for p in paths for n in range(1, p.count("/") + 1)}
    return [*sorted(folders), *paths]
