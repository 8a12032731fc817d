"""Measure a trained run, layer by layer, and write eval/TASK.json, a table and a figure.

    python eval.py                        everything, on the known translations of runs/tiny
    python eval.py --workdir=runs/x --task=retrieval --data.pairs=tatoeba.fr-en.en,tatoeba.fr-en.fr
    python eval.py --workdir=runs/x --task=translation --data.dictionary=en-fr.5000-6500.txt
    python eval.py --workdir=runs/en --other=runs/fr --task=retrieval --data.map=book.en,book.fr \\
      --data.pairs=tatoeba.fr-en.en,tatoeba.fr-en.fr
    python eval.py --workdir=runs/x --source=all --data.pairs='pud.{source},pud.{target}'

Tasks:
    retrieval      find each sentence's translation among all others by cosine of mean states, and
                   with --data.map through an orthogonal map learnt from other sentence pairs
    translation    find each word's translation, by cosine of its states between special tokens
    cka            how alike the two languages' representations of the same sentences are, every
                   layer with every other one
    perplexity     held-out perplexity of each language beside unigram and bigram counts
    induction      find the words of a test dictionary through the map that a training dictionary
                   gives, by rows of the embedding table and by averages over running text
    twins          a twin and its base at every checkpoint: word alignment, and the multilinguality
                   score of Dufter and Schuetze
    overview       measure nothing: show all that was measured of the run

Over training, of a run with --config.keep_curve: when does each measure rise?

    python eval.py --workdir=runs/x --steps=all --task=retrieval,translation,cka

Zero-shot transfer: fine-tune a grid of settings on the source language, score every language.

    python eval.py --workdir=runs/x --task=ner --tune=configs/finetune_small.py:ner \\
      --data.train='files:ner/{language}.train.bio' --data.dev='files:ner/{language}.dev.bio' \\
      --data.test='files:ner/{language}.test.bio'

    nli            does the premise entail the hypothesis: accuracy
    ner            named entities: span F1
    tagging        parts of speech (UPOS): accuracy
    parsing        dependency trees: unlabelled and labelled attachment

    linear_probe   the same without fine-tuning, in seconds: a linear classifier of frozen states,
                   every layer; the labels are tags (or with --tune=configs/finetune_small.py:ner
                   those of ner)

The test data of a twin are its base's, renamed and in the twin's order, if none are given
(--data.test=twin=twin:en).

With --data.map, ner, tagging and parsing go through a map of contextual words: the first layers of
the source encoder, frozen, with four new ones above; at test the target encoder's first layers,
mapped.
"""

if __name__ == "__main__":
    from xl_jax import stopping

    stopping.listen()  # before the imports below

import dataclasses
import sys
from pathlib import Path
from typing import Any

from absl import flags

from xl_jax import cli, config_flags, mirror
from xl_jax.config.finetune import PROBE
from xl_jax.config.finetune import TASKS as TRANSFER
from xl_jax.errors import InputError, printable
from xl_jax.evaluate.flags import EvalFlags

GIVEN = EvalFlags(flags.FLAGS)
config_flags.define_workdir()
config_flags.define_tuning()
config_flags.fix_config("a run is measured as it was trained; set --probe.* and --data.* instead")


def main() -> None:
    config_flags.tuning()  # a wrong setting is said before anything is opened
    from xl_jax.evaluate.runner import (
        OVER_TRAINING,
        USUAL,
        check_tasks,
        measure,
        measure_over_training,
    )
    from xl_jax.report.run import show, show_over_training
    from xl_jax.runs.run_directory import load

    tasks, again = GIVEN.task.value, GIVEN.again.value
    if tasks == ["overview"]:
        return overview(config_flags.workdir())
    check_tasks(tasks)
    GIVEN.check()
    run = load(config_flags.workdir())
    other = load(mirror.here(GIVEN.other.value)) if GIVEN.other.value else None
    with run.kept():
        if GIVEN.of_labels:
            return transfer(run, other, GIVEN.of_labels)
        options = GIVEN.options(run.config.probe)
        if GIVEN.steps.value == "all":
            found = measure_over_training(run, tasks or OVER_TRAINING, again, options)
            return show_over_training(found.records, found.figure)
        found = measure(run, tasks or USUAL, again, other, options)
        show(found.records, found.title, found.figure, details=True)
        for path in found.files:
            print(f"records: {path}")


def overview(folder: Path) -> None:
    """Shows the records of a run; a damaged file is named and left out."""
    from xl_jax.analysis import record
    from xl_jax.report.overview import overview

    files = {}
    mirror.pull(folder)
    for path in sorted((folder / "eval").glob("*.json")):
        try:
            files[path.stem] = record.read(path)
        except InputError as error:
            print(printable(str(error)))
    if not files:
        where = mirror.name(folder)
        raise InputError(f"{where}: nothing was measured: python eval.py --workdir={where}")
    print(overview(files))


def transfer(run: Any, other: Any, task: str) -> None:
    """Fine-tunes and scores what is not there yet; shows the results."""
    from xl_jax.analysis.record import Record
    from xl_jax.evaluate.context import Context
    from xl_jax.evaluate.linear_probe import linear_probe
    from xl_jax.evaluate.mapped_transfer import through_map
    from xl_jax.finetune.request import test_specs
    from xl_jax.finetune.transfer import Transfer
    from xl_jax.report.run import show as show_layers
    from xl_jax.report.run import show_over_training
    from xl_jax.report.transfer import show, show_mapped
    from xl_jax.runs.interrupt import Interrupted
    from xl_jax.runs.run_directory import check_links

    check_links(run.folder, ["eval"])
    tuning = GIVEN.tuning(config_flags.tuning())
    if task in TRANSFER:
        tuning = dataclasses.replace(tuning, task=task)
    if GIVEN.test.value:
        tuning = dataclasses.replace(tuning, test=test_specs(run, GIVEN.test.value))
    try:
        if task == PROBE:
            context = Context(run, other, GIVEN.options(run.config.probe))
            over = GIVEN.steps.value == "all"
            records, path = linear_probe(context, tuning, GIVEN.again.value, over)
            title = f"{' and '.join(run.config.languages)}, {run.name}"
            if over:
                show_over_training(records, path.with_suffix(".png"))
            else:
                show_layers(records, title, path.with_suffix(".png"), details=True)
        elif GIVEN.map.value:
            context = Context(run, other, GIVEN.options(run.config.probe))
            records, path = through_map(context, tuning)
            show_mapped(records, path.with_suffix(".png"))
        else:
            grid = Transfer(run, tuning)
            grid.run_all()
            show([Record.from_json(r) for r in grid.records()], grid.task.metric)
            path = grid.folder.with_suffix(".json")
    except Interrupted as stop:
        print(stop, file=sys.stderr)
        sys.exit(stop.code)
    print(f"records: {path}")


if __name__ == "__main__":
    cli.run(main, __doc__, config_flags.parse)
