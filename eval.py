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

from xl_jax import cli, config_flags
from xl_jax.config.finetune import PROBE
from xl_jax.config.finetune import TASKS as TRANSFER
from xl_jax.errors import InputError, printable

TASK = flags.DEFINE_list("task", [], "Tasks, separated by commas; those without training if none.")
STEPS = flags.DEFINE_enum(
    "steps",
    "last",
    ["last", "all"],
    "The newest checkpoint, or step 0 and every one that was kept.",
)
AGAIN = flags.DEFINE_bool("again", False, "Measure also what has already been measured.")
SOURCE = flags.DEFINE_string(
    "source", None, "Source language (default: the run's first); all: every pair of languages."
)
TARGET = flags.DEFINE_string("target", None, "Target language (default: each of the others).")
cli.define_folder("other", "Run directory of the target language's encoder.")
MAP = flags.DEFINE_string("data.map", None, "Sentence pairs to learn a map from, as data.pairs.")
LAYERS = flags.DEFINE_list("probe.layers", None, "Layers to measure (default: all).")
OPTIONS = (  # what comes after the dot is the name of a field of `config.EvalOptions`
    SOURCE,
    TARGET,
    MAP,
    LAYERS,
    flags.DEFINE_string(
        "data.pairs", None, "Sentence pairs: SOURCE_FILE,TARGET_FILE, line by line (Tatoeba)."
    ),
    flags.DEFINE_string(
        "data.dictionary", None, "Word pairs: a file of two columns, source and target word (MUSE)."
    ),
    flags.DEFINE_string(
        "data.candidates", None, "Retrieval: a file of further target sentences to choose among."
    ),
    flags.DEFINE_string(
        "data.map_dictionary", None, "Word pairs to learn a map from, as data.dictionary."
    ),
    flags.DEFINE_string(
        "data.links", None, "Word alignment of data.map's blank-separated words (Pharaoh: 0-0 1-2)."
    ),
    flags.DEFINE_integer("probe.text", None, "Induction: lines of text to average over."),
    flags.DEFINE_integer("probe.types", None, "Induction: most frequent words kept."),
    flags.DEFINE_integer(
        "probe.fasttext", None, "Induction: width of fastText vectors of the same text (0 = none)."
    ),
    flags.DEFINE_string(
        "probe.normalise", None, "Of both spaces before a map is learnt: iterative, centre or none."
    ),
    flags.DEFINE_string("probe.kernel", None, "CKA: linear or rbf."),
    flags.DEFINE_bool(
        "probe.centred", None, "CKA: centred (without, unrelated spaces may seem alike)."
    ),
    flags.DEFINE_bool("probe.debiased", None, "CKA: without the bias of few items."),
)
TRAIN = flags.DEFINE_string("data.train", None, "Fine-tuning: the source language's training data.")
DEV = flags.DEFINE_string("data.dev", None, "Fine-tuning: its development data.")
TEST = flags.DEFINE_multi_string(
    "data.test", [], "Fine-tuning: LANGUAGE=SPEC, for each; or one SPEC with {language} in it."
)
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

    if TASK.value == ["overview"]:
        return overview(config_flags.workdir())
    check_tasks(TASK.value)
    run = load(config_flags.workdir())
    other = load(Path(flags.FLAGS.other)) if flags.FLAGS.other else None
    if [task for task in TASK.value if task in (*TRANSFER, PROBE)]:
        return transfer(run, other)
    if STEPS.value == "all":
        if other:
            raise InputError("--steps=all reads one run: leave out --other")
        found = measure_over_training(run, TASK.value or OVER_TRAINING, AGAIN.value, options(run))
        return show_over_training(found.records, found.figure)
    found = measure(run, TASK.value or USUAL, AGAIN.value, other, options(run))
    show(found.records, found.title, found.figure, details=True)
    for path in found.files:
        print(f"records: {path}")


def overview(folder: Path) -> None:
    """Shows the records of a run; a damaged file is named and left out."""
    from xl_jax.analysis import record
    from xl_jax.report.overview import overview

    files = {}
    for path in sorted((folder / "eval").glob("*.json")):
        try:
            files[path.stem] = record.read(path)
        except InputError as error:
            print(printable(str(error)))
    if not files:
        raise InputError(f"{folder}: nothing was measured: python eval.py --workdir={folder}")
    print(overview(files))


def options(run: Any) -> Any:
    """The run's own options with those of the command line."""
    given: dict[str, Any] = {
        f.name.rpartition(".")[2]: f.value for f in OPTIONS if f.value is not None
    }
    if "layers" in given:
        given["layers"] = tuple(map(_number, given["layers"]))
    return dataclasses.replace(run.config.probe, **given)


def _number(text: str) -> int:
    if not text.isdecimal():
        raise InputError(f"--probe.layers: {text!r} is not the number of a layer")
    return int(text)


def transfer(run: Any, other: Any) -> None:
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
    task = TASK.value[0]
    if len(TASK.value) > 1:
        alone = ", ".join((*TRANSFER, PROBE))
        raise InputError(f"--task={','.join(TASK.value)}: {alone} go one at a time")
    if other and not MAP.value and task != PROBE:
        raise InputError(f"--task={task} --other: learn a map with --data.map=PAIRS")
    given: dict[str, Any] = {
        "task": task if task in TRANSFER else None,
        "source": SOURCE.value,
        "targets": tuple(TARGET.value.split(",")) if TARGET.value else None,
        "train": TRAIN.value,
        "dev": DEV.value,
        "test": test_specs(run, TEST.value) if TEST.value else None,
    }
    given = {name: value for name, value in given.items() if value is not None}
    tuning = dataclasses.replace(config_flags.tuning(), **given)
    try:
        if task == PROBE:
            context = Context(run, other, options(run))
            over = STEPS.value == "all"
            records, path = linear_probe(context, tuning, AGAIN.value, over)
            title = f"{' and '.join(run.config.languages)}, {run.name}"
            if over:
                show_over_training(records, path.with_suffix(".png"))
            else:
                show_layers(records, title, path.with_suffix(".png"), details=True)
        elif MAP.value:
            records, path = through_map(Context(run, other, options(run)), tuning)
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
