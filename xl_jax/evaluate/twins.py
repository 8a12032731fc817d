"""A twin and its base, whose every token has a known translation: word alignment, word translation,
sentence retrieval, and the multilinguality score of Dufter and Schuetze (2020), for every
checkpoint that the run kept."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from xl_jax.analysis.bootstrap import ROUNDING, interval, resample, wilson_interval
from xl_jax.analysis.record import Record
from xl_jax.analysis.retrieval import chance, retrieve
from xl_jax.analysis.word_alignment import link_scores, mutual_links
from xl_jax.evaluate import hits, items
from xl_jax.evaluate.context import Context
from xl_jax.evaluate.pairs import Pairs
from xl_jax.tokens.shards import Shard

ALIGNED = 500  # sentences


def twins(context: Context) -> Iterator[Record]:
    """Every score by layer and checkpoint; the multilinguality score is the mean of retrieval and
    translation, over both directions, at their two layers (the embeddings and two thirds up) and
    over all layers."""
    encoders = context.source
    known = {
        pair: (items.sentences(context, *pair), items.words(context, *pair))
        for pair in context.language_pairs
    }
    for at_step in encoders.over_training(context.log):
        step, views = at_step.step, at_step.views("trained")
        for (source, target), (sentences, words) in known.items():
            if sentences is None or words is None:
                continue
            common = context.origin("untrained" if at_step.at_start else "trained", source, target)
            common["step"] = step
            parts = []
            for name, pairs in (("retrieval", sentences), ("translation", words)):
                level = chance(pairs.answers, len(pairs.source), len(pairs.target))[0]
                parts.append(_hits(context, views, source, target, pairs))
                found = [hits.Hits(i, {}, of_layer[None]) for i, of_layer in enumerate(parts[-1])]
                items_of = {"n": len(pairs.source), "data": pairs.name, "chance": level}
                fields = {**items_of, **common}
                yield from hits.by_layer(f"twins_{name}", found, **fields)
                different = pairs.different(0)
                if different is not None and different.any():
                    apart = hits.of_different(f"twins_{name}", found, different, fields)
                    yield from hits.by_layer(apart[0], apart[1], **apart[2])
            gold = _gold_links(context, source, target)
            if gold is not None:
                for scores in _alignment(context, views, source, target, gold):
                    yield Record.from_json({"data": "gold sentences", **scores, **common})
            top = len(parts[0]) - 1
            theirs = [0, round(2 * top / 3)]  # 0 and 8 of 12
            for name, chosen in (("theirs", theirs), ("all", list(range(top + 1)))):
                of_items = [of[chosen].mean(0) for of in parts]
                value, low, high = _multilinguality(of_items)
                extras = {"layers": name, "of_layers": chosen}
                yield Record("multilinguality", value, low=low, high=high, extras=extras, **common)
                different = words.different(0)
                if different is not None and different.any():
                    value, low, high = _multilinguality([of_items[0], of_items[1][different]])
                    more = {**extras, "common": int((~different).sum())}
                    metric = f"multilinguality{hits.DIFFERENT}"
                    yield Record(metric, value, low=low, high=high, extras=more, **common)


def _hits(context: Context, views: Any, source: str, target: str, pairs: Pairs) -> np.ndarray:
    """[layers, items]: whether the right answer is the nearest, mean of both directions."""
    x = context.source.extractor.sentences(views[source], pairs.source)
    y = context.source.extractor.sentences(views[target], pairs.target)
    found = [retrieve(a, b, pairs.answers) for a, b in zip(x, y, strict=True)]
    return np.asarray([np.mean([places.hits() for places in both], axis=0) for both in found])


def _multilinguality(parts: list[np.ndarray]) -> tuple[float, float, float]:
    """(mean of the parts' means, low, high): sentences and words are drawn apart. Where drawing
    changes nothing, the ends are means of Wilson's."""
    totals = [resample(hits[:, None], 0, stream)[:, 0] for stream, hits in enumerate(parts)]
    drawn = np.mean([t / len(hits) for t, hits in zip(totals, parts, strict=True)], axis=0)
    low, high = interval(drawn)
    if high - low < ROUNDING:
        low, high = np.mean([wilson_interval(hits.mean(), len(hits)) for hits in parts], axis=0)
    return float(np.mean([hits.mean() for hits in parts])), float(low), float(high)


def _alignment(
    context: Context, views: Any, source: str, target: str, gold: list[np.ndarray]
) -> Iterator[dict[str, Any]]:
    """By layer, the scores of mutual nearest tokens: of all, and of those that the twin renames.
    Chance: a random target for each token."""
    sides = []
    for language in (source, target):
        lines = _first(context.run.data.gold[language])
        room = context.run.config.model.positions - 2
        sizes = [min(len(line), room) for line in lines]
        parts = [np.arange(len(line)) for line in lines]
        found = context.source.extractor.words(views[language], lines, parts)
        starts = np.cumsum([0, *map(len, parts)])[:-1]
        sides.append([found.vectors[:, s : s + n] for s, n in zip(starts, sizes, strict=True)])
    lengths = [y.shape[1] for y in sides[1]]
    cut = [
        g[(g[:, 0] < x.shape[1]) & (g[:, 1] < y.shape[1])]
        for g, x, y in zip(gold, *sides, strict=True)
    ]
    texts = [list(_first(context.run.data.gold[x])) for x in (source, target)]
    renamed = [a[g[:, 0]] != b[g[:, 1]] for a, b, g in zip(*texts, gold, strict=True)]
    for layer in range(sides[0][0].shape[0]):
        x, y = ([item[layer] for item in side] for side in sides)
        links = mutual_links(x, y)
        chance = len(lengths) / sum(lengths)  # expected hits over links, one a token
        for ending, kept in (("", None), (hits.DIFFERENT, renamed)):
            if kept is not None and not any(of.any() for of in kept):
                continue
            sides_of = (links, cut) if kept is None else (_of(links, kept), _of(cut, kept))
            scores = link_scores(*sides_of)
            fields = {"metric": f"word_alignment{ending}", "value": scores.pop("f1"), **scores}
            if kept is not None:
                fields["common"] = int(sum((~of).sum() for of in kept))
            yield {**fields, "layer": layer, "chance": chance, "n": len(lengths)}


def _of(links: list[np.ndarray], tokens: list[np.ndarray]) -> list[np.ndarray]:
    """The links of chosen source tokens."""
    return [of[kept[of[:, 0]]] for of, kept in zip(links, tokens, strict=True)]


def _gold_links(context: Context, source: str, target: str) -> list[np.ndarray] | None:
    """The links of the first gold sentences; None for languages that are no twins."""
    data = context.run.data
    if not {source, target} <= data.gold.keys() or not {source, target} & data.order.keys():
        return None
    links = []
    for i, line in enumerate(_first(data.gold[source])):
        base = [
            np.asarray(data.order[x].line(i)) if x in data.order else np.arange(len(line))
            for x in (source, target)
        ]  # for each token, the place in the base's sentence
        back = np.argsort(base[1])
        links.append(np.stack([np.arange(len(line)), back[base[0]]], 1))
    return links


def _first(lines: Shard) -> Shard:
    return lines.first_lines(ALIGNED)
