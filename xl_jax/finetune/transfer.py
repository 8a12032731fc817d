"""Zero-shot transfer: fine-tune on one language, plug in another's view, score (paper section 5).

eval/TASK.json              records of every finished setting, and the results (see `grid`)
eval/TASK/SETTING-DIGEST/   result.json, predictions/LANGUAGE.*, model/ (the tuned parameters)
eval/TASK/metrics.jsonl     losses and development scores as they come

The digest is of the question (data, epochs, freezing, ...): results of different questions stand
side by side, and no finished setting is trained again.
"""

import dataclasses
import itertools
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from xl_jax.analysis.bootstrap import ratio_interval
from xl_jax.config.finetune import Setting, Tuning
from xl_jax.errors import InputError
from xl_jax.finetune import aggregate
from xl_jax.finetune.aggregate import Record
from xl_jax.finetune.buckets import make_buckets, steps_of
from xl_jax.finetune.language_view import View, movable, run_views
from xl_jax.finetune.model import Leaves, Tuned
from xl_jax.finetune.trainer import Fit, Tuner, fit_all
from xl_jax.json_files import fingerprint, read_json, write_json
from xl_jax.runs.checkpoint import Checkpoints
from xl_jax.runs.run_directory import Run
from xl_jax.runs.tracker import Tracker
from xl_jax.tasks import ner, nli, parsing
from xl_jax.tasks.rows import Rows
from xl_jax.tasks.specs import SCHEMES
from xl_jax.tasks.task import Item, Task
from xl_jax.training.step import init_state

READ: dict[str, Callable[[str, str, Counter[str]], list[Any]]] = {
    "nli": nli.read,
    "ner": ner.read,
    "parsing": parsing.read,
}
LEARN: dict[str, Callable[[Sequence[Any], Tuning], Task]] = {
    "nli": nli.NLI.learn,
    "ner": ner.NER.learn,
    "parsing": parsing.Parsing.learn,
}


@dataclass(frozen=True)
class Part:
    """A data set: its spec, what the reader gave, and the same as rows of one view."""

    spec: str
    items: list[Item]
    rows: Rows


class Transfer:
    """A run, a question, and the data it is asked of.

    Args:
      views: views of target languages in place of the run's: another run's, or mapped ones.

    Raises:
      InputError: anything wrong with languages, data or settings, before any training.
    """

    def __init__(
        self,
        run: Run,
        tuning: Tuning,
        views: Mapping[str, View] | None = None,
        log: Callable[[str], None] = print,
    ):
        self.given = dict(views or {})
        self.run, self.log = run, log
        self.tuning = t = resolved(run, tuning, self.given)
        self.folder = run.folder / "eval" / t.task
        self.step, params = run.trained()
        self.params = jax.device_put(jax.device_get(params))  # without the mesh they came on
        self.movable = movable(run, t, self.params)
        now = self.views("trained")

        train = self._read("train", t.train, t.source)
        self.task = LEARN[t.task](train, t)
        self.train = self._part("train", t.train, train, now[t.source])
        dev = self._read("dev", t.dev, t.source)
        self.dev = self._part("dev", t.dev, dev, now[t.source])
        self.test = {}
        for language, spec in t.test.items():
            items = self._read(f"test {language}", spec, language)
            self.test[language] = self._part(f"test {language}", spec, items, now[language])
        self.tuners: dict[int, Tuner] = {}

    def views(self, encoder: str) -> dict[str, View]:
        """Every language's view before fine-tuning; `encoder`: see `Tuning.encoders`."""
        params = self.params if encoder == "trained" else init_state(self.run.model).params
        return {**run_views(self.run, self.tuning, params), **self.given}

    def question(self, setting: Setting) -> dict[str, Any]:
        """What the scores of a setting depend on beside itself."""
        step = self.step if setting.encoder == "trained" else 0
        return {**self.tuning.question, "step": step}

    def place(self, setting: Setting) -> Path:
        """The folder of a setting."""
        return self.folder / f"{setting.name}-{self._digest(setting)}"

    def run_all(self) -> None:
        """Trains and scores what is not there yet, and writes eval/TASK.json.

        Raises:
          Interrupted: on Ctrl-C, after saving.
          FloatingPointError: a loss is not finite.
        """
        new, more = [], []
        for setting in self.tuning.settings:
            path = self.place(setting) / "result.json"
            result = read_json(path) if path.exists() else {}
            if not result or not (self._scored(result) or result["kept"]):
                new.append(setting)
            elif not self._scored(result):
                more.append((setting, result))
        done = len(self.tuning.settings) - len(new)
        if done:
            self.log(f"{done} of {len(self.tuning.settings)} settings are trained already")
        for setting, result in more:
            self._score(setting, self._kept(setting), result)
        self._train(new)
        found = sorted(self.folder.glob("*/result.json"))
        records = aggregate.records([read_json(path) for path in found], self.tuning.best)
        written = {"run": self.run.folder.name, "task": self.tuning.task, "records": records}
        write_json(self.folder.with_suffix(".json"), written)

    def records(self) -> list[Record]:
        """The records of this grid alone."""
        found = [read_json(self.place(s) / "result.json") for s in self.tuning.settings]
        kept = [{**r, "scores": {x: r["scores"][x] for x in self.test}} for r in found]
        return aggregate.records(kept, self.tuning.best)

    def tuner(self, batch: int) -> Tuner:
        """The compiled loop for a batch size, made once."""
        if batch not in self.tuners:
            t, model = self.tuning, self.run.model
            config = dataclasses.replace(
                model.config.model, dropout=t.dropout, attention_dropout=t.dropout
            )
            still = not self.movable
            head = self.task.head(config)
            module = Tuned(config, model.vocab_size, head, t.layer, t.new_layers, still)
            sets = [self.train.rows, self.dev.rows, *(part.rows for part in self.test.values())]
            buckets = make_buckets(sets, batch)
            self.tuners[batch] = Tuner(module, self.task, t, self.train.rows, buckets, batch)
        return self.tuners[batch]

    def _train(self, settings: Sequence[Setting]) -> None:
        if not settings:
            return
        t = self.tuning
        steps = [steps_of(len(self.train.items), s.batch, t.epoch_size) for s in settings]
        examples = t.epochs * sum(s.batch * n for s, n in zip(settings, steps, strict=True))
        self.folder.mkdir(parents=True, exist_ok=True)
        with Tracker(self.folder, 0, examples) as tracker:
            tracker.bar.unit = "example"
            for group in groups(settings, t.parallel):
                source = self.views(group[0].encoder)[t.source]
                tuner = self.tuner(group[0].batch)
                fits = [Fit(tuner, s, self._tuned(source), self.place(s)) for s in group]
                frozen = {p: x for p, x in source.leaves.items() if p not in self.movable}
                tracker.say(", ".join(f"{setting.name}" for setting in group))
                fit_all(tuner, fits, frozen, self.dev.items, self.dev.rows, tracker)
                for fit in fits:
                    self._finish(fit, tracker)

    def _finish(self, fit: Fit, tracker: Tracker) -> None:
        place = self.place(fit.setting)
        if self.tuning.keep:
            _save(place / "model", fit.best)
        result = {
            "question": self.question(fit.setting),
            "asked": self._digest(fit.setting),
            "setting": dataclasses.asdict(fit.setting),
            "dev": fit.best_score,
            "epoch": fit.best_epoch,
            "kept": self.tuning.keep,
            "scores": {},
        }
        scores = self._score(fit.setting, fit.best, result)
        shutil.rmtree(place / "progress", ignore_errors=True)
        metric = self.task.metric
        shown = ", ".join(f"{x} {100 * s['values'][metric]:.1f}" for x, s in scores.items())
        tracker.say(f"  dev {100 * fit.best_score:.1f} in epoch {fit.best_epoch}; {metric} {shown}")

    def _score(self, setting: Setting, tuned: Leaves, result: Record) -> Record:
        """Scores and predictions of every language that `result` does not have yet."""
        place, views = self.place(setting), self.views(setting.encoder)
        (place / "predictions").mkdir(parents=True, exist_ok=True)
        for language, part in self.test.items():
            if self._has(result, language):
                continue
            view = views[language]
            answers = self.tuner(setting.batch).answers(view.after(tuned), part.rows, view)
            values = self.task.scores(part.items, answers)
            beside = {k: values.pop(k) for k in aggregate.BESIDE if k in values}
            counts = self.task.counts(part.items, answers)
            intervals = {name: ratio_interval(x, seed=0) for name, x in counts.items()}
            entry = {**self._asked(language), "n": len(part.items), "values": values, **beside}
            entry["intervals"] = intervals
            result["scores"][language] = entry
            name = f"{language}.{self.task.ending}"
            self.task.write(part.items, answers, place / "predictions" / name)
        write_json(place / "result.json", result)
        return result["scores"]

    def _tuned(self, source: View) -> Leaves:
        return {p: source.leaves[p] for p in self.movable}

    def _kept(self, setting: Setting) -> Leaves:
        """The tuned leaves of a finished setting."""
        source = self.views(setting.encoder)[self.tuning.source]
        like = self.tuner(setting.batch).leaves(self._tuned(source), setting.seed)
        checkpoints = Checkpoints(self.place(setting) / "model", keep=1, log=self.log)
        found = checkpoints.restore(like)
        checkpoints.close()
        if found is None:
            raise InputError(f"{self.place(setting)}: its model is gone; remove the folder")
        return found[1]

    def _scored(self, result: Record) -> bool:
        return all(self._has(result, language) for language in self.test)

    def _has(self, result: Record, language: str) -> bool:
        return self._asked(language).items() <= result["scores"].get(language, {}).items()

    def _asked(self, language: str) -> dict[str, str]:
        """What a language's score depends on beside the tuned leaves."""
        given = {"view": self.given[language].digest} if language in self.given else {}
        return {"data": self.test[language].spec, **given}

    def _digest(self, setting: Setting) -> str:
        return fingerprint(self.question(setting))

    def _read(self, name: str, spec: str, language: str) -> list[Item]:
        counts: Counter[str] = Counter()
        items = READ[self.tuning.task](spec, language, counts)
        self.log(f"{name}: {len(items):,} items of {spec}{_shown(counts)}")
        return items

    def _part(self, name: str, spec: str, items: list[Item], view: View) -> Part:
        if new := self.task.unseen(items):
            self.log(f"{name}: labels without training, counted as errors{_shown(new)}")
        rows = self.task.rows(items, view.vocabulary, view.language, view.framing)
        if any(rows.counts.values()):
            self.log(f"{name}: rows of {rows.length} tokens{_shown(rows.counts)}")
        return Part(spec, items, rows)


def resolved(run: Run, tuning: Tuning, given: Mapping[str, View]) -> Tuning:
    """`tuning` with its languages named, and a test spec for each language that is scored.

    Raises:
      InputError: a language that the run does not have, a data spec that is missing.
    """
    languages = run.config.languages
    source = languages[run.language(tuning.source)] if tuning.source else languages[0]
    targets = tuning.targets or tuple(dict.fromkeys([*languages, *given]))
    for language in targets:
        if language not in given:
            run.language(language)
    scored = tuple(dict.fromkeys([source, *targets]))
    if isinstance(tuning.test, str):
        test = dict.fromkeys(scored, tuning.test) if tuning.test else {}
    else:  # a file of settings may name more languages than this run has
        test = {x: tuning.test[x] for x in scored if x in tuning.test}
    for name in ("train", "dev"):
        if not getattr(tuning, name):
            raise InputError(f"{tuning.task}: no {name} data: give --data.{name}=SPEC")
    missing = [x for x in scored if x not in test and x != source]
    if missing or not test:
        first = (missing or [source])[0]
        raise InputError(f"{tuning.task}: no test data of {first}: give --data.test={first}=SPEC")
    return dataclasses.replace(
        tuning,
        source=source,
        targets=targets,
        train=tuning.train.replace("{language}", source),
        dev=tuning.dev.replace("{language}", source),
        test={x: spec.replace("{language}", x) for x, spec in test.items()},
    )


def test_specs(run: Run, given: Sequence[str]) -> str | dict[str, str]:
    """`Tuning.test` out of the command line's LANGUAGE=SPEC values, or one SPEC for all languages.

    Raises:
      InputError: neither; or a language that the run does not have.
    """
    if len(given) == 1 and given[0].partition(":")[0] in SCHEMES:
        return given[0]
    pairs = [value.partition("=") for value in given]
    for (language, found, _), value in zip(pairs, given, strict=True):
        if not found or ":" in language:
            raise InputError(f"--data.test={value}: not LANGUAGE=SPEC, nor one SPEC alone")
        run.language(language)
    return {language: spec for language, _, spec in pairs}


def groups(settings: Sequence[Setting], most: int) -> list[list[Setting]]:
    """Settings that may be trained at once: of one encoder, batch size and seed, up to `most`."""

    def program(setting: Setting) -> tuple[str, int, int]:
        return setting.encoder, setting.seed, setting.batch

    result = []
    for _, same in itertools.groupby(settings, program):
        found = list(same)
        result += [found[i : i + most] for i in range(0, len(found), most)]
    return result


def _save(folder: Path, leaves: Leaves) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    checkpoints = Checkpoints(folder, keep=1)
    checkpoints.save(0, leaves)
    checkpoints.close()


def _shown(counts: Counter[str]) -> str:
    named = [f"{name.replace('_', ' ')} {n:,}" for name, n in counts.most_common(6) if n]
    return f": {', '.join(named)}" if named else ""
