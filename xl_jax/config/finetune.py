"""Every option of fine-tuning, once: a task, its data, and the grid of settings (paper section 5).

A file in `configs/` fills them through an `ml_collections.ConfigDict`; `from_dict` turns that into
these types at the border. Fields that hold several values span the grid: every combination is one
setting.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xl_jax.config.convert import to_dict
from xl_jax.config.domains import (
    Section,
    boolean,
    choice,
    integer,
    literal,
    number,
    option,
    rules,
    several,
    text,
)
from xl_jax.errors import InputError

TASKS = ("nli", "ner", "tagging", "parsing")
PROBE = "linear_probe"  # an evaluation with the data of these settings and without training
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


def _is_spec(value: Any) -> bool:
    specs = list(value.items()) if isinstance(value, Mapping) else [("", value)]
    return all(type(x) is str for pair in specs for x in pair)


@dataclass(frozen=True)
class Tuning(Section, where="tune."):
    task: str = option("nli", choice(*TASKS), "what is learnt; --task says the same")
    source: str = option("", text("a language"), "language of training; empty = the run's first")
    targets: tuple[str, ...] = option(
        (),
        several(text("a language")),
        "languages scored beside the source; empty = the run's others",
    )
    train: str = option(
        "", text("a data spec"), "training data; {language} stands for a language's name"
    )
    dev: str = option(
        "",
        text("a data spec"),
        "development data of the source: which epoch and which settings are best",
    )
    test: Any = option(
        "",
        literal("a data spec with {language} in it, or language -> data spec", _is_spec),
        "test data of every language",
    )

    encoders: tuple[str, ...] = option(
        ("trained",),
        several(choice(*ENCODERS), least=1),
        "untrained: the control without pretraining",
    )
    batch: tuple[int, ...] = option((16, 32), several(integer(1), least=1), "rows of a batch")
    lr: tuple[float, ...] = option(
        (2e-5, 3e-5, 5e-5), several(number("(0, inf)"), least=1), "learning rate of the encoder"
    )
    head_lr: tuple[float, ...] = option(
        (),
        several(number("(0, inf)")),
        "learning rate of the head and of new layers; empty = the encoder's",
    )
    seeds: tuple[int, ...] = option((0,), several(integer(0), least=1), "one setting each")
    best: int = option(
        2, integer(1), "the result is the mean of so many settings, the best on dev (paper: 2)"
    )
    parallel: int = option(
        1, integer(1), "settings of equal batch and seed that are trained at once"
    )

    epochs: int = option(10, integer(1), "passes, each followed by a score on dev")
    epoch_size: int = option(0, integer(0), "examples of an epoch; 0 = all (XLM's XNLI: 20,000)")
    schedule: str = option(
        "linear", choice("linear", "constant"), "of the rates: linear to 0 at the end, or constant"
    )
    warmup: float = option(0.1, number("[0, 1)"), "share of the steps in which the rates rise")
    b1: float = option(0.9, number("[0, 1)"), "decay of Adam's mean of gradients")
    b2: float = option(0.999, number("[0, 1)"), "and of its mean of squared gradients")
    eps: float = option(1e-8, number("(0, inf)"), "Adam's epsilon")
    clip: float = option(0.0, number("[0, inf)"), "largest gradient norm; 0 = no clipping")
    freeze: Any = option(
        "private",
        rules(
            "private, none, all, up_to:N, sep_... as of sharing, or ordered (pattern, 'frozen' or "
            "'trained') pairs",
            ("frozen", "trained").__contains__,
            names=r"private|none|all|up_to:\d+|sep_\w+",
        ),
        "what stays as it was pretrained: private (what not all languages share), none, all, "
        "up_to:N (embeddings and N layers), sep_emb_l1 and so on (what that sharing preset makes "
        "private: the same leaves for runs of any mask)",
    )
    dropout: float = option(
        0.1,
        number("[0, 1)"),
        "of the encoder's states and attention weights, and before the classifier",
    )
    layer: int = option(
        -1, integer(-1), "states that go on: of this layer, 0 the embeddings, -1 the last"
    )
    new_layers: int = option(
        0,
        integer(0, 1000),
        "transformer layers above them (paper section 5.1.2: 4, and tune.freeze=all)",
    )

    length: int = option(0, integer(0), "tokens of a row; 0 = as in pretraining")
    long: str = option(
        "window",
        choice("window", "truncate"),
        "all but nli: what becomes of sentences longer than a row",
    )
    spaces: str = option(
        "text", choice("text", "all"), "spaces before words: as in running text, or all"
    )
    repair: str = option("paper", choice("paper", "split"), "NER: how predicted tags become spans")
    subtypes: bool = option(False, boolean(), "parsing: learn relations with their subtypes")
    arc: int = option(512, integer(1, 1_000_000), "parsing: width of the arc scorer")
    relation: int = option(128, integer(1, 1_000_000), "parsing: width of the relation scorer")
    head_dropout: float = option(0.33, number("[0, 1)"), "parsing: dropout rate inside the scorers")
    input_dropout: float = option(0.2, number("[0, 1)"), "parsing: dropout rate before the scorers")

    steps_per_call: int = option(
        100, integer(0), "most steps in one call of the device; 0 = the whole epoch"
    )
    keep: bool = option(
        True,
        boolean(),
        "keep the tuned parameters of finished settings, to score more languages later",
    )

    def agree(self) -> None:
        for name in GRID:
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise InputError(f"tune.{name} = {values!r}: a value repeats itself")
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
    def request(self) -> dict[str, Any]:
        """What a setting's result depends on beside the setting and the encoder, as JSON has it;
        its digest names the setting's folder."""
        left_out = {*GRID, "best", "parallel", "steps_per_call", "keep", "targets", "test"}
        return {name: value for name, value in to_dict(self).items() if name not in left_out}
