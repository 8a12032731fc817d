"""Where text comes from, named by a short spec `SCHEME:PATH#key=value,key=value`:

files:GLOB         plain text (also .gz, .bz2, .xz); every line is a document, blank ones skipped
docstrings:        English prose of the installed packages: nothing to download
synthetic:a        first language of a generated pair; synthetic:b#anchors=0.3 the second, with
                   its relation to the first (see `synthetic.Grammar` for the keys)
twin:LANGUAGE      a copy of another language of the run, its pieces renamed by the vocabulary
                   (unless that is joint); keys: order = keep, invert or permute (the tokens of a
                   line), text = disjoint (default: the two halves of the text, no sentence in
                   common) or parallel
"""

import bz2
import dataclasses
import glob
import gzip
import hashlib
import lzma
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from xl_jax.data import docstrings, synthetic
from xl_jax.errors import InputError, unknown

HELDOUT = -1  # the part of the lines that no language trains on


@dataclass(frozen=True)
class Corpus:
    """One language's text. A twin has its base's lines, and says what is done to their tokens."""

    spec: str
    lines: Callable[[], Iterator[str]] = field(compare=False)
    base: str = ""  # the language this one is a twin of; "" = its own text
    order: str = "keep"
    parallel: bool = False
    grammar: synthetic.Grammar | None = None
    side: str = ""  # of the synthetic pair


def open_corpora(specs: Mapping[str, str]) -> dict[str, Corpus]:
    """Every language's corpus, checked: files exist, keys are known, twins have a base.

    Raises:
      InputError: naming the spec and what is wrong with it.
    """
    corpora: dict[str, Corpus] = {}
    for language, spec in specs.items():
        scheme, found, rest = spec.partition(":")
        if not found or scheme not in _OPEN:
            raise unknown(f"corpus scheme of {language} = {spec!r}", scheme, _OPEN)
        path, _, tail = rest.partition("#")
        corpora[language] = _OPEN[scheme](spec, path, _keys(spec, tail))
    grammars = [c.grammar for c in corpora.values() if c.side == "b" and c.grammar]
    for language, corpus in corpora.items():
        if corpus.base:
            if corpus.base not in corpora or corpora[corpus.base].base:
                known = [x for x, c in corpora.items() if not c.base]
                raise unknown(f"base of the twin {language}", corpus.base, known)
            base = corpora[corpus.base]
            corpora[language] = dataclasses.replace(corpus, lines=base.lines)
        if corpus.side == "a" and len(grammars) == 1:  # side b's knobs describe the pair
            corpora[language] = _synthetic_corpus(corpus.spec, "a", grammars[0])
    return corpora


def part_of(line: str, heldout: float, parts: int) -> int:
    """Which part a line belongs to: HELDOUT, or 0..parts-1. A hash of the line alone decides, so
    that equal lines never fall into two parts and a growing corpus keeps its held-out lines."""
    number = int.from_bytes(hashlib.blake2b(line.encode(), digest_size=8).digest(), "big")
    share = number / 2**64
    if share < heldout:
        return HELDOUT
    return min(int((share - heldout) / (1 - heldout) * parts), parts - 1)


def assign_parts(corpora: Mapping[str, Corpus]) -> dict[str, tuple[int, int]]:
    """(part, number of parts) of its base's lines that each language trains on: a base and its
    disjoint twins divide the text, a parallel twin reads its base's part."""
    result = {}
    for language, corpus in corpora.items():
        base = corpus.base or language
        family = [base] + [x for x, c in corpora.items() if c.base == base and not c.parallel]
        result[language] = (family.index(language) if language in family else 0, len(family))
    return result


def _keys(spec: str, tail: str) -> dict[str, str]:
    keys = {}
    for item in filter(None, tail.split(",")):
        name, found, value = item.partition("=")
        if not found:
            raise InputError(f"corpus {spec!r}: {item!r} is not key=value")
        keys[name] = value
    return keys


def _only(spec: str, keys: Mapping[str, str], known: Mapping[str, tuple[str, ...]]) -> None:
    for name, value in keys.items():
        if name not in known:
            raise unknown(f"key in corpus {spec!r}", name, known)
        if value not in known[name]:
            raise unknown(f"value of {name} in corpus {spec!r}", value, known[name])


_OPENERS = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


def _files(spec: str, path: str, keys: dict[str, str]) -> Corpus:
    _only(spec, keys, {})
    paths = sorted(glob.glob(path, recursive=True))
    if not paths:
        raise InputError(f"corpus {spec!r}: no file matches {path!r}")

    def lines() -> Iterator[str]:
        for name in paths:
            opener: Any = next((o for end, o in _OPENERS.items() if name.endswith(end)), open)
            with opener(name, "rt", encoding="utf-8") as file:
                try:
                    for line in file:
                        if line := line.strip():
                            yield line
                except UnicodeDecodeError as error:
                    raise InputError(f"{name}: not UTF-8 text ({error.reason})") from error

    return Corpus(spec, lines)


@lru_cache(maxsize=1)
def _docstring_lines() -> tuple[str, ...]:
    return tuple(docstrings.read())


def _docstrings(spec: str, path: str, keys: dict[str, str]) -> Corpus:
    _only(spec, keys, {})
    return Corpus(spec, lambda: iter(_docstring_lines()))


def _synthetic(spec: str, path: str, keys: dict[str, str]) -> Corpus:
    if path not in ("a", "b"):
        raise unknown(f"side in corpus {spec!r}", path, ("a", "b"))
    if path == "a" and keys:
        raise InputError(f"corpus {spec!r}: the knobs of a pair belong to its side b")
    fields = {f.name: f for f in dataclasses.fields(synthetic.Grammar)}
    values: dict[str, Any] = {}
    for name, value in keys.items():
        if name not in fields:
            raise unknown(f"key in corpus {spec!r}", name, fields)
        try:
            values[name] = type(fields[name].default)(value)
        except ValueError as error:
            raise InputError(f"corpus {spec!r}: {name} = {value!r} is not a number") from error
    return _synthetic_corpus(spec, path, synthetic.Grammar(**values))


def _synthetic_corpus(spec: str, side: str, grammar: synthetic.Grammar) -> Corpus:
    return Corpus(spec, lambda: synthetic.sentences(grammar, side), grammar=grammar, side=side)


def _twin(spec: str, path: str, keys: dict[str, str]) -> Corpus:
    known = {"order": ("keep", "invert", "permute"), "text": ("disjoint", "parallel")}
    _only(spec, keys, known)
    return Corpus(
        spec,
        lambda: iter(()),
        base=path,
        order=keys.get("order", "keep"),
        parallel=keys.get("text") == "parallel",
    )


_OPEN: dict[str, Callable[[str, str, dict[str, str]], Corpus]] = {
    "files": _files,
    "docstrings": _docstrings,
    "synthetic": _synthetic,
    "twin": _twin,
}
