"""Words: dictionary induction through a map (paper 5.1.1).

Three kinds of vectors: rows of the embedding table, for words that are one piece; averages of all
occurrences in the training text, at every layer; fastText's, trained on the same text, for the same
words.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from xl_jax.analysis import fasttext, procrustes
from xl_jax.analysis.dictionary_induction import Covered, cover
from xl_jax.analysis.dictionary_induction import induction as induce
from xl_jax.analysis.record import Record
from xl_jax.errors import InputError
from xl_jax.evaluate import hits
from xl_jax.evaluate.context import Context
from xl_jax.evaluate.encoders import Encoders
from xl_jax.evaluate.maps import save_maps
from xl_jax.file_names import file_name
from xl_jax.json_files import fingerprint
from xl_jax.text import dictionaries
from xl_jax.tokens.detokenize import Spelling, most_frequent, single_pieces

ROTATIONS = ("procrustes", "random")


class Space(NamedTuple):
    """Words of one language and their vectors [layers, words, D]."""

    words: list[str]
    vectors: np.ndarray


def induction(context: Context) -> Iterator[Record]:
    """Precision at 1 and 5 of the test dictionary (`probe.dictionary`) by CSLS and cosine, through
    the map that the training dictionary (`probe.map_dictionary`) gives and a random one; of all
    words, and of those that no translation spells alike."""
    for source, target in context.language_pairs:
        o = context.between(source, target)
        if not (o.dictionary and o.map_dictionary):
            return
        train, test = (
            [entry[:2] for entry in dictionaries.read(name)]
            for name in (o.map_dictionary, o.dictionary)
        )
        alike = {a for a, b in test if a == b}  # a joint vocabulary gives them one row
        tests = {"all": test, "different": [(a, b) for a, b in test if a not in alike]}
        data = Path(o.dictionary).stem
        sides = list(zip((context.source, context.target), (source, target), strict=True))
        texts = [_words(context, encoders, language) for encoders, language in sides]
        for vectors, model, x, y in _spaces(context, sides, texts):
            origin = context.origin(model, source, target) | {"data": data}
            words = cover(train, x.words, y.words).answers
            maps = {kind: _maps(o.normalise, x, y, words, kind) for kind in ROTATIONS}
            spaces = {"vectors": vectors, "words": [len(x.words), len(y.words)]}
            for spelling, pairs in tests.items():
                if pairs:
                    extras = {**spaces, "spelling": spelling, "map_pairs": len(words)}
                    answers = cover(pairs, x.words, y.words)
                    yield from _induced(x, y, maps, answers, origin | {"extras": extras})
            if model == "trained":
                save_maps(context, maps["procrustes"], re.sub(r"\W+", "_", vectors), source, target)


def _maps(
    normalise: str, x: Space, y: Space, words: np.ndarray, rotation: str
) -> list[procrustes.Map]:
    """Of every layer, the map of the target's space into the source's that pairs of words give."""
    layers = zip(x.vectors, y.vectors, strict=False)
    return [
        procrustes.fit(b[words[:, 1]], a[words[:, 0]], normalise, rotation, (b, a), layer)
        for layer, (a, b) in enumerate(layers)
    ]


def _induced(
    x: Space,
    y: Space,
    maps: Mapping[str, Sequence[procrustes.Map]],
    answers: Covered,
    origin: Mapping[str, Any],
) -> Iterator[Record]:
    found: dict[tuple[int, float], list[hits.Hits]] = {}
    for kind, of_layers in maps.items():
        for layer, learnt in enumerate(of_layers):
            for one in induce(learnt.target(x.vectors[layer]), learnt(y.vectors[layer]), answers):
                way = {"map": kind, "criterion": one.criterion}
                at_cut = found.setdefault((one.at, one.chance), [])
                at_cut.append(hits.Hits(layer, way, one.hits[None]))
    for (at, chance), at_cut in found.items():
        extras = {"at": at, "coverage": answers.coverage, **origin["extras"]}
        fields = {**origin, "chance": chance, "n": answers.words, "extras": extras}
        yield from hits.by_layer("dictionary_induction", at_cut, **fields)
        yield from hits.at_best_layer("dictionary_induction", at_cut, **fields)


def _spaces(
    context: Context, sides: list[tuple[Encoders, str]], texts: list[dict[str, int]]
) -> Iterator[tuple[str, str, Space, Space]]:
    """(kind of vectors, model, source space, target space)."""
    pieces = [single_pieces(e.run.data.vocabulary, language) for e, language in sides]
    rows = [
        {w: r for w, r in of.items() if w in text} for of, text in zip(pieces, texts, strict=True)
    ]
    for model in ("trained", "untrained"):
        found = []
        for (encoders, language), of in zip(sides, rows, strict=True):
            table = np.asarray(encoders.views(model)[language]["embed"]["token"])
            found.append(Space(list(of), table[None, list(of.values())]))
        yield "static", model, *found
    for model in ("trained", "untrained"):
        found = [
            _averages(context, encoders, model, language, list(text))
            for (encoders, language), text in zip(sides, texts, strict=True)
        ]
        yield "contextual", model, *found
    if not context.options.fasttext:
        return
    trained = [
        fasttext.vectors(
            _Lines(context, encoders, language),
            list(text),
            context.options.fasttext,
            encoders.run.folder / "eval" / f"fasttext-{file_name(language)}-{_digest(context)}.npz",
        )
        for (encoders, language), text in zip(sides, texts, strict=True)
    ]
    for name, words_of in (("fasttext, static's words", rows), ("fasttext", texts)):
        found = []
        for vectors, text, words in zip(trained, texts, words_of, strict=True):
            row = {word: i for i, word in enumerate(text)}
            found.append(Space(list(words), vectors[None, [row[w] for w in words]]))
        yield name, "trained", *found


class _Lines:
    """The words of the lines that averages are taken over, as often as they are iterated."""

    def __init__(self, context: Context, encoders: Encoders, language: str):
        self.spelling = Spelling(encoders.run.data.vocabulary, language)
        self.lines = encoders.run.data.train[language].spread_lines(context.options.text)

    def __iter__(self) -> Iterator[list[str]]:
        return (self.spelling(line).words for line in self.lines)


def _words(context: Context, encoders: Encoders, language: str) -> dict[str, int]:
    """The most frequent words of the text and their counts."""
    text = _Lines(context, encoders, language)
    counts = text.spelling.count(text.lines)
    if not counts:
        raise InputError(f"the training text of {language} has no words")
    return {w: counts[w] for w in most_frequent(counts, context.options.types)}


def _averages(
    context: Context, encoders: Encoders, weights: str, language: str, words: list[str]
) -> Space:
    """Of the words that the cut lines hold. The sums stay in the run's eval folder."""
    text = _Lines(context, encoders, language)
    step = encoders.step if weights == "trained" else 0
    kept = (
        encoders.run.folder / "eval" / f"words-{file_name(language)}-{step}-{_digest(context)}.npz"
    )
    means, counts = encoders.extractor.types(
        encoders.views(weights)[language], text.lines, text.spelling, words, kept
    )
    there = np.flatnonzero(counts)
    return Space([words[i] for i in there], means[:, there])


def _digest(context: Context) -> str:
    o = context.options
    return fingerprint(["spread lines", o.text, o.types, o.fasttext])
