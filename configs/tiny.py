"""The main job: English and its twin, no token and no sentence in common, no download.

    python train.py                          (--config=configs/tiny.py:sep_emb for another mask)

Cost and expected figures: README. What makes the effect come in minutes at this size: token
embeddings that start near zero, a body with enough gain to use positions, short rows, and an output
softmax over the row's own language. None of these is XLM's choice.
"""

from ml_collections import config_dict

from xl_jax.config import (
    Batch,
    Config,
    Data,
    EvalOptions,
    Masking,
    Model,
    Optim,
    Vocab,
    to_config_dict,
)


def get_config(sharing: str = "all_shared") -> config_dict.ConfigDict:
    return to_config_dict(
        Config(
            languages=("en", "twin"),
            corpora={"en": "docstrings:", "twin": "twin:en"},
            sharing=sharing or "all_shared",
            steps=4000,
            steps_per_call=20,
            log_every=100,
            eval_every=1000,
            checkpoint_every=1000,
            vocab=Vocab(mode="disjoint", size=500),
            data=Data(windows="line", length=32, heldout=0.04),
            model=Model(
                layers=3,
                heads=1,
                width=32,
                ffn=128,
                positions=32,
                norm="pre",
                dropout=0.0,
                attention_dropout=0.0,
                init_token=0.001,
                init_position=0.1,
                init_body=0.15,
                softmax="own",
                last_layer="predicted",
            ),
            masking=Masking(pool="own"),
            batch=Batch(slots=2, rows=32, draw="systematic"),
            optim=Optim(lr=2e-3, schedule="constant", warmup=200),
            probe=EvalOptions(sentences=1000, length=16, words=1000),
        )
    )
