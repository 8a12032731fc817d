"""Errors that a user can act on: one line that names the thing, its value and the known choices."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Bad input. Commands print it as one line and exit with code 2, before any work is done."""


def printable(text: str) -> str:
    """`text` in one line, with escapes in place of what would command a terminal: names come from
    files of others."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def first_line(error: BaseException) -> str:
    """What libraries raise in several lines, or without a word, in one."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]


def near(name: str, known: Iterable[str], n: int = 3) -> list[str]:
    """Up to `n` of the `known` names, closest in spelling to `name` first."""
    return difflib.get_close_matches(name, list(known), n=n, cutoff=0.4)


def unknown(what: str, name: object, known: Iterable[str]) -> InputError:
    """An `InputError` for a name outside a closed list: near names first, then every choice."""
    choices = sorted(set(known))
    close = near(str(name), choices)
    hint = f"did you mean {' or '.join(map(repr, close))}? " if close else ""
    return InputError(f"unknown {what} {name!r}: {hint}known: {', '.join(choices)}")
