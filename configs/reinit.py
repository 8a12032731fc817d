"""Layers of a finished model made random again, before it is fine-tuned (Muller et al. 2021): which
layers does transfer need as they were pretrained?

    python train.py
    python train.py --config=configs/reinit.py:1 --workdir=runs/reinit_1

The second run trains nothing: it holds the layers as they are made. What it transfers is measured
as of any run (docs/transfer.md).

The argument names the layers, `1` or `2_3`. All else (languages, text, size) has to be as in the
run that is started from: runs/tiny here; another one by --config.start, with --config.FIELD for
what differs from configs/tiny.py. Cost: seconds.
"""

import re

from ml_collections import config_dict

from configs.tiny import get_config as tiny
from xl_jax.errors import InputError


def get_config(layers: str = "1") -> config_dict.ConfigDict:
    if not re.fullmatch(r"[1-9]\d*(_[1-9]\d*)*", layers):
        raise InputError(f"argument of configs/reinit.py {layers!r}: layers, as 1 or 2_3")
    config = tiny()
    config.start = "runs/tiny"
    config.start_rules = (
        *((f"layer_{n}/.*", "new") for n in layers.split("_")),
        (".*", "start"),
    )
    config.freeze = "all"
    return config
