"""Two real languages on one accelerator, a Colab GPU or one TPU core.

    python train.py --config=configs/small.py:en,fr --workdir=runs/small

8 layers of width 256, rows of 128 tokens, 16,384 tokens a step, 60,000 steps: a billion tokens.
float32, because Colab's T4 has no bfloat16; newer cards and TPUs: --config.model.dtype=bfloat16 .
Not yet run on either.
"""

from ml_collections import config_dict

from xl_jax.config import Batch, Config, Data, Masking, Model, Optim, Vocab, to_config_dict


def get_config(languages: str = "en,fr") -> config_dict.ConfigDict:
    names = tuple(languages.split(","))
    return to_config_dict(
        Config(
            languages=names,
            corpora={name: f"hf:google/wiki40b/{name}" for name in names},
            steps=60_000,
            steps_per_call=10,
            log_every=100,
            eval_every=2000,
            checkpoint_every=2000,
            best=names[0],
            vocab=Vocab(mode="joint", size=8000),
            data=Data(windows="stream", length=128, heldout=0.001),
            model=Model(
                layers=8,
                heads=4,
                width=256,
                ffn=1024,
                positions=128,
                dropout=0.1,
                attention_dropout=0.1,
                last_layer="predicted",
            ),
            masking=Masking(pool="own"),
            batch=Batch(slots=4, rows=32),
            optim=Optim(lr=5e-4, schedule="inverse_sqrt", warmup=4000),
        )
    )
