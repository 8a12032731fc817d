"""The configuration of the run stored beside this file."""

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


def get_config() -> config_dict.ConfigDict:
    return to_config_dict(
        Config(
            languages=("a", "b"),
            corpora={
                "a": "synthetic:a",
                "b": "synthetic:b#sentences=400,words=100,topics=4,anchors=0.2",
            },
            sharing="sep_l1",
            steps=8,
            steps_per_call=2,
            log_every=4,
            eval_every=4,
            checkpoint_every=4,
            vocab=Vocab(mode="joint", size=120),
            data=Data(windows="line", length=16, heldout=0.1),
            model=Model(
                layers=2,
                heads=2,
                width=16,
                ffn=32,
                positions=16,
                dropout=0.1,
                attention_dropout=0.1,
            ),
            masking=Masking(),
            batch=Batch(slots=2, rows=4),
            optim=Optim(lr=1e-2, schedule="cosine", warmup=2),
            probe=EvalOptions(sentences=30, words=30),
        )
    )
