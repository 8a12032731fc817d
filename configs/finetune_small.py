"""Zero-shot transfer of a small encoder, a quarter of an hour a task on one CPU core.

    python eval.py --workdir=runs/en-fr --task=ner --tune=configs/finetune_small.py:ner \\
      --data.train='files:ner/{language}.train.bio' --data.dev='files:ner/{language}.dev.bio' \\
      --data.test='files:ner/{language}.test.bio'

One setting, three seeds, beside them the same encoder without pretraining: what pretraining brings
in the source language, and what of it arrives in the others. Encoders of configs/bilingual_cpu.py
are trained at 20 times the paper's learning rate, and tuned at 20 to 50 times. Figures:
docs/transfer.md.
"""

from typing import Any

from ml_collections import config_dict

from xl_jax.config import TASKS, Tuning, to_config_dict
from xl_jax.errors import unknown

PACK = "files:.data/pack_shared"
TREEBANKS = {"en": "en_ewt", "fr": "fr_gsd", "ru": "ru_gsd", "zh": "zh_gsd20simp"}


def get_config(task: str = "nli") -> config_dict.ConfigDict:
    trees: dict[str, Any] = dict(
        train=f"{PACK}/ud/en_ewt-ud-train.conllu",
        dev=f"{PACK}/ud/en_ewt-ud-dev.conllu",
        test={x: f"{PACK}/ud/{name}-ud-test.conllu" for x, name in TREEBANKS.items()},
    )
    data: dict[str, dict[str, Any]] = {
        "nli": dict(  # XNLI's test set is all the English training text at hand
            train=f"{PACK}/nli/xnli.en.test.tsv",
            dev=f"{PACK}/nli/xnli.en.dev.tsv#take=500",
            test={
                "en": f"{PACK}/nli/xnli.en.dev.tsv#skip=500",
                "fr": f"{PACK}/nli/rte3.fr.*.tsv",
                "zh": f"{PACK}/nli/xnli.zh.dev.tsv",
            },
        ),
        "ner": dict(
            train=f"{PACK}/ner/wikineural.{{language}}.train.bio",
            dev=f"{PACK}/ner/wikineural.{{language}}.dev.bio",
            test=f"{PACK}/ner/wikineural.{{language}}.test.bio",
        ),
        "tagging": trees,
        "parsing": trees,
    }
    if task not in data:
        raise unknown("task", task, TASKS)
    return to_config_dict(
        Tuning(
            task=task,
            encoders=("trained", "untrained"),
            batch=(16,),
            lr=(1e-3,),
            seeds=(0, 1, 2),
            best=1,
            epochs=3,
            clip=1.0,
            dropout=0.0,  # as in their pretraining
            arc=128,
            relation=64,
            **data[task],
        )
    )
