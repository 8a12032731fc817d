"""Words: dictionary induction through a map (paper 5.1.1).

Three kinds of vectors: rows of the embedding table, for words that are one piece; averages of all
occurrences in the training text, at every layer; fastText's, trained on the same text, for the same
words.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from xl_jax.analysis import fasttext, procrustes
from xl_jax.analysis.dictionary_induction import cover
from xl_jax.analysis.dictionary_induction import induction as induce
from xl_jax.errors import InputError
from xl_jax.evaluate.context import MODELS, Probe, Record
from xl_jax.evaluate.encoders import Encoders
from xl_jax.json_files import fingerprint
from xl_jax.text import dictionaries
from xl_jax.tokens.detokenize import Spelling, most_frequent, single_pieces

ROTATIONS = ("procrustes", "random")


class Space(NamedTuple):
    """Words of one language and their vectors [layers, words, D]."""

    words: list[str]
    vectors: np.ndarray


def induction(probe: Probe) -> Iterator[Record]:
    """Precision at 1 and 5 of the test dictionary (`probe.dictionary`) by CSLS and cosine, through
    the map that the training dictionary (`probe.map_dictionary`) gives and a random one; of all
    words, and of those that no translation spells alike."""
    c = probe.config
    if not (c.dictionary and c.map_dictionary):
        return
    train, test = (
        [entry[:2] for entry in dictionaries.read(name)]
        for name in (c.map_dictionary, c.dictionary)
    )
    for source, target in probe.language_pairs():
        sides = list(zip((probe.source, probe.target), (source, target), strict=True))
        texts = [_words(probe, encoders, language) for encoders, language in sides]
        for vectors, model, x, y in _spaces(probe, sides, texts):
            learnt = cover(train, x.words, y.words).answers
            right = {"all": cover(test, x.words, y.words)}
            same = {a for a, b in test if a == b}  # rows in common make these easy
            if other := [(a, b) for a, b in test if a not in same]:
                right["different"] = cover(other, x.words, y.words)
            learnt_maps = []
            for layer in range(min(len(x.vectors), len(y.vectors))):
                here = x.vectors[layer], y.vectors[layer]
                paired = [z[i] for z, i in zip(here, learnt.T, strict=True)]
                for kind in ROTATIONS:
                    turned = procrustes.fit(
                        paired[1], paired[0], c.normalise, kind, (here[1], here[0]), layer
                    )
                    if kind == "procrustes":
                        learnt_maps.append(turned)
                    near = turned.target(here[0]), turned(here[1])
                    for spelling, answers in right.items():
                        for r in induce(*near, answers):
                            yield {
                                **r,
                                "source": source,
                                "target": target,
                                "layer": layer,
                                "vectors": vectors,
                                "spelling": spelling,
                                "map": kind,
                                "map_pairs": len(learnt),
                                "words": [len(x.words), len(y.words)],
                                **probe.common(model, r["n"], Path(c.dictionary).stem),
                            }
            if model == "trained":
                probe.keep_maps(learnt_maps, re.sub(r"\W+", "_", vectors), source, target)


def _spaces(
    probe: Probe, sides: list[tuple[Encoders, str]], texts: list[dict[str, int]]
) -> Iterator[tuple[str, str, Space, Space]]:
    """(kind of vectors, model, source space, target space)."""
    pieces = [single_pieces(e.run.data.vocabulary, language) for e, language in sides]
    rows = [
        {w: r for w, r in of.items() if w in text} for of, text in zip(pieces, texts, strict=True)
    ]
    for model in ("trained", "untrained"):
        found = []
        for (encoders, language), kind, of in zip(sides, MODELS[model], rows, strict=True):
            table = np.asarray(encoders.views[kind][language]["embed"]["token"])
            found.append(Space(list(of), table[None, list(of.values())]))
        yield "static", model, *found
    for model in ("trained", "untrained"):
        found = [
            _averages(probe, encoders, kind, language, list(text))
            for (encoders, language), kind, text in zip(sides, MODELS[model], texts, strict=True)
        ]
        yield "contextual", model, *found
    if not probe.config.fasttext:
        return
    trained = [
        fasttext.vectors(
            _Lines(probe, encoders, language),
            list(text),
            probe.config.fasttext,
            encoders.run.folder / "eval" / f"fasttext-{language}-{_digest(probe)}.npz",
        )
        for (encoders, language), text in zip(sides, texts, strict=True)
    ]
    for name, words_of in (("fasttext, static's words", rows), ("fasttext", texts)):
        found = []
        for vectors, text, words in zip(trained, texts, words_of, strict=True):
            place = {word: i for i, word in enumerate(text)}
            found.append(Space(list(words), vectors[None, [place[w] for w in words]]))
        yield name, "trained", *found


class _Lines:
    """The words of the lines that averages are taken over, as often as they are asked for."""

    def __init__(self, probe: Probe, encoders: Encoders, language: str):
        self.spelling = Spelling(encoders.run.data.vocabulary, language)
        self.lines = encoders.run.data.train[language].spread_lines(probe.config.text)

    def __iter__(self) -> Iterator[list[str]]:
        return (self.spelling(line).words for line in self.lines)


def _words(probe: Probe, encoders: Encoders, language: str) -> dict[str, int]:
    """The most frequent words of the text and their counts."""
    text = _Lines(probe, encoders, language)
    counts = text.spelling.count(text.lines)
    if not counts:
        raise InputError(f"the training text of {language} has no words")
    return {w: counts[w] for w in most_frequent(counts, probe.config.types)}


def _averages(
    probe: Probe, encoders: Encoders, kind: str, language: str, words: list[str]
) -> Space:
    """Of the words that the cut lines hold. The sums stay in the run's eval folder."""
    text = _Lines(probe, encoders, language)
    step = encoders.step if kind == "trained" else 0
    kept = encoders.run.folder / "eval" / f"words-{language}-{step}-{_digest(probe)}.npz"
    means, counts = encoders.extractor.types(
        encoders.views[kind][language], text.lines, text.spelling, words, kept
    )
    there = np.flatnonzero(counts)
    return Space([words[i] for i in there], means[:, there])


def _digest(probe: Probe) -> str:
    options = probe.config
    return fingerprint(["spread lines", options.text, options.types, options.fasttext])
