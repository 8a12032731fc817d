"""Where text comes from, named by a short spec `SCHEME:PATH#key=value,key=value`:

files:GLOB         plain text or JSON lines, compressed or not; keys: see `text_files.Files`, and
                   text = lines (default) or prose (every line is split into sentences); or
                   parquet: field and errors, see `parquet.Parquet`
hf:REPO/CONFIG     a set of the Hugging Face Hub, [:SPLIT] may follow; keys: revision (see `hub`),
                   field, errors and text as for files
tfds:NAME/CONFIG   a set of TensorFlow Datasets, [:VERSION][:SPLIT] may follow; keys: see
                   `tfds.Tfds`, and text
none:              no text at all, where it is not needed: of an imported encoder
docstrings:        English prose of the installed packages: nothing to download
synthetic:a        first language of a generated pair; synthetic:b#anchors=0.3 the second, with
                   its relation to the first (see `synthetic_grammar.Grammar` for the keys)
twin:LANGUAGE      a copy of another language of the run, its pieces renamed by the vocabulary;
                   keys: text = disjoint (default: base and twins divide the documents among them)
                   or parallel (the base's own documents), and the keys of a copy

Keys of a copy: order = keep, invert or permute (the tokens of a line); p, the share of a line's
tokens that are permuted (1); shift, the share of the base's pieces that are renamed (1; 0 in a
joint vocabulary).
Keys of every scheme but twin: script, only lines mostly written in it (Latin, Cyrillic, Han, ...;
several joined by +); share, a random subset of this share of the documents; of = LANGUAGE, this
text is written in the vocabulary of that language, as a copy of it is, and takes a copy's keys
(in `synthetic:b`, order stays the grammar's).
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from xl_jax.errors import InputError, unknown
from xl_jax.text import docstrings, synthetic, text_files
from xl_jax.text.clean import check_script
from xl_jax.text.documents import OnePart, Source, State, Subset
from xl_jax.text.hub import HubSet, HubText, commit_of
from xl_jax.text.parquet import Parquet
from xl_jax.text.synthetic_grammar import Grammar
from xl_jax.text.text_files import Files
from xl_jax.text.tfds import Tfds

HELDOUT, TEST = -1, -2  # the splits that no language trains on


@dataclass(frozen=True)
class Corpus:
    """One language's text. A twin has its base's source, and says what is done to the tokens."""

    spec: str
    source: Source = field(compare=False)  # `share` is applied; script and prose are the cleaner's
    base: str = ""  # the language whose vocabulary this one is written in; "" = its own
    order: str = "keep"  # keep, invert or permute: the tokens of a line
    p: float = 1.0  # share of a line's tokens that are permuted
    shift: float | None = None  # share of the base's pieces renamed; None = what the mode says
    parallel: bool = False  # a twin reads its base's part of the text
    own_text: bool = False  # has a base, but is not a copy of its text
    script: str = ""  # lines mostly of other scripts are dropped; "" = all are kept
    share: float = 1.0  # of the documents
    prose: str = ""  # language by whose rules lines are divided into sentences; "" = they are not
    grammar: Grammar | None = None
    side: str = ""  # of the synthetic pair
    hub: HubText | None = field(default=None, compare=False)  # the source, of a set of the Hub


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
        keys = _Keys(spec, tail)
        corpus = _OPEN[scheme](language, spec, path, keys)
        corpora[language] = corpus if corpus.base else _common(corpus, keys)
        keys.finish()
    grammars = [c.grammar for c in corpora.values() if c.side == "b" and c.grammar]
    for language, corpus in corpora.items():
        if corpus.side == "a" and len(grammars) == 1:  # side b's knobs describe the pair
            corpus = dataclasses.replace(
                corpus, grammar=grammars[0], source=_generated(grammars[0], "a")
            )
        if corpus.share < 1:
            corpus = dataclasses.replace(corpus, source=Subset(corpus.source, corpus.share))
        corpora[language] = corpus
    for language, corpus in corpora.items():
        if corpus.base:
            if corpus.base not in corpora or corpora[corpus.base].base:
                known = [x for x, c in corpora.items() if not c.base]
                raise unknown(f"base of the twin {language}", corpus.base, known)
            if not corpus.own_text:
                base = corpora[corpus.base]
                corpora[language] = dataclasses.replace(
                    corpus,
                    source=base.source,
                    share=base.share,
                    script=base.script,
                    prose=base.prose,
                )
    return corpora


def pinned(specs: Mapping[str, str], states: Mapping[str, State]) -> dict[str, str]:
    """The specs, with a commit as the revision of every set of the Hub: that of an earlier state of
    the text (`Source.state`), or what its revision names now.

    Raises:
      InputError: see `hub.HubSet`.
    """
    result = dict(specs)
    for language, spec in specs.items():
        path, _, tail = spec.removeprefix("hf:").partition("#")
        if path != spec and spec.startswith("hf:"):
            keys = dict(x.partition("=")[::2] for x in tail.split(",") if x)
            revision = keys.get("revision", "")
            keys["revision"] = commit_of(path, revision, states.get(language, {}))
            result[language] = f"hf:{path}#{','.join(f'{k}={v}' for k, v in keys.items())}"
    return result


def fetch(corpora: Mapping[str, Corpus], log: Callable[[str], None]) -> None:
    """Downloads the sets of the Hub that are not in its cache, when all of them have text.

    Raises:
      InputError: see `hub.HubText`.
    """
    texts = [corpus.hub for corpus in corpora.values() if corpus.hub]
    for text in texts:
        _ = text.column
    for text in texts:
        text.fetch(log)


def splits(
    positions: Float[np.ndarray, " n"], heldout: float, test: float, parts: int
) -> Int[np.ndarray, " n"]:
    """Where documents belong by their `documents.positions`: HELDOUT, TEST, or one of the training
    parts 0..parts-1.

    Their text alone decides, so that equal documents never fall into two splits and a growing
    corpus keeps its held-out documents; these do not depend on `parts`.
    """
    kept = heldout + test
    part = np.minimum(((positions - kept) / (1 - kept) * parts).astype(np.int64), parts - 1)
    return np.where(positions < heldout, HELDOUT, np.where(positions < kept, TEST, part))


def assign_parts(corpora: Mapping[str, Corpus]) -> dict[str, tuple[int, int]]:
    """(part, number of parts) of its source's documents that each language trains on: a base and
    its disjoint twins divide the text, a parallel twin reads its base's part."""
    copies = {x: c.base for x, c in corpora.items() if c.base and not c.own_text}
    result = {}
    for language in corpora:
        base = copies.get(language, language)
        family = [base] + [x for x, b in copies.items() if b == base and not corpora[x].parallel]
        result[language] = (family.index(language) if language in family else 0, len(family))
    return result


class _Keys:
    """The `key=value` pairs of a spec, taken one after the other; what is left over is unknown."""

    def __init__(self, spec: str, tail: str) -> None:
        self._spec = spec
        self._known: list[str] = []
        self._values: dict[str, str] = {}
        for item in filter(None, tail.split(",")):
            name, found, value = item.partition("=")
            if not found:
                raise InputError(f"corpus {spec!r}: {item!r} is not key=value")
            self._values[name] = value

    def text(self, name: str, default: str = "") -> str:
        self._known.append(name)
        return self._values.pop(name, default)

    def choice(self, name: str, *known: str) -> str:
        """One of the known values, by default the first."""
        value = self.text(name, known[0])
        if value not in known:
            raise unknown(f"value of {name} in corpus {self._spec!r}", value, known)
        return value

    def number(self, name: str, default: Any, kind: Callable[[str], Any] = float) -> Any:
        value = self.text(name)
        try:
            return kind(value) if value else default
        except ValueError as error:
            message = f"corpus {self._spec!r}: {name} = {value!r} is not a number"
            raise InputError(message) from error

    def share(self, name: str, default: Any, least: float = 0.0) -> Any:
        value = self.number(name, default)
        if value is not None and not least <= value <= 1:
            raise InputError(f"corpus {self._spec!r}: {name} = {value:g} is not in {least:g}..1")
        return value

    def finish(self) -> None:
        for name in self._values:
            raise unknown(f"key in corpus {self._spec!r}", name, self._known)


def _common(corpus: Corpus, keys: _Keys) -> Corpus:
    """Reads the keys of every scheme with text of its own."""
    script = keys.text("script")
    if script:
        check_script(script)
    share = keys.share("share", 1.0, 1e-9)
    corpus = dataclasses.replace(corpus, script=script, share=share)
    if base := keys.text("of"):
        return dataclasses.replace(corpus, base=base, own_text=True, **_copy(keys))
    return corpus


def _copy(keys: _Keys) -> dict[str, Any]:
    return {
        "order": keys.choice("order", "keep", "invert", "permute"),
        "p": keys.share("p", 1.0),
        "shift": keys.share("shift", None),
    }


def _prose(keys: _Keys, language: str) -> str:
    return language if keys.choice("text", "lines", "prose") == "prose" else ""


def _files(language: str, spec: str, path: str, keys: _Keys) -> Corpus:
    by = keys.choice("documents", "line", "blank", "file")
    column, errors = keys.text("field"), keys.choice("errors", "drop", "stop")
    sizes = text_files.matching(path)
    packed = [x for x in sizes if x.endswith(".parquet")]
    if packed and (len(packed) < len(sizes) or by != "line"):
        other = next((x for x in sizes if x not in packed), f"documents={by}")
        raise InputError(f"corpus {spec!r}: parquet is read alone, a record is a document: {other}")
    if packed:
        where, state = f"corpus {spec!r}", partial(text_files.state_of, sizes)
        source: Source = Parquet(where, lambda: packed, column, errors == "stop", state)
    else:
        source = Files(path, documents=by, field=column, errors=errors)
    return Corpus(spec, source, prose=_prose(keys, language))


def _hf(language: str, spec: str, path: str, keys: _Keys) -> Corpus:
    source = HubText(
        f"corpus {spec!r}",
        HubSet(path, keys.text("revision")),
        field=keys.text("field"),
        stop=keys.choice("errors", "drop", "stop") == "stop",
    )
    return Corpus(spec, source, prose=_prose(keys, language), hub=source)


def _tfds(language: str, spec: str, path: str, keys: _Keys) -> Corpus:
    source = Tfds(path, field=keys.text("field"), folder=keys.text("dir"))
    return Corpus(spec, source, prose=_prose(keys, language))


@lru_cache(maxsize=1)
def _docstring_lines() -> tuple[str, ...]:
    return tuple(docstrings.read())


def _docstrings(language: str, spec: str, path: str, keys: _Keys) -> Corpus:
    return Corpus(spec, OnePart(lambda: iter(_docstring_lines()), docstrings.versions))


def _synthetic(language: str, spec: str, path: str, keys: _Keys) -> Corpus:
    if path not in ("a", "b"):
        raise unknown(f"side in corpus {spec!r}", path, ("a", "b"))
    knobs = {
        f.name: keys.number(f.name, f.default, type(f.default)) for f in dataclasses.fields(Grammar)
    }
    grammar = Grammar(**knobs)
    if path == "a" and grammar != Grammar():
        raise InputError(f"corpus {spec!r}: the knobs of a pair belong to its side b")
    return Corpus(spec, _generated(grammar, path), grammar=grammar, side=path)


def _none(language: str, spec: str, path: str, keys: _Keys) -> Corpus:
    return Corpus(spec, OnePart(lambda: iter(())))


def _generated(grammar: Grammar, side: str) -> Source:
    def lines() -> Iterator[str]:
        return synthetic.sentences(grammar, side)

    return OnePart(lines)


def _twin(language: str, spec: str, path: str, keys: _Keys) -> Corpus:
    if not path:
        raise InputError(f"corpus {spec!r}: a twin of which language?")
    nothing = OnePart(lambda: iter(()))
    parallel = keys.choice("text", "disjoint", "parallel") == "parallel"
    return Corpus(spec, nothing, base=path, parallel=parallel, **_copy(keys))


_OPEN: dict[str, Callable[[str, str, str, _Keys], Corpus]] = {
    "files": _files,
    "hf": _hf,
    "tfds": _tfds,
    "none": _none,
    "docstrings": _docstrings,
    "synthetic": _synthetic,
    "twin": _twin,
}
