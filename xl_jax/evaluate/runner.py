"""What is measured of a trained run, or of two: do the languages share a space?

A task is a function from a context to records. They are written to eval/TASK.json, and to
eval/TASK-DIGEST.json where other data or options are requested than the run's own config has.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from xl_jax.analysis import record
from xl_jax.analysis.bootstrap import interval, resample
from xl_jax.analysis.curves import summaries
from xl_jax.analysis.record import Record, RecordFile
from xl_jax.config import EvalOptions
from xl_jax.config.finetune import PROBE
from xl_jax.config.finetune import TASKS as TRANSFER
from xl_jax.errors import InputError, printable, unknown
from xl_jax.evaluate.context import Context
from xl_jax.evaluate.sentences import cka, retrieval, translation
from xl_jax.evaluate.twins import twins
from xl_jax.evaluate.words import induction
from xl_jax.json_files import fingerprint
from xl_jax.pretrain.heldout import AFTERWARDS, Heldout
from xl_jax.pretrain.heldout import perplexity as heldout_perplexity
from xl_jax.runs.run_directory import Run, check_links


def perplexity(context: Context) -> Iterator[Record]:
    """Held-out perplexity of each language, with its interval over rows, beside unigram and bigram
    counts."""
    run, step, params = context.run, context.source.step, context.source.params
    heldout = Heldout(run, AFTERWARDS)
    for language in heldout.languages:
        sums = heldout.sums(params, language)
        totals = resample(sums, seed=0)
        low, high = interval(np.exp(totals[:, 0] / totals[:, 1]))
        yield Record(
            "perplexity",
            heldout_perplexity(sums),
            language,
            low=float(low),
            high=float(high),
            n=len(sums),
            seed=run.config.seed,
            step=step,
            extras=heldout.baselines(params, language),
        )


TASKS: dict[str, Callable[[Context], Iterator[Record]]] = {
    "retrieval": retrieval,
    "translation": translation,
    "cka": cka,
    "perplexity": perplexity,
    "induction": induction,
    "twins": twins,
}
USUAL = ("retrieval", "translation", "cka", "perplexity")  # after training


OVER_TRAINING = ("retrieval", "translation", "cka")  # and linear_probe; twins always are
OF_MEANS = (*OVER_TRAINING, "twins")  # of sentences, and of words alone


class Measured(NamedTuple):
    """Records, and where a picture of them belongs.

    Attributes:
      files: that hold the records, one a task.
      title: whose they are.
      figure: a .png of its own for other tasks, languages or data.
    """

    records: list[Record]
    files: list[Path]
    title: str
    figure: Path


def measure(
    run: Run,
    tasks: Sequence[str] = USUAL,
    again: bool = False,
    other: Run | None = None,
    options: EvalOptions | None = None,
    log: Callable[[str], None] = print,
) -> Measured:
    """The records of the tasks.

    They come from the task's file where that answers the same request for the newest checkpoint
    (unless `again`), and are measured and written otherwise.

    Args:
      other: the run of the target language's encoder; by default the same.
      options: in place of those in the run's config.

    Raises:
      InputError: an unknown task or language, a missing file, no checkpoint; nothing to measure on.
    """
    check_tasks(tasks, TASKS)
    check_links(run.folder, ["eval"])
    context = Context(run, other, options, log)
    own = options in (None, run.config.probe) and other is None
    ending = "" if own else f"-{_digest(context)}"
    measured = Measured([], [], _title(run, other), _figure(run, tasks, ending))
    without = []
    for task in tasks:
        path = run.folder / "eval" / f"{task}{ending}.json"
        records = [] if again else context.finished(path, context.request)
        if not records:
            softmax = {"softmax": run.config.model.softmax}  # that it was trained with
            records = [_with(r, softmax) for r in _records(context, task)]
            if not records:
                without.append(task)
                continue
            record.write(path, RecordFile(run.folder.name, task, context.request, records))
        measured.records.extend(records)
        measured.files.append(path)
    if without:
        message = (
            f"{', '.join(without)}: no translations between {', '.join(run.config.languages)} are "
            f"known; give files: python eval.py --workdir={run.folder} --data.pairs=FILE,FILE "
            "--data.dictionary=FILE (induction: --data.map_dictionary=FILE too)"
        )
        if not measured.records:
            raise InputError(message)
        log(printable(message))
    return measured


def measure_over_training(
    run: Run,
    tasks: Sequence[str] = OVER_TRAINING,
    again: bool = False,
    options: EvalOptions | None = None,
    log: Callable[[str], None] = print,
) -> Measured:
    """The records of the tasks at step 0 and at every checkpoint that is kept, and of each curve
    its summary (see `curves.summaries`), in eval/steps-TASK.json.

    Raises:
      InputError: see `measure`; a task that is not one of `OVER_TRAINING`.
    """
    check_tasks(tasks, OVER_TRAINING)
    check_links(run.folder, ["eval"])
    context = Context(run, None, options, log)
    ending = "" if options in (None, run.config.probe) else f"-{_digest(context)}"
    name = f"steps-{'-'.join(tasks)}{ending}"
    path = run.folder / "eval" / f"{name}.json"
    records = [] if again else context.finished(path, context.request)
    if not records:
        for at_step in context.over_training():
            log(f"step {at_step.source.step:,}")
            records += [r for task in tasks for r in _records(at_step, task)]
        if not records:
            raise InputError(f"{run.folder}: nothing to measure {', '.join(tasks)} on")
        records += summaries(records)
        record.write(path, RecordFile(run.folder.name, "+".join(tasks), context.request, records))
    return Measured(records, [path], _title(run, None), path.with_suffix(".png"))


def check_tasks(tasks: Sequence[str], known: Iterable[str] = (*TASKS, *TRANSFER, PROBE)) -> None:
    """Raises InputError: a task that is not `known`; by default also those with labels are."""
    for task in tasks:
        if task not in known:
            raise unknown("task", task, known)


def _records(context: Context, task: str) -> Iterator[Record]:
    """Of a task; where means count special tokens, they say so."""
    counted = context.options.special_tokens and task in OF_MEANS
    for r in TASKS[task](context):
        yield _with(r, {"special_tokens": True}) if counted else r


def _with(r: Record, extras: Mapping[str, Any]) -> Record:
    return replace(r, extras={**r.extras, **extras})


def _title(run: Run, other: Run | None) -> str:
    runs = [run] if other is None else [run, other]
    return "; ".join(f"{' and '.join(r.config.languages)}, {r.name}" for r in runs)


def _figure(run: Run, tasks: Sequence[str], ending: str) -> Path:
    if len(tasks) == 1:
        return run.folder / "eval" / f"{tasks[0]}{ending}.png"
    of_tasks = "" if tuple(tasks) == USUAL else f"-{'-'.join(tasks)}"
    return run.folder / f"layers{of_tasks}{ending}.png"


def _digest(context: Context) -> str:
    """Of the request, whatever the runs' steps: a run that trains on writes to the same file."""
    return fingerprint({**context.request, "step": 0, "other_step": 0})
