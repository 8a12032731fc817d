"""What can be asked of a trained run, or of two: do the languages share a space?

A task is a function from a probe to tidy records; `measure` writes them to eval/TASK.json, and to
eval/TASK-DIGEST.json where other data or options were asked for than the run's own config has.
A record: metric, source, target, layer, value, low, high (95 % bootstrap interval), chance, n,
seed, step, model (trained | untrained | untrained target: a trained source beside it), data (what
was measured on), and what the task adds. Rates are in 0..1.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from xl_jax.config import EvalOptions
from xl_jax.errors import unknown
from xl_jax.evaluate.context import Probe, Record
from xl_jax.evaluate.sentences import cka, retrieval, translation
from xl_jax.evaluate.twins import twins
from xl_jax.evaluate.words import induction
from xl_jax.json_files import fingerprint, plain, read_json, write_json
from xl_jax.pretrain.heldout import Heldout
from xl_jax.runs.run_directory import Run


def perplexity(probe: Probe) -> Iterator[Record]:
    """Held-out perplexity of each language beside unigram and bigram counts."""
    run = probe.run
    heldout = Heldout(run)
    step, params = run.trained()
    for language, value in heldout.perplexities(params).items():
        yield {
            "metric": "perplexity",
            "source": language,
            "value": value,
            **heldout.baselines(params, language),
            "seed": run.config.seed,
            "step": step,
        }


TASKS: dict[str, Callable[[Probe], Iterator[Record]]] = {
    "retrieval": retrieval,
    "translation": translation,
    "cka": cka,
    "perplexity": perplexity,
    "induction": induction,
    "twins": twins,
}
USUAL = ("retrieval", "translation", "cka", "perplexity")  # after training


class Measured(NamedTuple):
    records: list[Record]
    nothing: list[str]  # tasks that have nothing to measure on
    files: list[Path]  # of the records


def measure(
    run: Run,
    tasks: Sequence[str] = USUAL,
    again: bool = False,
    other: Run | None = None,
    asked: EvalOptions | None = None,
) -> Measured:
    """The records of the tasks.

    They come from the task's file where that answers the same question for the newest checkpoint
    (unless `again`), and are measured and written otherwise.

    Args:
      other: the run of the target language's encoder; by default the same.
      asked: options instead of those in the run's config.

    Raises:
      InputError: an unknown task or language, a missing file, no checkpoint.
    """
    for task in tasks:
        if task not in TASKS:
            raise unknown("task", task, TASKS)
    probe = Probe(run, other, asked)
    own = asked in (None, run.config.probe) and other is None
    ending = "" if own else "-" + fingerprint({**probe.asked, "step": 0, "other_step": 0})
    folder = run.folder / "eval"
    measured = Measured([], [], [])
    for task in tasks:
        path = folder / f"{task}{ending}.json"
        written = read_json(path) if path.exists() and not again else {}
        if written.get("asked") != plain(probe.asked):
            records = list(TASKS[task](probe))
            if not records:
                measured.nothing.append(task)
                continue
            written = {
                "run": run.folder.name,
                "task": task,
                "asked": probe.asked,
                "records": records,
            }
            folder.mkdir(exist_ok=True)
            write_json(path, written)
        measured.records.extend(written["records"])
        measured.files.append(path)
    return measured
