"""The main job as a causal decoder: does a twin align where the next token is predicted?

    python train.py --config=configs/decoder.py --workdir=runs/decoder
    python train.py --config=configs/decoder.py:sep_emb --workdir=runs/decoder_sep_emb

English and its twin, model, text and steps of tiny.py; every token predicts the next one and sees
none after it. Expected: decoders align clones of one language (Schaefer et al. 2024). Cost and
result: docs/encoder.md.
"""

import dataclasses

from ml_collections import config_dict

from configs.tiny import get_config as tiny
from xl_jax.config import Masking


def get_config(sharing: str = "all_shared") -> config_dict.ConfigDict:
    config = tiny(sharing)
    config.model.update(causal=True, last_layer="all")  # all positions predict
    config.masking.update(dataclasses.asdict(Masking()))
    return config
