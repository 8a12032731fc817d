"""Measure a trained run, layer by layer, and write eval/TASK.json, a table and a figure.

    python eval.py                        everything, on the known translations of runs/tiny
    python eval.py --workdir=runs/x --task=retrieval --data.pairs=tatoeba.fr-en.en,tatoeba.fr-en.fr
    python eval.py --workdir=runs/x --task=translation --data.dictionary=en-fr.5000-6500.txt

Tasks:
    retrieval      find each sentence's translation among all others, by cosine of mean states
    translation    find each word's translation, by cosine of its states between special tokens
    cka            how alike the two languages' representations of the same sentences are
    perplexity     held-out perplexity of each language beside unigram and bigram counts

Zero-shot transfer: fine-tune a grid of settings on the source language, score every language.

    python eval.py --workdir=runs/x --task=ner --tune=configs/finetune_small.py:ner \\
      --data.train='files:ner/{language}.train.bio' --data.dev='files:ner/{language}.dev.bio' \\
      --data.test='files:ner/{language}.test.bio'

    nli            does the premise entail the hypothesis: accuracy
    ner            named entities: span F1
    parsing        dependency trees: unlabelled and labelled attachment
"""

import dataclasses
import sys
from typing import Any

from absl import flags

from xl_jax import cli, config_flags
from xl_jax.errors import InputError
from xl_jax.tuning import TASKS as TRANSFER

TASK = flags.DEFINE_list("task", [], "Tasks, separated by commas; those without training if none.")
AGAIN = flags.DEFINE_bool("again", False, "Measure also what has already been measured.")
SOURCE = flags.DEFINE_string("source", None, "Source language (default: the run's first).")
TARGET = flags.DEFINE_string("target", None, "Target language (default: each of the others).")
PAIRS = flags.DEFINE_string(
    "data.pairs", None, "Sentence pairs: SOURCE_FILE,TARGET_FILE, line by line (Tatoeba)."
)
DICTIONARY = flags.DEFINE_string(
    "data.dictionary", None, "Word pairs: a file of two columns, source and target word (MUSE)."
)
TRAIN = flags.DEFINE_string("data.train", None, "Fine-tuning: the source language's training data.")
DEV = flags.DEFINE_string("data.dev", None, "Fine-tuning: its development data.")
TEST = flags.DEFINE_multi_string(
    "data.test", [], "Fine-tuning: LANGUAGE=SPEC, for each; or one SPEC with {language} in it."
)
config_flags.define_tuning()


def main() -> None:
    from xl_jax.rundir import load

    run = load(config_flags.workdir())
    if [task for task in TASK.value if task in TRANSFER]:
        return transfer(run)
    from xl_jax.probe import TASKS
    from xl_jax.report.show import show

    given: dict[str, Any] = {
        "source": SOURCE.value,
        "target": TARGET.value,
        "pairs": PAIRS.value,
        "dictionary": DICTIONARY.value,
    }
    asked = {name: value for name, value in given.items() if value is not None}
    probe = dataclasses.replace(run.config.probe, **asked)
    run = dataclasses.replace(run, config=dataclasses.replace(run.config, probe=probe))
    show(run, TASK.value or tuple(TASKS), AGAIN.value)


def transfer(run: Any) -> None:
    from xl_jax.pretrain import Interrupted
    from xl_jax.report.transfer import show
    from xl_jax.transfer import test_specs

    if len(TASK.value) > 1:
        raise InputError(f"--task={','.join(TASK.value)}: {', '.join(TRANSFER)} go one at a time")
    tuning = config_flags.tuning()
    given: dict[str, Any] = {
        "task": TASK.value[0],
        "source": SOURCE.value,
        "targets": tuple(TARGET.value.split(",")) if TARGET.value else None,
        "train": TRAIN.value,
        "dev": DEV.value,
        "test": test_specs(run, TEST.value) if TEST.value else None,
    }
    asked = {name: value for name, value in given.items() if value is not None}
    try:
        show(run, dataclasses.replace(tuning, **asked))
    except Interrupted as stop:
        print(stop, file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    cli.run(main, __doc__, config_flags.parse)
