"""Sentences and words: is a translation the nearest one of the other language, as they are or
through a map, and how alike are the two sets of representations?"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from xl_jax.analysis.anc import Alike, anc
from xl_jax.analysis.cka import with_debiased
from xl_jax.analysis.procrustes import Map
from xl_jax.analysis.procrustes import similarity as procrustes_similarity
from xl_jax.analysis.record import Record
from xl_jax.analysis.retrieval import Ranks, chance, retrieve
from xl_jax.analysis.vectors import Rows
from xl_jax.errors import InputError
from xl_jax.evaluate import hits, items
from xl_jax.evaluate.context import MODELS, Context
from xl_jax.evaluate.encoders import RANDOM
from xl_jax.evaluate.maps import sentence_maps
from xl_jax.evaluate.pairs import Pairs

Found = tuple[int, Mapping[str, Any], tuple[Ranks, Ranks]]  # layer, extras, both directions


class Case(NamedTuple):
    """Two languages, their test pairs, and the pairs that a map is learnt from, if any."""

    source: str
    target: str
    pairs: Pairs
    map_pairs: Pairs | None


def retrieval(context: Context) -> Iterator[Record]:
    """Precision at 1 both ways, every layer; with CSLS too where the pairs come from files, and
    through maps where there are pairs to learn them from."""
    for case in _cases(context):
        pairs = items.with_candidates(context, case.source, case.target, case.pairs)
        case = case._replace(pairs=pairs)
        for model in context.models if case.map_pairs else _without_map(context):
            of_source, of_targets = MODELS[model]
            found = [list(_retrieved(context, case, (of_source, w))) for w in of_targets]
            origin = context.origin(model, case.source, case.target)
            yield from _both_ways("sentence_retrieval", pairs, found, origin)


def translation(context: Context) -> Iterator[Record]:
    """The same for words, by cosine of their states alone between special tokens: of all words, and
    of those that are not their own translation (see `hits.DIFFERENT`)."""
    for source, target in context.language_pairs:
        pairs = items.words(context, source, target)
        if pairs is None:
            continue
        for model in _without_map(context):
            xs = context.source.sentences(model, source, pairs.source, context.layers)
            ys = context.target.sentences(model, target, pairs.target, context.layers)
            found = [
                (layer, {"centred": centred}, retrieve(x, y, pairs.answers, centre=centred))
                for layer, x, y in zip(context.layers, xs, ys, strict=True)
                for centred in (False, True)
            ]
            origin = context.origin(model, source, target)
            yield from _both_ways("word_translation", pairs, [found], origin)


def cka(context: Context) -> Iterator[Record]:
    """How alike the two sets of representations of paired sentences are: CKA of equal layers
    ("cka", "cka_debiased") and of all pairs of layers ("cka_layers", "cka_layers_debiased"), ANC
    and Procrustes similarity of equal layers, and the correlation of CKA over layers with
    retrieval, through the map where there is one (paper 5.2)."""
    for case in _cases(context):
        if not case.pairs.aligned:
            raise InputError(f"{case.pairs.name}: CKA needs pairs that are one to one")
        for model in context.models:
            yield from _similarity(context, case, model)


def _without_map(context: Context) -> list[str]:
    """The models whose two spaces have something in common."""
    return [model for model in context.models if model != "untrained target"]


def _cases(context: Context) -> Iterator[Case]:
    for source, target in context.language_pairs:
        pairs = items.sentences(context, source, target)
        if pairs is not None:
            yield Case(source, target, pairs, items.map_sentences(context, source, target))


def _retrieved(context: Context, case: Case, weights: tuple[str, str]) -> Iterator[Found]:
    answers = case.pairs.answers
    criteria = ("cosine", "csls") if context.options.pairs else ("cosine",)
    xs = context.source.sentences(weights[0], case.source, case.pairs.source, context.layers)
    ys = context.target.sentences(weights[1], case.target, case.pairs.target, context.layers)
    maps = _maps(context, case, weights)
    for layer, x, y in zip(context.layers, xs, ys, strict=True):
        if weights[1] not in RANDOM:  # a trained and a random space meet through a map alone
            for centred, criterion in itertools.product((False, True), criteria):
                extras = {"criterion": criterion, "centred": centred}
                yield layer, extras, retrieve(x, y, answers, criterion, centred)
        for kind, of_layer in maps.items():
            near = _in_one_space(of_layer[layer], x, y)
            for criterion in criteria:
                extras = {"criterion": criterion, "map": kind}
                yield layer, extras, retrieve(*near, answers, criterion)


def _similarity(context: Context, case: Case, model: str) -> Iterator[Record]:
    """Of several random encoders: means over them, of the values and of the intervals' ends."""
    o = context.options
    of_source, of_targets = MODELS[model]
    x = context.source.sentences(of_source, case.source, case.pairs.source)
    last = 1 + min(context.source.last_layer, context.target.last_layer)
    found, unbiased, correlations = [], [], []
    others: dict[str, list[Alike]] = {}
    for weights in of_targets:
        y = context.target.sentences(weights, case.target, case.pairs.target)
        plain, debiased = with_debiased(x, y, o.kernel, o.centred)
        found.append(debiased if o.debiased else plain)
        unbiased.append(debiased)
        if x.shape[2] == y.shape[2]:
            both = x[:last], y[:last]
            others.setdefault("anc", []).append(anc(*both))
            others.setdefault("procrustes_similarity", []).append(procrustes_similarity(*both))
        similarity = np.asarray(found[-1].value)
        correlations.append(_correlation(context, case, (of_source, weights), similarity))
    extras = {"kernel": o.kernel, "kernel_centred": o.centred, "debiased": o.debiased}
    origin = context.origin(model, case.source, case.target)
    common: dict[str, Any] = {"n": len(case.pairs.source), "data": case.pairs.name, **origin}
    given = ("", found, extras), ("_debiased", unbiased, {"kernel": o.kernel})
    for ending, of_encoders, of_kind in given:
        for at, fields, spread in _means(of_encoders):
            more = {"target_layer": at[1], **of_kind, **spread}
            yield Record(f"cka_layers{ending}", layer=at[0], extras=more, **common, **fields)
            if at[0] == at[1]:
                mine = of_kind | spread
                yield Record(f"cka{ending}", layer=at[0], extras=mine, **common, **fields)
    for metric, of_layers in others.items():
        for at, fields, spread in _means(of_layers):
            yield Record(metric, layer=at[0], extras=spread, **common, **fields)
    values = [c for c in correlations if c is not None]
    if len(values) == len(of_targets):
        more = {"map": "procrustes" if case.map_pairs else "none", "layers": len(context.layers)}
        of_all = {**more, **extras, **hits.spread(values)}
        yield Record("cka_retrieval_correlation", float(np.mean(values)), extras=of_all, **common)


def _means(
    found: Sequence[Any],
) -> Iterator[tuple[tuple[int, ...], dict[str, Any], dict[str, Any]]]:
    """(layer or layers, fields of a record, spread) over several target encoders."""
    each = {name: np.stack([getattr(f, name) for f in found]) for name in found[0]._fields}
    for at in np.ndindex(found[0].value.shape):
        fields = {name: float(z[(slice(None), *at)].mean()) for name, z in each.items()}
        yield at, fields, hits.spread(each["value"][(slice(None), *at)])


def _correlation(
    context: Context, case: Case, weights: tuple[str, str], similarity: np.ndarray
) -> float | None:
    """Of CKA with retrieval over layers; None for fewer than three, or where one is constant."""
    layers = context.layers
    xs = context.source.sentences(weights[0], case.source, case.pairs.source)
    ys = context.target.sentences(weights[1], case.target, case.pairs.target)
    if xs.shape[2] != ys.shape[2] or len(layers) < 3:
        return None
    maps = _maps(context, case, weights).get("procrustes")
    rates = []
    for i in layers:
        near = _in_one_space(maps[i], xs[i], ys[i]) if maps else (xs[i], ys[i])
        both = retrieve(near[0], near[1], case.pairs.answers, centre=not maps)
        rates.append(np.mean([places.hits().mean() for places in both]))
    if np.std(rates) == 0 or np.std(similarity[layers, layers]) == 0:
        return None
    return float(np.corrcoef(rates, similarity[layers, layers])[0, 1])


def _maps(context: Context, case: Case, weights: tuple[str, str]) -> dict[str, list[Map]]:
    if case.map_pairs is None:
        return {}
    return sentence_maps(context, case.source, case.target, case.map_pairs, weights)


def _in_one_space(learnt: Map, x: np.ndarray, y: np.ndarray) -> tuple[Rows, Rows]:
    return Rows(x, learnt.target), Rows(y, learnt)


def _both_ways(
    metric: str, pairs: Pairs, found: Sequence[Sequence[Found]], origin: Mapping[str, Any]
) -> Iterator[Record]:
    """Records of each direction whose items all have an answer (others are only candidates).

    Args:
      found: of each target encoder, in the same order.
    """
    sizes = len(pairs.source), len(pairs.target)
    levels = chance(pairs.answers, *sizes)
    languages = origin["source"], origin["target"]
    for column in (0, 1):
        if len(np.unique(pairs.answers[:, column])) < sizes[column]:
            continue
        of_direction = [
            hits.Hits(layer, extras, np.stack([one[2][column].hits() for one in same]))
            for same in zip(*found, strict=True)
            for layer, extras, _ in same[:1]
        ]
        ends = {"source": languages[column], "target": languages[1 - column]}
        items_of = {"chance": levels[column], "n": sizes[column], "data": pairs.name}
        fields = {**origin, **ends, **items_of, "extras": {"candidates": sizes[1 - column]}}
        yield from hits.by_layer(metric, of_direction, **fields)
        yield from hits.at_best_layer(metric, of_direction, **fields)
        different = pairs.different(column)
        if different is not None and different.any():
            name, of_direction, fields = hits.of_different(metric, of_direction, different, fields)
            yield from hits.by_layer(name, of_direction, **fields)
            yield from hits.at_best_layer(name, of_direction, **fields)
