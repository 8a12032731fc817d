"""Fine-tuning as in the paper (section 4, "Downstream evaluation"): Table 1's three tasks, and
part-of-speech tagging, which the paper does not have, with the settings of its named entities.

    python eval.py --workdir=runs/en-fr --task=ner          (--tune=configs/finetune_paper.py:ner)

Every setting of the grid is trained on the source language and scored on every language of the run:
the result is the mean of the two settings that are best on the source's development set. Data come
from TFDS, which downloads and prepares them once (`tfds build xnli multi_nli wikiann/en`); files
instead: --data.train=files:..., see README. Differences from the paper: the treebanks of TFDS are
UD 2.10 (paper: 2.3), the splits of WikiAnn are those of Rahimi et al. (the paper names none).
"""

from typing import Any

from ml_collections import config_dict

from xl_jax.config import TASKS, Tuning, to_config_dict
from xl_jax.errors import unknown

TREEBANKS = {"en": "en_ewt", "fr": "fr_gsd", "ru": "ru_gsd", "zh": "zh_gsd"}

TREES: dict[str, Any] = dict(
    train="tfds:universal_dependencies/en_ewt:train",
    dev="tfds:universal_dependencies/en_ewt:dev",
    test={x: f"tfds:universal_dependencies/{name}:test" for x, name in TREEBANKS.items()},
)


def get_config(task: str = "nli") -> config_dict.ConfigDict:
    if task == "nli":
        tuning = Tuning(
            task="nli",
            train="tfds:multi_nli:train",
            dev="tfds:xnli:validation",
            test="tfds:xnli:test",
            epochs=200,
            epoch_size=20_000,  # an epoch of XLM: 200 of them are ten passes
            batch=(4, 8),
            lr=(1.25e-6, 2.5e-6, 5e-6),
            head_lr=(5e-6, 2.5e-5, 1.25e-4),
            schedule="constant",
            warmup=0.0,
        )
    elif task == "ner":
        tuning = Tuning(
            task="ner",
            train="tfds:wikiann/{language}:train",
            dev="tfds:wikiann/{language}:validation",
            test="tfds:wikiann/{language}:test",
            b2=0.99,
        )
    elif task == "tagging":
        tuning = Tuning(task="tagging", b2=0.99, **TREES)
    elif task == "parsing":
        tuning = Tuning(task="parsing", b2=0.99, **TREES)
    else:
        raise unknown("task", task, TASKS)
    return to_config_dict(tuning)
