"""The texts in a Python source, found without parsing all of it.

Building the syntax tree of every installed module takes eight times as long, most of it for nodes
that hold no text. Here a regular expression finds string literals and comments, brackets between
them are counted, and only literals that may hold prose are parsed.
"""

import ast
import re
import warnings
from collections.abc import Iterator

_LITERAL = re.compile(
    rb"#[^\n]*"
    rb'|"{3}[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*"{3}'
    rb"|'{3}[^'\\]*(?:(?:\\.|'(?!''))[^'\\]*)*'{3}"
    rb'|"[^"\\\n]*(?:\\.[^"\\\n]*)*"'
    rb"|'[^'\\\n]*(?:\\.[^'\\\n]*)*'",
    re.DOTALL,
)
_PREFIX = re.compile(rb"\b[rbuf]{1,2}\Z", re.IGNORECASE)
# What may stand between two literals that Python joins: outside of brackets, and inside.
_ON_A_LINE = re.compile(rb"(?:[ \t]|\\\r?\n)*(?:[rbuf]{1,2})?", re.IGNORECASE)
_IN_BRACKETS = re.compile(rb"(?:\s|\\\r?\n|#[^\n]*\n)*(?:[rbuf]{1,2})?", re.IGNORECASE)
_STARTS_STATEMENT = re.compile(rb"[ \t\f]*(?:(?:class|def)\b[^\n]*:[ \t]*)?")
_ENDS_STATEMENT = re.compile(rb"[ \t]*(?:[#;\r\n]|\Z)")
_NO_BRACKETS = bytes(set(range(256)) - set(b"()[]{}"))


def texts(source: bytes) -> list[str]:
    """The strings of more than one line, wherever they stand, and those on one line that are a
    statement of their own, as docstrings are, in the order of the source. Adjacent literals are one
    string; of an f-string the constant parts count.

    A statement is found where it begins a line or follows the header of a class or function there.
    Of a source that is no Python of this version, the strings are found all the same.
    """
    found: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # an unknown escape
        for start, end, alone in _literals(source):
            literal = source[start:end]
            if alone or b"\n" in literal or b"\\" in literal:
                found += _constants(literal, alone)
    return found


def _literals(source: bytes) -> Iterator[tuple[int, int, bool]]:
    """(start, end, whether it is a statement) of every string, adjacent literals together."""
    depth = counted = end = 0  # open brackets before `counted`; the end of the last literal
    start, alone = -1, False
    for match in _LITERAL.finditer(source):
        comment = source[match.start()] == ord("#")
        between = _IN_BRACKETS if depth else _ON_A_LINE
        if not comment and start >= 0 and between.fullmatch(source, end, match.start()):
            counted = end = match.end()
            continue
        depth += _opened(source[counted : match.start()])
        counted = match.end()
        if comment:
            continue
        if start >= 0:
            yield start, end, alone and _ENDS_STATEMENT.match(source, end) is not None
        prefix = _PREFIX.search(source, max(0, match.start() - 3), match.start())
        start, end = prefix.start() if prefix else match.start(), match.end()
        line = source.rfind(b"\n", 0, start) + 1
        alone = depth == 0 and source[line - 2 : line] != b"\\\n"
        alone = alone and _STARTS_STATEMENT.fullmatch(source, line, start) is not None
    if start >= 0:
        yield start, end, alone and _ENDS_STATEMENT.match(source, end) is not None


def _opened(code: bytes) -> int:
    """Brackets that are opened in it, less those that are closed."""
    brackets = code.translate(None, _NO_BRACKETS)
    return sum(1 if bracket in b"([{" else -1 for bracket in brackets)


def _constants(literal: bytes, alone: bool) -> Iterator[str]:
    try:
        value = ast.parse(b"(" + literal + b")", mode="eval").body
    except (SyntaxError, ValueError):  # no string of this Python
        return
    for node in ast.walk(value):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if "\n" in node.value or (alone and node is value):
                yield node.value
