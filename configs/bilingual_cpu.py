"""Two real languages from text files: 20 minutes of a CPU core, half an hour with measuring.

    python train.py --config=configs/bilingual_cpu.py:en,fr --workdir=runs/en-fr \\
      --config.corpora.en='files:text/en/*.txt' --config.corpora.fr='files:text/fr/*.txt'

Rows are short because that decides at this size: in a trial that was not kept, 48 rows of 24 tokens
learnt several times as fast as 24 rows of 64.
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


def get_config(languages: str = "en,fr") -> config_dict.ConfigDict:
    names = tuple(languages.split(","))
    return to_config_dict(
        Config(
            languages=names,
            corpora={name: f"files:.data/pack_shared/text/{name}/*.train.txt" for name in names},
            steps=5000,
            steps_per_call=10,
            log_every=100,
            eval_every=1000,
            checkpoint_every=1000,
            vocab=Vocab(mode="joint", size=8000),
            data=Data(windows="stream", length=24, heldout=0.01),
            model=Model(
                layers=4,
                heads=4,
                width=128,
                ffn=512,
                positions=24,
                norm="post",
                dropout=0.0,
                attention_dropout=0.0,
                init_token=0.05,
                init_position=0.05,
                init_body=0.08,
                softmax="all",
                last_layer="predicted",
            ),
            masking=Masking(rate=0.3, pool="own"),
            batch=Batch(slots=2, rows=48, draw="systematic"),
            optim=Optim(lr=2e-3, schedule="cosine", warmup=200),
            probe=EvalOptions(),
        )
    )
