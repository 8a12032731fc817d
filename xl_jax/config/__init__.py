"""Every option of a run and of fine-tuning, checked once.

`run` (of `corpus`, `training`, `evaluation`) and `finetune` hold the options, `domains` says what
values they take, `convert` takes them to and from ConfigDicts and JSON, `listing` prints them;
`python_file` reads the files of `configs/`.
"""

from xl_jax.config.convert import difference, from_dict, to_config_dict, to_dict
from xl_jax.config.corpus import NO_TEXT, Anchors, Clean, Data, Vocab
from xl_jax.config.domains import Section, options, pairs
from xl_jax.config.evaluation import EvalOptions
from xl_jax.config.finetune import ENCODERS, PROBE, TASKS, Setting, Tuning
from xl_jax.config.run import Config
from xl_jax.config.training import Batch, Masking, Mesh, Model, Optim

__all__ = [
    "ENCODERS",
    "NO_TEXT",
    "PROBE",
    "TASKS",
    "Anchors",
    "Batch",
    "Clean",
    "Config",
    "Data",
    "EvalOptions",
    "Masking",
    "Mesh",
    "Model",
    "Optim",
    "Section",
    "Setting",
    "Tuning",
    "Vocab",
    "difference",
    "from_dict",
    "options",
    "pairs",
    "to_config_dict",
    "to_dict",
]
