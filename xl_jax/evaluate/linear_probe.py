"""Zero-shot transfer without fine-tuning: a linear classifier learns labelled words from the frozen
states of the source language and reads those of every language, layer by layer.

Trained encoders beside untrained ones of the run's own mask (three other seeds, mean over them) and
the commonest label of the test items.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from xl_jax.analysis import linear_probe as linear
from xl_jax.analysis import record
from xl_jax.analysis.bootstrap import ratio_interval
from xl_jax.analysis.curves import summaries
from xl_jax.analysis.record import CONTENT, Record, RecordFile
from xl_jax.config.finetune import PROBE, Tuning
from xl_jax.errors import InputError
from xl_jax.evaluate import hits
from xl_jax.evaluate.context import Context
from xl_jax.evaluate.encoders import RANDOM
from xl_jax.finetune import task_data
from xl_jax.finetune.language_view import run_views
from xl_jax.finetune.request import resolved
from xl_jax.finetune.task_data import TaskData
from xl_jax.json_files import fingerprint
from xl_jax.tasks.rows import Rows
from xl_jax.tasks.task import Task
from xl_jax.tokens.shards import of_lines
from xl_jax.tokens.special import EOS

LABELS = ("tagging", "ner")  # tasks that label words
MODELS = {"trained": ("trained",), "untrained": RANDOM}


class Scored(NamedTuple):
    """Of one test set, way and layer: the score, and its parts by item [items, 2]."""

    language: str
    centred: bool
    layer: int
    value: float
    majority: float  # of always giving the commonest label of the items (0 for spans)
    counts: np.ndarray


def linear_probe(
    context: Context,
    tuning: Tuning,
    again: bool = False,
    over_training: bool = False,
    log: Callable[[str], None] = print,
) -> tuple[list[Record], Path]:
    """Records of every layer, and of the layer that is best on the source's development set.

    Args:
      tuning: `task` (whose labels: tagging or ner), languages, data and rows; nothing else of it
        matters.
      again: measure also what the file answers already.
      over_training: trained encoders at every checkpoint, and summaries of the curves.

    Returns:
      The records, and the file eval/linear_probe-DIGEST.json that holds them.

    Raises:
      InputError: another task; anything wrong with languages or data.
    """
    if tuning.task not in LABELS:
        raise InputError(f"linear_probe: labels of {' or '.join(LABELS)}, not of {tuning.task}")
    if context.target is not context.source:
        raise InputError("linear_probe reads one run: leave out --other")
    tuning = resolved(context.run, tuning, {})
    request = _request(context, tuning)
    steps = "steps-" if over_training else ""
    name = f"{steps}{PROBE}-{fingerprint({**request, 'step': 0})}.json"
    path = context.run.folder / "eval" / name
    views = run_views(context.run, tuning, context.source.params)
    data = task_data.load(tuning, views, log)
    content = {**data.content, "test": data.of_tests}
    found = [] if again else context.finished(path, request, content)
    if not found:
        contexts = context.over_training() if over_training else [context]
        found = [r for one in contexts for r in _records(one, tuning, data)]
        found += summaries(found) if over_training else []
        of_these = {**request, CONTENT: content}
        record.write(path, RecordFile(context.run.folder.name, PROBE, of_these, found))
    return found, path


def _request(context: Context, tuning: Tuning) -> dict[str, Any]:
    names = ("task", "source", "train", "dev", "test", "length", "long", "spaces")
    given = {name: getattr(tuning, name) for name in names}
    return {"step": context.source.step, "layers": context.layers, **given}


def _records(context: Context, tuning: Tuning, data: TaskData) -> Iterator[Record]:
    for model in (x for x in MODELS if x in context.models):
        weights = MODELS[model]
        scored, probes = [], []
        for one in weights:
            probe, found = _measured(context, tuning, data, one)
            probes.append(probe)
            scored.append(found)
        best = int(np.mean([probe.dev for probe in probes], axis=0).argmax())
        for same in zip(*scored, strict=True):
            at = context.layers.index(same[0].layer)
            of_layer = {
                "dev": float(np.mean([probe.dev[at] for probe in probes])),
                "strength": [float(probe.strength[at]) for probe in probes],
            }
            made = _record(context, tuning, data, model, same, of_layer)
            yield made
            if at == best and len(context.layers) > 1:
                extras = {**made.extras, "of": PROBE, "chosen_on": f"{tuning.source} dev"}
                yield dataclasses.replace(made, metric=hits.BEST, extras=extras)


def _record(
    context: Context,
    tuning: Tuning,
    data: TaskData,
    model: str,
    same: tuple[Scored, ...],
    of_layer: dict[str, Any],
) -> Record:
    """Of one or several encoders: means over them, of the values and of the intervals' ends."""
    first, test = same[0], data.test[same[0].language]
    low, high = np.mean([ratio_interval(one.counts, seed=0) for one in same], axis=0)
    score = {"labels": tuning.task, "score": data.task.metric, "centred": first.centred}
    return Record(
        PROBE,
        float(np.mean([one.value for one in same])),
        tuning.source,
        first.language,
        first.layer,
        float(low),
        float(high),
        chance=first.majority,
        n=len(test.items),
        data=test.spec,
        model="untrained" if context.source.at_start else model,
        seed=context.run.config.seed,
        step=context.source.step if model == "trained" else 0,
        extras={**score, **of_layer, **hits.spread([one.value for one in same])},
    )


def _measured(
    context: Context, tuning: Tuning, data: TaskData, weights: str
) -> tuple[linear.Probe, list[Scored]]:
    """The classifiers of one encoder, and what they score on every test set."""
    x, known = _states(context, weights, tuning.source, data.train.rows)
    dev_x, dev_known = _states(context, weights, tuning.source, data.dev.rows)
    task, train = data.task, data.train.rows.labels["tag"][known]
    dev = data.dev.rows.labels["tag"][dev_known]
    probe = linear.fit(x[:, train >= 0], train[train >= 0], dev_x, dev)
    scored = []
    for language, test in data.test.items():
        y, at = _states(context, weights, language, test.rows)
        for centred in (False, True)[: 1 + (language != tuning.source)]:
            logits = probe.logits(y, y.mean(1) if centred else None)
            for layer, of_layer in zip(context.layers, logits, strict=True):
                answers = _answers(task, test.rows, of_layer, at)
                scores = task.scores(test.items, answers)
                values = scores[task.metric], scores.get("majority", 0.0)
                counts = task.counts(test.items, answers)[task.metric]
                scored.append(Scored(language, centred, layer, *values, counts))
    return probe, scored


def _answers(task: Task, rows: Rows, logits_nxC: np.ndarray, at: np.ndarray) -> list[Any]:
    """The task's answer to every item, from the outputs for the words numbered `at`."""
    of_words = np.zeros((len(rows.read_at), logits_nxC.shape[1]), np.float32)
    of_words[at] = logits_nxC
    ends = itertools.pairwise(rows.word_starts.tolist())
    return [task.decode({"logits": of_words[a:b]}, rows.read_at[a:b]) for a, b in ends]


def _states(
    context: Context, weights: str, language: str, rows: Rows
) -> tuple[np.ndarray, np.ndarray]:
    """States [L, n, D] of the words, and the numbers of these words: all but those
    that were cut off."""
    lines, parts, numbers = [], [], []
    for item, (start, end) in enumerate(itertools.pairwise(rows.starts.tolist())):
        words = np.arange(*rows.word_starts[item : item + 2])
        first = rows.read_at[words]
        for at in range(0, end - start, rows.length):
            window = rows.tokens[start + at : min(start + at + rows.length, end)]
            line = window[1 : np.flatnonzero(window == EOS)[-1]]
            here = (first >= at) & (first < at + rows.length)
            part = np.full(len(line), -1)
            part[first[here] - at - 1] = np.arange(here.sum())
            lines.append(line)
            parts.append(part)
            numbers.append(words[here])
    encoders = context.source
    found = encoders.extractor.words(encoders.views(weights)[language], of_lines(lines), parts)
    return found.vectors[context.layers], np.concatenate(numbers)
