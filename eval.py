"""Measure a trained run, layer by layer, and write eval/TASK.json, a table and a figure.

    python eval.py                        everything, on the known translations of runs/tiny
    python eval.py --workdir=runs/x --task=retrieval --data.pairs=tatoeba.fr-en.en,tatoeba.fr-en.fr
    python eval.py --workdir=runs/x --task=translation --data.dictionary=en-fr.5000-6500.txt

Tasks:
    retrieval      find each sentence's translation among all others, by cosine of mean states
    translation    find each word's translation, by cosine of its states between special tokens
    cka            how alike the two languages' representations of the same sentences are
    perplexity     held-out perplexity of each language beside unigram and bigram counts
"""

import dataclasses
from typing import Any

from absl import flags

from xl_jax import cli, config_flags

TASK = flags.DEFINE_list("task", [], "Tasks, separated by commas; all by default.")
AGAIN = flags.DEFINE_bool("again", False, "Measure also what has already been measured.")
SOURCE = flags.DEFINE_string("source", None, "Source language (default: the run's first).")
TARGET = flags.DEFINE_string("target", None, "Target language (default: each of the others).")
PAIRS = flags.DEFINE_string(
    "data.pairs", None, "Sentence pairs: SOURCE_FILE,TARGET_FILE, line by line (Tatoeba)."
)
DICTIONARY = flags.DEFINE_string(
    "data.dictionary", None, "Word pairs: a file of two columns, source and target word (MUSE)."
)


def main() -> None:
    from xl_jax.probe import TASKS
    from xl_jax.report.show import show
    from xl_jax.rundir import load

    run = load(config_flags.workdir())
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


if __name__ == "__main__":
    cli.run(main, __doc__, config_flags.parse)
