"""Every knob of fine-tuning, once: a task, its data, and the grid of settings (paper section 5).

A file in `configs/` fills them through an `ml_collections.ConfigDict`; `from_dict` turns that into
these types at the border. Fields that hold several values span the grid: every combination is one
setting.
"""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ml_collections import config_dict

from xl_jax.errors import InputError, unknown

TASKS = ("nli", "ner", "parsing")
ENCODERS = ("trained", "untrained")
GRID = ("encoders", "batch", "lr", "head_lr", "seeds")  # the fields that span the grid


@dataclass(frozen=True)
class Setting:
    """One point of the grid."""

    encoder: str
    batch: int
    lr: float
    head_lr: float
    seed: int

    @property
    def name(self) -> str:
        rates = f"lr{self.lr:g}"
        if self.head_lr != self.lr:
            rates += f"-head{self.head_lr:g}"
        return f"{self.encoder}-batch{self.batch}-{rates}-seed{self.seed}"


@dataclass(frozen=True)
class Tuning:
    task: str = "nli"
    source: str = ""  # language of training; "" = the run's first
    targets: tuple[str, ...] = ()  # scored beside the source; () = the run's other languages
    train: str = ""  # data specs (see `tasks.specs`); {language} stands for a language's name
    dev: str = ""  # of the source: which epoch and which settings are best
    test: Any = ""  # one spec with {language}, or language -> spec

    encoders: tuple[str, ...] = ("trained",)  # untrained: the control without pretraining
    batch: tuple[int, ...] = (16, 32)
    lr: tuple[float, ...] = (2e-5, 3e-5, 5e-5)  # of the encoder
    head_lr: tuple[float, ...] = ()  # of the head and new layers; () = the encoder's
    seeds: tuple[int, ...] = (0,)
    best: int = 2  # the result is the mean of so many settings, the best on dev (paper)
    parallel: int = 1  # settings of equal batch and seed that are trained at once

    epochs: int = 10
    epoch_size: int = 0  # examples in an epoch; 0 = all (XLM's XNLI: 20,000)
    schedule: str = "linear"  # to 0 at the end, or constant
    warmup: float = 0.1  # share of the steps in which the rates rise
    b1: float = 0.9
    b2: float = 0.999
    eps: float = 1e-8
    clip: float = 0.0  # largest gradient norm; 0 = no clipping
    freeze: Any = "private"  # see `sharing.trainable`: private, none, up_to:n, all, or rules
    dropout: float = 0.1  # of the encoder's states and attention weights, and before the classifier
    layer: int = -1  # states that go on: of this layer, 0 the embeddings, -1 the last
    new_layers: int = 0  # transformer layers above them (paper section 5.1.2: 4, and freeze all)

    length: int = 0  # tokens of a row; 0 = as in pretraining
    long: str = "window"  # tagging and parsing: sentences longer than a row; or truncate
    spaces: str = "text"  # before words: as in running text, or all
    repair: str = "paper"  # NER, see `tasks.ner.repair`: paper or split
    subtypes: bool = False  # parsing: learn relations with their subtypes
    arc: int = 512  # parsing: width of the arc scorer
    relation: int = 128  # and of the relation scorer
    head_dropout: float = 0.33  # inside them
    input_dropout: float = 0.2  # before them

    steps_per_call: int = 100  # most steps in one call of the device; 0 = the whole epoch
    keep: bool = True  # the tuned parameters of finished settings, to score more languages later

    def __post_init__(self) -> None:
        for name, known in {
            "task": TASKS,
            "schedule": ("linear", "constant"),
            "long": ("window", "truncate"),
            "spaces": ("text", "all"),
            "repair": ("paper", "split"),
        }.items():
            if getattr(self, name) not in known:
                raise unknown(f"tune.{name}", getattr(self, name), known)
        for encoder in self.encoders:
            if encoder not in ENCODERS:
                raise unknown("encoder in tune.encoders", encoder, ENCODERS)
        for name in ("epochs", "best", "parallel", "arc", "relation", "batch", "lr", "head_lr"):
            for value in _several(getattr(self, name)):
                if value <= 0:
                    raise InputError(f"tune.{name} is {value}, not positive")
        for name in ("encoders", "batch", "lr", "seeds"):
            if not getattr(self, name):
                raise InputError(f"tune.{name} is empty")
        for name in ("epoch_size", "clip", "new_layers", "steps_per_call", "length"):
            if getattr(self, name) < 0:
                raise InputError(f"tune.{name} is {getattr(self, name)}, negative")
        for name in ("warmup", "dropout", "head_dropout", "input_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"tune.{name} is {getattr(self, name)}, not within [0, 1)")
        if 0 < self.length < 8:
            raise InputError(f"tune.length is {self.length}, at least 8 is needed")

    @property
    def settings(self) -> list[Setting]:
        """The grid, seed by seed, so that an early look has all settings."""
        points = itertools.product(
            self.encoders, self.seeds, self.batch, self.lr, self.head_lr or (None,)
        )
        return [Setting(e, b, lr, head or lr, seed) for e, seed, b, lr, head in points]

    @property
    def question(self) -> dict[str, Any]:
        """What a setting's result depends on beside the setting and the encoder, as JSON has it."""
        left_out = {*GRID, "best", "parallel", "steps_per_call", "keep", "targets", "test"}
        fields = dataclasses.asdict(self)
        return {name: _plain(value) for name, value in fields.items() if name not in left_out}


def to_config_dict(tuning: Tuning) -> config_dict.ConfigDict:
    """The same fields as a locked `ConfigDict`, for the files in `configs/` and for flags."""
    result = config_dict.ConfigDict()
    for f in dataclasses.fields(tuning):
        value = getattr(tuning, f.name)
        if f.name in ("freeze", "test"):  # a name or a literal
            result[f.name] = config_dict.placeholder(object)
        result[f.name] = value
    return result.lock()


def from_dict(values: Mapping[str, Any] | config_dict.ConfigDict) -> Tuning:
    """The checked tuning of a ConfigDict or of JSON.

    Raises:
      InputError: an unknown field (with near names) or a value out of its range.
    """
    known = [f.name for f in dataclasses.fields(Tuning)]
    plain = values.to_dict() if isinstance(values, config_dict.ConfigDict) else values
    for name in plain:
        if name not in known:
            raise unknown("field of tune", name, known)
    return Tuning(**{name: _tuples(value) for name, value in plain.items()})


def _several(value: Any) -> Sequence[Any]:
    return value if isinstance(value, tuple) else (value,)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, tuple | list) else value


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, tuple | list) else value
