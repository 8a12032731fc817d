"""Two real languages from text files, half an hour on one CPU core.

    python train.py --config=configs/bilingual_cpu.py:en,fr --workdir=runs/en-fr \\
      --config.corpora.en='files:text/en/*.txt' --config.corpora.fr='files:text/fr/*.txt'

What decides at this size is the length of a row: held-out perplexity of English after 1,000 steps
was 891 with 24 rows of 64 tokens a slot and 213 with 48 rows of 24 (unigrams: 1,059).
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
            ),
            masking=Masking(rate=0.3, pool="own"),
            batch=Batch(slots=2, rows=48, draw="systematic"),
            optim=Optim(lr=2e-3, schedule="cosine", warmup=200),
            probe=EvalOptions(),
        )
    )
