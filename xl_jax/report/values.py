"""The records of a study as values by row, pair, seed, measure and layer."""

import dataclasses
import json
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from xl_jax.analysis.record import Record
from xl_jax.analysis.spread import Spread, difference, over_seeds
from xl_jax.report import metrics
from xl_jax.report.study_records import StudyRecords

# Layers: that of the highest value, on the run's own test items unless its records say of a
# development set; and the last.
BEST, TOP = "best", "top"
TEST = "test items"
DEBIASED = "cka_debiased"
# What tells ways of scoring apart; other fields do where records would be the same without them.
WAYS = ("task", "vectors", "centred", "map", "criterion", "spelling", "freeze")
NOT_WAYS = {"kind", "softmax", "sd", "encoders", "seeds", "coverage", "n", "asked"}
WORDS = {
    ("centred", True): "languages centred",
    ("map", "procrustes"): "mapped",
    ("map", "identity"): "means aligned",
    ("map", "random"): "random map",
    ("criterion", "csls"): "CSLS",
    ("spelling", "different"): "spelled differently",
    ("layers", "theirs"): "two layers",
}
PLAIN = (None, False, "none", "cosine", "all", "private")  # nothing special


class Measure(NamedTuple):
    """A metric and how it was scored. `way` leaves out what is not special."""

    metric: str
    way: tuple[tuple[str, Any], ...] = ()

    @property
    def task(self) -> str:
        return str(dict(self.way).get("task", ""))

    @property
    def way_text(self) -> str:
        special = (pair for pair in self.way if pair[0] != "task")
        return ", ".join(WORDS.get(pair, _words(*pair)) for pair in special)


class Key(NamedTuple):
    """Of one curve over layers."""

    row: str
    pair: str
    seed: int
    measure: Measure
    model: str


class Best(NamedTuple):
    value: float
    layer: int | None


class Values:
    """Values of trained and untrained models, mean of both directions, at the last step; and of
    trained models at every step.

    Attributes:
      measures: every measure, a metric's main way of scoring first.
      tells: metric -> the fields that tell its ways of scoring apart, the same for every run.
      pairs: of languages, as "en-fr"; one language alone is a pair "en".
    """

    def __init__(self, study: StudyRecords):
        self.study = study
        found: dict[Key, dict[int | None, list[tuple[int, float]]]] = {}
        chances: dict[tuple[Key, int | None], list[tuple[int, float]]] = defaultdict(list)
        intervals: dict[tuple[Key, int | None], list[tuple[int, Any]]] = defaultdict(list)
        self._samples: dict[str, list[float]] = defaultdict(list)
        self._chosen: dict[Key, int | None] = {}  # layers, on a development set
        counted = [_counted(run.records) for run in study.runs]
        self.tells = _tells(counted)
        for run, records in zip(study.runs, counted, strict=True):
            for r in records:
                measure = Measure(r.metric, way_of(r, self.tells[r.metric]))
                key = Key(run.row, pair_of(r), run.seed, measure, r.model or "trained")
                by_layer = found.setdefault(key, defaultdict(list))
                by_layer[r.layer].append((r.step or 0, r.value))
                self._samples[r.metric].append(r.value)
                if r.chance is not None and key.model == "trained":
                    chances[key, r.layer].append((r.step or 0, r.chance))
                if r.low is not None and r.high is not None:
                    intervals[key, r.layer].append((r.step or 0, (r.low, r.high)))
            for r in sorted(run.records, key=lambda r: r.step or 0):  # the last step's stays
                if r.metric == "best_layer" and r.get("chosen_on", TEST) != TEST:
                    of = str(r.get("of"))
                    measure = Measure(of, way_of(r, self.tells.get(of, ())))
                    pair = pair_of(dataclasses.replace(r, metric=of))
                    key = Key(run.row, pair, run.seed, measure, r.model or "trained")
                    self._chosen[key] = r.layer
        self._steps = {key: {n: _by_step(v) for n, v in by.items()} for key, by in found.items()}
        self._last = {key: _at_last_step(by) for key, by in self._steps.items()}
        self._intervals = {key: _mean_ends(v) for key, v in intervals.items()}
        self._chances = {key: _by_step(v)[max(v)[0]] for key, v in chances.items()}
        self.measures = _sorted({key.measure for key in found})
        self.pairs = sorted({key.pair for key in found}, key=lambda p: ("-" not in p, p))

    def shown(self, measure: Measure) -> metrics.Shown:
        """How it is shown; the title names its task."""
        shown = metrics.shown(measure.metric, self._samples[measure.metric])
        if not measure.task:
            return shown
        task = metrics.TASKS.get(measure.task, measure.task)
        return dataclasses.replace(shown, title=f"{task} {shown.title}")

    def title(self, measure: Measure) -> str:
        """With its way of scoring."""
        title = self.shown(measure).title
        return f"{title} ({measure.way_text})" if measure.way_text else title

    def name(self, measure: Measure) -> str:
        """The title without its unit."""
        name = self.shown(measure).short
        return f"{name} ({measure.way_text})" if measure.way_text else name

    def main_measures(self, *tells: str) -> list[Measure]:
        """Of each metric the main way of scoring; only metrics that tell of one of these (default:
        of anything but a part of another)."""
        tells = tells or (metrics.TRANSFER, metrics.SPACE, metrics.FIT)
        firsts = {(m.metric, m.task): m for m in reversed(self.measures)}
        kept = [m for m in self.measures if firsts[m.metric, m.task] == m]
        return [m for m in kept if self.shown(m).tells in tells]

    def ways_of(self, main: Measure) -> list[Measure]:
        """The same metric however it was scored, the main way first."""
        return [m for m in self.measures if (m.metric, m.task) == (main.metric, main.task)]

    def pairs_of(self, measure: Measure) -> list[str]:
        here = {key.pair for key in self._last if key.measure == measure}
        return [pair for pair in self.pairs if pair in here]

    def seeds(self, row: str, pair: str, measure: Measure, model: str = "trained") -> list[int]:
        keys = (k for k in self._last if k[:2] == (row, pair) and k[3:] == (measure, model))
        return sorted(key.seed for key in keys)

    def by_layer(self, key: Key) -> dict[int | None, float]:
        """layer -> value; a value that has no layer stands at None."""
        return self._last.get(key, {})

    def layers(self, measure: Measure) -> list[int]:
        found = {n for k, by in self._last.items() if k.measure == measure for n in by}
        return sorted(n for n in found if n is not None)

    def at(self, key: Key, where: str) -> Best | None:
        """The value at the best or the top layer; a value without layers is both."""
        by = self.by_layer(key)
        if not by:
            return None
        if None in by:
            return Best(by[None], None)
        lower = self.shown(key.measure).lower
        if where == BEST and self._chosen.get(key) in by:
            layer = self._chosen[key]
        elif where == BEST:
            layer = min((-v if not lower else v, n or 0) for n, v in by.items())[1]
        else:
            layer = max(n for n in by if n is not None)
        return Best(by[layer], layer)

    def each_seed(
        self, row: str, pair: str, measure: Measure, where: str, model: str = "trained"
    ) -> dict[int, Best]:
        found = {}
        for seed in self.seeds(row, pair, measure, model):
            best = self.at(Key(row, pair, seed, measure, model), where)
            if best is not None:
                found[seed] = best
        return found

    def spread(
        self, row: str, pair: str, measure: Measure, where: str, model: str = "trained"
    ) -> Spread | None:
        """Over seeds; None where no run has it."""
        each = self.each_seed(row, pair, measure, where, model)
        return over_seeds([b.value for b in each.values()]) if each else None

    def spread_at_layer(
        self, row: str, pair: str, measure: Measure, layer: int, model: str = "trained"
    ) -> Spread | None:
        keys = [Key(row, pair, s, measure, model) for s in self.seeds(row, pair, measure, model)]
        found = [v for k in keys if (v := self.by_layer(k).get(layer)) is not None]
        return over_seeds(found) if found else None

    def item_interval(
        self, row: str, pair: str, measure: Measure, where: str
    ) -> tuple[float, float] | None:
        """Of a single seed: the interval over its test items; of two directions, the means of its
        ends."""
        seeds = self.seeds(row, pair, measure)
        if len(seeds) != 1:
            return None
        key = Key(row, pair, seeds[0], measure, "trained")
        at = self.at(key, where)
        return self._intervals.get((key, at.layer)) if at else None

    def delta(self, row: str, measure: Measure, where: str) -> Spread | None:
        """Difference from the reference row, mean over the pairs of two languages that both
        have."""
        reference = self.study.reference
        if not reference or row == reference:
            return None
        sides = []
        for pair in self.pairs_of(measure):
            both = [self.each_seed(name, pair, measure, where) for name in (row, reference)]
            if all(both):
                mine, theirs = ([b.value for b in each.values()] for each in both)
                sides.append((pair, (mine, theirs)))
        between = [values for pair, values in sides if "-" in pair]
        chosen = between or [values for _, values in sides]
        return difference(chosen) if chosen else None

    def chances(self, row: str, pair: str, measure: Measure) -> dict[int | None, float]:
        """layer -> what a guess would score, mean over seeds."""
        found: dict[int | None, list[float]] = defaultdict(list)
        for (key, layer), chance in self._chances.items():
            if (key.row, key.pair, key.measure) == (row, pair, measure):
                found[layer].append(chance)
        return {layer: statistics.fmean(v) for layer, v in found.items()}

    def chance(self, row: str, pair: str, measure: Measure) -> float | None:
        """At the top layer."""
        found = self.chances(row, pair, measure)
        return _choose(found, TOP, lower=False) if found else None

    def curve(self, row: str, pair: str, measure: Measure, where: str) -> dict[int, Spread]:
        """step -> spread over seeds, at the best layer of each step or the top one."""
        found: dict[int, list[float]] = defaultdict(list)
        for seed in self.seeds(row, pair, measure):
            by_layer = self._steps[Key(row, pair, seed, measure, "trained")]
            start = self._last.get(Key(row, pair, seed, measure, "untrained"), {})
            steps = sorted({s for by in by_layer.values() for s in by})
            for step in steps:
                here = {n: by[step] for n, by in by_layer.items() if step in by}
                found[step].append(_choose(here, where, self.shown(measure).lower))
            if start and 0 not in steps:
                found[0].append(_choose(start, where, self.shown(measure).lower))
        return {step: over_seeds(v) for step, v in sorted(found.items())}

    def has_curves(self, measure: Measure) -> bool:
        return any(
            len(steps) > 1
            for key, by in self._steps.items()
            if key.measure == measure and key.model == "trained"
            for steps in by.values()
        )


def pair_of(record: Record) -> str:
    """Both directions are one pair; a task's result in the language it was trained on is that of
    one language."""
    task = metrics.shown(record.metric).tells in (metrics.TRANSFER, metrics.PART)
    if not record.target or (record.target == record.source and task):
        return record.source
    return "-".join(sorted((record.source, record.target)))


def _counts(record: Record) -> bool:
    """Settings of a grid, precision beyond the first answer, and records of other records are not
    values of a measure; nor is what leaves out common words where there are none."""
    alone = record.metric not in metrics.DERIVED and record.get("common", 1) != 0
    return alone and record.get("kind", "result") == "result" and record.get("at", 1) == 1


def _counted(records: Sequence[Record]) -> list[Record]:
    found = [r for r in records if _counts(r)]
    if any(r.metric == DEBIASED for r in found):  # few items make CKA as it is large
        found = [r for r in found if r.metric != "cka"]
    return found


def _tells(runs: Iterable[Sequence[Record]]) -> dict[str, tuple[str, ...]]:
    """metric -> the fields that tell its ways of scoring apart in any of the runs: a run that was
    measured in one way only is then told by the same fields as the others."""
    found: dict[str, set[str]] = {}
    for records in runs:
        groups: dict[Any, list[Record]] = defaultdict(list)
        for r in records:
            found.setdefault(r.metric, set(WAYS))
            groups[r.metric, r.source, r.target, r.layer, r.model, r.step].append(r)
        for (metric, *_), same in groups.items():
            names = {n for r in same for n in ("data", *r.extras)} - NOT_WAYS
            if "evaluation" in names and _measured_twice(same):
                names.discard("evaluation")
            for name in names:
                values = [r.get(name) for r in same]
                texts = all(isinstance(v, str | bool | int | None) for v in values)
                if texts and len(set(values)) > 1:
                    found[metric].add(name)
    return {metric: tuple(sorted(names)) for metric, names in found.items()}


def _measured_twice(records: Sequence[Record]) -> bool:
    """Whether several evaluations of a study have the same value wherever nothing but their name
    differs: then one of them has measured again what another had."""
    values: dict[str, set[float]] = defaultdict(set)
    evaluations: dict[str, set[Any]] = defaultdict(set)
    for r in records:
        extras = {name: value for name, value in r.extras.items() if name != "evaluation"}
        what = json.dumps([r.data, extras], sort_keys=True)
        values[what].add(r.value)
        evaluations[what].add(r.get("evaluation"))
    several = any(len(names) > 1 for names in evaluations.values())
    return several and all(len(found) == 1 for found in values.values())


def way_of(record: Record, names: Iterable[str]) -> tuple[tuple[str, Any], ...]:
    """How a record was scored, by the fields of these names; without what is not special."""
    values = {name: record.get(name) for name in names}
    return tuple((k, v) for k, v in values.items() if v not in PLAIN)


def _sorted(measures: Iterable[Measure]) -> list[Measure]:
    """Transfer first, then in the order of metrics; of one metric the plainest way of scoring
    first."""
    found = set(measures)
    kinds = (metrics.TRANSFER, metrics.SPACE, metrics.FIT, metrics.PART)
    place = {m: i for i, m in enumerate(metrics.order(m.metric for m in found))}

    def rank(measure: Measure) -> tuple[Any, ...]:
        way = dict(measure.way)
        odd = [way.get("centred"), way.get("map") in ("random", "identity"), way.get("spelling")]
        kind = kinds.index(metrics.shown(measure.metric).tells)
        where = (kind, place[measure.metric], measure.task)
        return (*where, *map(bool, odd), len(way), str(measure.way))

    return sorted(found, key=rank)


def _words(name: str, value: Any) -> str:
    name = name.replace("_", " ")
    if name == "freeze":
        return f"frozen {value}"
    return name if value is True else str(value) if isinstance(value, str) else f"{name} {value}"


def _by_step(values: Sequence[tuple[int, float]]) -> dict[int, float]:
    steps = sorted({step for step, _ in values})
    return {s: statistics.fmean(v for step, v in values if step == s) for s in steps}


def _mean_ends(intervals: Sequence[tuple[int, tuple[float, float]]]) -> tuple[float, float]:
    """Of the last step's intervals."""
    last = max(step for step, _ in intervals)
    low, high = zip(*(ends for step, ends in intervals if step == last), strict=True)
    return statistics.fmean(low), statistics.fmean(high)


def _at_last_step(by_layer: dict[int | None, dict[int, float]]) -> dict[int | None, float]:
    last = max(step for by in by_layer.values() for step in by)
    return {layer: by[last] for layer, by in by_layer.items() if last in by}


def _choose(values: dict[int | None, float], where: str, lower: bool) -> float:
    if None in values:
        return values[None]
    if where == BEST:
        return (min if lower else max)(values.values())
    return values[max(n for n in values if n is not None)]
