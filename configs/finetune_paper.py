"""Fine-tuning as in the paper (section 4, "Downstream evaluation"): Table 1's three tasks, and
part-of-speech tagging, which the paper does not have, with the settings of its named entities.

    python eval.py --workdir=runs/en-fr --task=ner          (--tune=configs/finetune_paper.py:ner)

Every setting of the grid is trained on the source language and scored on every language of the run:
the result is the mean of the two settings that are best on the source's development set.

XNLI and WikiAnn are downloaded from the Hugging Face Hub (docs/data.md); the English training text
of XNLI is MultiNLI's. The treebanks, UD 2.3 as in the paper, are files in ud/:

    for name in English-EWT French-GSD Russian-GSD Chinese-GSD; do
      git -C ud clone --branch=r2.3 https://github.com/UniversalDependencies/UD_$name; done

Other data: --data.train=files:... (docs/transfer.md). Differences from the paper: Chinese NER is
WikiAnn, where the paper trains on CoNLL-2003 and tests on SIGHAN 2006, so the Chinese figures do
not compare; the splits of WikiAnn are those of Rahimi et al. (the paper names none).
"""

from typing import Any

from ml_collections import config_dict

from xl_jax.config import TASKS, Tuning, to_config_dict
from xl_jax.errors import unknown

TREEBANKS = {
    "en": "UD_English-EWT/en_ewt",
    "fr": "UD_French-GSD/fr_gsd",
    "ru": "UD_Russian-GSD/ru_gsd",
    "zh": "UD_Chinese-GSD/zh_gsd",
}

TREES: dict[str, Any] = dict(
    train="files:ud/UD_English-EWT/en_ewt-ud-train.conllu",
    dev="files:ud/UD_English-EWT/en_ewt-ud-dev.conllu",
    test={x: f"files:ud/{name}-ud-test.conllu" for x, name in TREEBANKS.items()},
)


def get_config(task: str = "nli") -> config_dict.ConfigDict:
    if task == "nli":
        tuning = Tuning(
            task="nli",
            train="hf:facebook/xnli/{language}:train",
            dev="hf:facebook/xnli/{language}:validation",
            test="hf:facebook/xnli/{language}:test",
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
            train="hf:unimelb-nlp/wikiann/{language}:train",
            dev="hf:unimelb-nlp/wikiann/{language}:validation",
            test="hf:unimelb-nlp/wikiann/{language}:test",
            b2=0.99,
        )
    elif task == "tagging":
        tuning = Tuning(task="tagging", b2=0.99, **TREES)
    elif task == "parsing":
        tuning = Tuning(task="parsing", b2=0.99, **TREES)
    else:
        raise unknown("task", task, TASKS)
    return to_config_dict(tuning)
