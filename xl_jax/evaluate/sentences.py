"""Sentences: is a translation the nearest one of the other language, as they are or through a map,
and how alike are the two sets of representations?"""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from xl_jax.analysis.bootstrap import rate_interval
from xl_jax.analysis.cka import cka as compare
from xl_jax.analysis.procrustes import Map
from xl_jax.analysis.retrieval import chance, retrieve
from xl_jax.errors import InputError
from xl_jax.evaluate.context import MODELS, Probe, Record
from xl_jax.evaluate.pairs import Pairs


def retrieval(probe: Probe) -> Iterator[Record]:
    """Precision at 1 both ways, every layer; with CSLS too where the pairs come from files, and
    through maps where there are pairs to learn them from."""
    criteria = ("cosine", "csls") if probe.config.pairs else ("cosine",)
    for source, target in probe.language_pairs():
        pairs = probe.sentences(source, target)
        if pairs is None:
            continue
        pairs = probe.candidates(target, pairs)
        for model in MODELS if probe.config.map else ("trained", "untrained"):
            xs, ys = probe.vectors(model, source, target, pairs, probe.layers)
            maps = probe.maps(model, source, target)
            for layer, x, y in zip(probe.layers, xs, ys, strict=True):
                if model != "untrained target":  # two unrelated spaces
                    for centred, criterion in itertools.product((False, True), criteria):
                        found = retrieve(x, y, pairs.answers, criterion, centred)
                        more = {"layer": layer, "criterion": criterion, "centred": centred}
                        yield from _both(
                            probe, "sentence_retrieval", model, source, target, pairs, found, more
                        )
                for kind, of_layer in maps.items():
                    near = _through(of_layer[layer], x, y)
                    for criterion in criteria:
                        found = retrieve(*near, pairs.answers, criterion)
                        more = {"layer": layer, "criterion": criterion, "map": kind}
                        yield from _both(
                            probe, "sentence_retrieval", model, source, target, pairs, found, more
                        )


def translation(probe: Probe) -> Iterator[Record]:
    """The same for words, by cosine of their states alone between special tokens."""
    for source, target in probe.language_pairs():
        pairs = probe.words(source, target)
        if pairs is None:
            continue
        for model in ("trained", "untrained"):
            x, y = probe.vectors(model, source, target, pairs)
            for layer in probe.layers:
                for centred in (False, True):
                    found = retrieve(x[layer], y[layer], pairs.answers, centre=centred)
                    more = {"layer": layer, "centred": centred}
                    yield from _both(
                        probe, "word_translation", model, source, target, pairs, found, more
                    )


def cka(probe: Probe) -> Iterator[Record]:
    """CKA of paired sentences: equal layers, all pairs of layers ("cka_layers"), and the
    correlation over layers with retrieval, through the map where there is one (paper 5.2)."""
    c = probe.config
    for source, target in probe.language_pairs():
        pairs = probe.sentences(source, target)
        if pairs is None:
            continue
        if not pairs.aligned:
            raise InputError(f"{pairs.name}: CKA needs pairs that are one to one")
        for model in MODELS:
            x, y = probe.vectors(model, source, target, pairs)
            found = compare(x, y, c.kernel, c.centred, c.debiased)
            common = {
                "source": source,
                "target": target,
                "kernel": c.kernel,
                "kernel_centred": c.centred,
                "debiased": c.debiased,
                **probe.common(model, len(pairs.source), pairs.name),
            }
            for i, j in np.ndindex(found.value.shape):
                values = {name: float(z[i, j]) for name, z in found._asdict().items()}
                yield {"metric": "cka_layers", "layer": i, "target_layer": j, **values, **common}
                if i == j:
                    yield {"metric": "cka", "layer": i, **values, **common}
            each = [i for i in probe.layers if i < min(found.value.shape)]
            if x.shape[2] != y.shape[2] or len(each) < 3:
                continue
            maps = probe.maps(model, source, target).get("procrustes")
            hits = []
            for i in each:
                near = _through(maps[i], x[i], y[i]) if maps else (x[i], y[i])
                both = retrieve(near[0], near[1], pairs.answers, centre=not maps)
                hits.append(np.mean([places.hits().mean() for places in both]))
            likeness = found.value[each, each]
            if np.std(hits) > 0 and np.std(likeness) > 0:
                value = float(np.corrcoef(hits, likeness)[0, 1])
                more = {"map": "procrustes" if maps else "none", "layers": len(each)}
                yield {"metric": "cka_retrieval_correlation", "value": value, **more, **common}


def _through(turned: Map, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Source and target vectors in one space."""
    return turned.target(x), turned(y)


def _both(
    probe: Probe,
    metric: str,
    model: str,
    source: str,
    target: str,
    pairs: Pairs,
    found: Any,
    more: Record,
) -> Iterator[Record]:
    """A record for each direction whose items all have an answer (others are only candidates)."""
    sizes = len(pairs.source), len(pairs.target)
    levels = chance(pairs.answers, *sizes)
    sides = (source, target), (target, source)
    for column, ((a, b), places, level) in enumerate(zip(sides, found, levels, strict=True)):
        if len(np.unique(pairs.answers[:, column])) < sizes[column]:
            continue
        hits = places.hits()
        low, high = rate_interval(hits, 0)
        yield {
            "metric": metric,
            "source": a,
            "target": b,
            "value": float(hits.mean()),
            "low": low,
            "high": high,
            "chance": level,
            **more,
            "candidates": sizes[1 - column],
            **probe.common(model, sizes[column], pairs.name),
        }
