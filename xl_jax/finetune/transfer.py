"""Zero-shot transfer: fine-tune on one language, plug in another's view, score (paper section 5).

eval/TASK.json              records of every finished setting, and the results (see `aggregate`)
eval/TASK/SETTING-DIGEST/   a setting: its scores, predictions and tuned parameters (see `results`)
eval/TASK/metrics.jsonl     losses and development scores as they come

No finished setting is trained again, unless its data have changed: `content` in a result and in its
scores. Tuned parameters and development scores do not depend on which languages and test sets are
scored.
"""

import dataclasses
import itertools
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from xl_jax.analysis.bootstrap import ratio_interval
from xl_jax.analysis.record import CONTENT
from xl_jax.config.finetune import Setting, Tuning
from xl_jax.errors import InputError
from xl_jax.file_names import file_name
from xl_jax.finetune import aggregate, task_data
from xl_jax.finetune.aggregate import Record
from xl_jax.finetune.buckets import make_buckets, steps_of
from xl_jax.finetune.language_view import View, run_views, trainable
from xl_jax.finetune.model import Leaves, Tuned
from xl_jax.finetune.request import resolved
from xl_jax.finetune.results import ResultStore
from xl_jax.finetune.trainer import Fit, Tuner, fit_all
from xl_jax.json_files import fingerprint, read_json, write_json
from xl_jax.progress import announced
from xl_jax.runs import lock
from xl_jax.runs.run_directory import Run
from xl_jax.runs.tracker import Tracker
from xl_jax.training.step import init_state


class Transfer:
    """Trains and scores the grid of a request on a run.

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
        self.run, self.given, self.log = run, dict(views or {}), log
        self.tuning = resolved(run, tuning, self.given)
        self.step, params = run.trained()
        self.params = jax.device_put(jax.device_get(params))  # without the mesh they came on
        self.trainable = trainable(run, self.tuning, self.params)
        self.data = task_data.load(self.tuning, self.views("trained"), log)
        self.task = self.data.task
        self.tests = {language: self._test_of(language) for language in self.data.test}
        self.folder = run.folder / "eval" / self.tuning.task
        self.store = ResultStore(self.folder, log)
        self.tuners: dict[int, Tuner] = {}

    def views(self, encoder: str) -> dict[str, View]:
        """Every language's view before fine-tuning; `encoder`: see `Tuning.encoders`."""
        params = self.params if encoder == "trained" else init_state(self.run.model).params
        return {**run_views(self.run, self.tuning, params), **self.given}

    def request(self, setting: Setting) -> dict[str, Any]:
        """What the tuned parameters of a setting depend on beside itself."""
        step = self.step if setting.encoder == "trained" else 0
        return {**self.tuning.request, "step": step}

    def folder_of(self, setting: Setting) -> Path:
        return self.store.folder_of(setting, self.request(setting))

    def run_all(self) -> None:
        """Trains and scores what is not there yet, and writes eval/TASK.json.

        Raises:
          InputError: another process fine-tunes this run on this task; it needs more memory than
            there is.
          Interrupted: on Ctrl-C or SIGTERM, after saving.
          FloatingPointError: a loss is not finite.
        """
        settings = self.tuning.settings
        self.folder.mkdir(parents=True, exist_ok=True)
        with lock.training(self.folder):
            new = [setting for setting in settings if not self._score_kept(setting)]
            if len(new) < len(settings):
                done = len(settings) - len(new)
                self.log(f"{done} of {len(settings)} settings are trained already")
            if new:
                self._train(new)
            self._write_records()

    def records(self) -> list[Record]:
        """The records of this request alone."""
        names = {self.folder_of(setting).name for setting in self.tuning.settings}
        finished = {k: v for k, v in self.store.finished().items() if k in names}
        kept = {
            name: {**one, "scores": [x for x in one["scores"] if _test(x) in self.tests.values()]}
            for name, one in finished.items()
        }
        return aggregate.records(kept, [self._grid()])

    def tuner(self, batch: int) -> Tuner:
        """The compiled loop for a batch size, made once."""
        if batch not in self.tuners:
            t, model, data = self.tuning, self.run.model, self.data
            config = dataclasses.replace(
                model.config.model, dropout=t.dropout, attention_dropout=t.dropout
            )
            head = self.task.head(config)
            module = Tuned(
                config, model.vocab_size, head, t.layer, t.new_layers, frozen=not self.trainable
            )
            buckets = make_buckets([data.train.rows, data.dev.rows], batch)
            self.tuners[batch] = Tuner(module, self.task, t, data.train.rows, buckets, batch)
        return self.tuners[batch]

    def tuned(self, setting: Setting) -> Leaves | None:
        """The tuned leaves of a finished setting, None where they are gone or damaged."""
        source = self.views(setting.encoder)[self.tuning.source]
        like = self.tuner(setting.batch).leaves(self._pretrained(source), setting.seed)
        return self.store.read_model(self.folder_of(setting), like)

    def _score_kept(self, setting: Setting) -> bool:
        """Scores a setting that is trained already on what it was not scored on; False: it has to
        be trained."""
        result = self.store.read(self.folder_of(setting))
        if result is None:
            return False
        name, content = self.folder_of(setting).name, self.data.content
        if result.get(CONTENT, content) != content:
            self.log(f"{name}: the training or development data have changed: trained again")
            return False
        new = [x for x in self.tests if not self._is_scored(x, result)]
        if not new:
            return True
        known = [_test(entry) for entry in result["scores"]]
        if changed := [x for x in new if self.tests[x] in known]:
            self.log(f"{name}: the test data of {', '.join(changed)} have changed: scored again")
        tuned = self.tuned(setting) if result["kept"] else None
        if tuned is None:
            return False
        self._score(setting, tuned, result)
        return True

    def _is_scored(self, language: str, result: Record) -> bool:
        """On the test set of these items; scores of earlier versions do not tell the items."""
        test, content = self.tests[language], self.data.of_tests[language]
        scores = [entry for entry in result["scores"] if _test(entry) == test]
        return any(entry.get(CONTENT, content) == content for entry in scores)

    def _train(self, settings: Sequence[Setting]) -> None:
        t = self.tuning
        n = len(self.data.train.items)
        examples = t.epochs * sum(s.batch * steps_of(n, s.batch, t.epoch_size) for s in settings)
        each = groups(settings, t.parallel)
        self._check_memory(max(each, key=lambda group: len(group) * group[0].batch))
        with Tracker(self.folder, 0, examples, unit="example") as tracker:
            for group in each:
                source = self.views(group[0].encoder)[t.source]
                tuner, start = self.tuner(group[0].batch), self._pretrained(source)
                fits = [Fit(tuner, s, start, self.folder_of(s), tracker.say) for s in group]
                frozen = {p: x for p, x in source.leaves.items() if p not in start}
                tracker.say(", ".join(setting.name for setting in group))
                fit_all(tuner, fits, frozen, self.data.dev.items, self.data.dev.rows, tracker)
                for fit in fits:
                    self._finish(fit, tracker)

    def _check_memory(self, group: Sequence[Setting]) -> None:
        """Raises InputError: these settings, trained at once, need more memory than there is."""
        source = self.views(group[0].encoder)[self.tuning.source]
        start = self._pretrained(source)
        frozen = {p: x for p, x in source.leaves.items() if p not in start}
        tuner = self.tuner(group[0].batch)
        with announced("compiling", self.log):
            tuner.compile(len(group), tuner.leaves(start, group[0].seed), frozen)

    def _finish(self, fit: Fit, tracker: Tracker) -> None:
        folder = self.folder_of(fit.setting)
        request = self.request(fit.setting)
        result: Record = {
            "question": request,
            "asked": fingerprint(request),
            "setting": dataclasses.asdict(fit.setting),
            "dev": fit.best_score,
            "epoch": fit.best_epoch,
            "kept": self.tuning.keep,
            CONTENT: self.data.content,
            "scores": [],
        }
        if self.tuning.keep:  # from here on only scoring is left to do
            self.store.write_model(folder, fit.best)
            self.store.write(folder, result)
        self._score(fit.setting, fit.best, result)
        shutil.rmtree(folder / "progress", ignore_errors=True)
        metric = self.task.metric
        shown = ", ".join(
            f"{x['target']} {100 * x['values'][metric]:.1f}" for x in result["scores"]
        )
        tracker.say(f"  dev {100 * fit.best_score:.1f} in epoch {fit.best_epoch}; {metric} {shown}")

    def _score(self, setting: Setting, tuned: Leaves, result: Record) -> None:
        """Adds the scores of every test set that `result` does not have yet, in the place of those
        of other items under the same name, and writes it and the predictions."""
        folder, views = self.folder_of(setting), self.views(setting.encoder)
        (folder / "predictions").mkdir(parents=True, exist_ok=True)
        for language, part in self.data.test.items():
            if self._is_scored(language, result):
                continue
            test, scores = self.tests[language], result["scores"]
            places = [i for i, entry in enumerate(scores) if _test(entry) == test]
            at = places[0] if places else len(scores)
            view = views[language]
            answers = self.tuner(setting.batch).answers(view.after(tuned), part.rows, view)
            values = self.task.scores(part.items, answers)
            beside = {k: values.pop(k) for k in aggregate.BESIDE if k in values}
            counts = self.task.counts(part.items, answers)
            intervals = {name: ratio_interval(x, seed=0) for name, x in counts.items()}
            entry = {**test, "n": len(part.items), "values": values, **beside}
            entry[CONTENT] = self.data.of_tests[language]
            another = any(x["target"] == language for x in scores[:at])
            name = f"{language}-{fingerprint(test)}" if another else language
            path = folder / "predictions" / f"{file_name(name)}.{self.task.ending}"
            self.task.write(part.items, answers, path)
            scores[at : at + 1] = [{**entry, "intervals": intervals}]
        self.store.write(folder, result)

    def _write_records(self) -> None:
        """eval/TASK.json: every finished setting, and the results of this request and of those
        before it."""
        path = self.folder.with_suffix(".json")
        grid = self._grid()
        requests = _requests(path, self.log) | {fingerprint(grid): grid}
        rows = aggregate.records(self.store.finished(), list(requests.values()))
        named = {"run": self.run.folder.name, "task": self.tuning.task}
        write_json(path, {**named, "requests": requests, "records": rows})

    def _grid(self) -> Record:
        """This request as `aggregate` sees it."""
        names: dict[str, list[str]] = {}
        for setting in self.tuning.settings:
            names.setdefault(setting.encoder, []).append(self.folder_of(setting).name)
        return aggregate.request_of(names, list(self.tests.values()), self.tuning.best)

    def _pretrained(self, source: View) -> Leaves:
        """The source's leaves that fine-tuning starts from."""
        return {p: source.leaves[p] for p in self.trainable}

    def _test_of(self, language: str) -> dict[str, str]:
        """What a language's score depends on beside the tuned leaves."""
        given = {"view": self.given[language].digest} if language in self.given else {}
        return {"target": language, "data": self.data.test[language].spec, **given}


def groups(settings: Sequence[Setting], most: int) -> list[list[Setting]]:
    """Settings that may be trained at once: of one encoder, batch size and seed, up to `most`."""

    def program(setting: Setting) -> tuple[str, int, int]:
        return setting.encoder, setting.seed, setting.batch

    result = []
    for _, same in itertools.groupby(settings, program):
        found = list(same)
        result += [found[i : i + most] for i in range(0, len(found), most)]
    return result


def _test(entry: Record) -> Record:
    """What a score says of its test set, see `Transfer.tests`."""
    return {name: entry[name] for name in aggregate.TEST if name in entry}


def _requests(path: Path, log: Callable[[str], None]) -> dict[str, Record]:
    """The requests that a file of records has results of, by digest."""
    if not path.exists():
        return {}
    try:
        found = read_json(path)
    except InputError as error:
        log(f"{error}; it is made again")
        return {}
    requests = found.get("requests", {}) if isinstance(found, dict) else {}  # of old files: none
    return {digest: x for digest, x in requests.items() if fingerprint(x) == digest}
