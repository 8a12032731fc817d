"""The small run that is tortured: generated text, two languages, a checkpoint every few steps."""

from ml_collections import config_dict

from xl_jax.config import Batch, Config, Data, EvalOptions, Model, Optim, Vocab, to_config_dict


def get_config() -> config_dict.ConfigDict:
    return to_config_dict(
        Config(
            languages=("a", "b"),
            corpora={
                "a": "synthetic:a",
                "b": "synthetic:b#sentences=400,words=100,topics=4,anchors=0.2",
            },
            sharing="sep_emb",
            steps=64,
            steps_per_call=2,
            log_every=8,
            eval_every=32,
            checkpoint_every=8,
            best="b",
            vocab=Vocab(mode="joint", size=120),
            data=Data(windows="line", length=16, heldout=0.1),
            model=Model(layers=1, heads=2, width=16, ffn=32, positions=16),
            batch=Batch(slots=2, rows=4),
            optim=Optim(lr=1e-2, schedule="cosine", warmup=10),
            probe=EvalOptions(sentences=30, words=30),
        )
    )
