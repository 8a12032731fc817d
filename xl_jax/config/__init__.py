"""Every setting of a run and of fine-tuning, checked once.

`run` and `finetune` hold the settings, `convert` takes them to and from ConfigDicts and JSON.
"""

from xl_jax.config.convert import difference, from_dict, to_config_dict, to_dict
from xl_jax.config.run import (
    Anchors,
    Batch,
    Clean,
    Config,
    Data,
    EvalOptions,
    Masking,
    Mesh,
    Model,
    Optim,
    Vocab,
    pairs,
)

__all__ = [
    "Anchors",
    "Batch",
    "Clean",
    "Config",
    "Data",
    "Masking",
    "Mesh",
    "Model",
    "Optim",
    "EvalOptions",
    "Vocab",
    "difference",
    "from_dict",
    "pairs",
    "to_config_dict",
    "to_dict",
]
