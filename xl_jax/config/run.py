"""Every option of a run, once: frozen dataclasses, checked when they are made.

A file in `configs/` fills them through an `ml_collections.ConfigDict` (so that the command line can
override any field); `from_dict` turns that into these types at the border and nowhere else.
Sizes count tokens or rows; rates and shares are in 0..1; a seed of the run decides every random
choice.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from xl_jax.config.corpus import NO_TEXT, Anchors, Clean, Data, Vocab
from xl_jax.config.domains import (
    Section,
    boolean,
    integer,
    mapping,
    nonempty,
    number,
    option,
    pairs,
    require,
    rules,
    several,
    text,
)
from xl_jax.config.evaluation import EvalOptions
from xl_jax.config.training import Batch, Masking, Mesh, Model, Optim
from xl_jax.errors import unknown

MOST_TOKENS = 2**40  # in a call of the device: more are a mistake on any machine


def _is_sharing(value: Any) -> bool:
    """Whether it may be the value of a sharing rule: a name, or groups of languages."""
    group = nonempty("a name").holds
    return group(value) or (
        type(value) is tuple
        and all(group(x) or (type(x) is tuple and all(map(group, x))) for x in value)
    )


@dataclass(frozen=True)
class Config(Section):
    languages: tuple[str, ...] = option(
        ("en", "fr"), several(nonempty("a name"), least=1), "languages of the run"
    )
    corpora: Mapping[str, str] = field(
        default_factory=dict,
        metadata={
            "domain": mapping("language -> corpus spec, such as {'en': 'files:en/*.txt'}"),
            "help": "text of each language; --config.corpora.en=SPEC sets one",
        },
    )
    sharing: Any = option(
        "all_shared",
        rules(
            "a preset's name or ordered (pattern, value) pairs; a value is 'shared', 'private' or "
            "groups of languages",
            _is_sharing,
            names=r".+",
        ),
        "which languages share which parameters; the first pattern that matches a leaf's path wins",
    )
    private_init: Any = option(
        "different",
        rules(
            "'different', 'equal', or ordered (pattern, value) pairs; a value is one of these or a "
            "number in [0, 1], how different",
            lambda value: value in ("different", "equal") or number("[0, 1]").holds(value),
            names="different|equal",
        ),
        "how different the private variants of a leaf start: 'equal' is 0, 'different' 1",
    )
    freeze: Any = option(
        "none",
        rules(
            "private, none, all, up_to:N, sep_... as of sharing, or ordered (pattern, 'frozen' or "
            "'trained') pairs",
            ("frozen", "trained").__contains__,
            names=r"private|none|all|up_to:\d+|sep_\w+",
        ),
        "parameters that training leaves as they are, without optimiser state; values as of "
        "tune.freeze",
    )
    start: str = option(
        "",
        text("a run directory"),
        "the run whose parameters and vocabulary this one starts from; empty = from random numbers",
    )
    start_rules: Any = option(
        "start",
        rules(
            "'start', 'new', or ordered (pattern, value) pairs; a value is one of these or a "
            "language of the run that is started from",
            nonempty("a name").holds,
            names="start|new",
        ),
        "which parameters start from config.start: 'start', 'new' (random), or a language: as "
        "'start', and languages that are not there start as this one",
    )
    seed: int = option(0, integer(0), "decides every random choice")
    steps: int = option(416_667, integer(1), "training steps")
    steps_per_call: int = option(
        1, integer(1), "steps in one call of the device; logs and saves fall between calls"
    )
    log_every: int = option(100, integer(1), "steps between two lines of metrics.jsonl")
    eval_every: int = option(5000, integer(1), "steps between two held-out perplexities")
    checkpoint_every: int = option(5000, integer(1), "steps between two checkpoints")
    keep: int = option(2, integer(1), "newest checkpoints kept")
    keep_curve: bool = option(
        False,
        boolean(),
        "beside them keep those after 1, 2, 4, ... calls of the device up to checkpoint_every, and "
        "all after that: for measures over training (eval.py --steps=all)",
    )
    skip_nonfinite: bool = option(
        False, boolean(), "leave out updates that are not finite and count them, not stop"
    )
    best: str = option(
        "",
        text("a language"),
        "also keep the step of this language's smallest held-out perplexity, for eval.py",
    )
    vocab: Vocab = Vocab()
    clean: Clean = Clean()
    anchors: Anchors = Anchors()
    data: Data = Data()
    model: Model = Model()
    masking: Masking = Masking()
    batch: Batch = Batch()
    optim: Optim = Optim()
    mesh: Mesh = Mesh()
    probe: EvalOptions = EvalOptions()

    @property
    def curve(self) -> frozenset[int]:
        """Steps that are kept for measures over training: those after 1, 2, 4, ... calls until
        checkpoints are that near, then every checkpoint's; none without `keep_curve`."""
        if not self.keep_curve:
            return frozenset()
        doubled = (self.steps_per_call << i for i in itertools.count())
        first = itertools.takewhile(lambda step: step < self.checkpoint_every, doubled)
        every = range(self.checkpoint_every, self.steps + 1, self.checkpoint_every)
        return frozenset((*first, *every, self.steps))

    def logs(self, step: Any) -> Any:
        """Whether a line of metrics is written after so many steps; also of a traced number."""
        return (step % self.log_every == 0) | (step == self.steps)

    def agree(self) -> None:
        known = self.languages
        require(len(set(known)) == len(known), "languages repeat themselves")
        for language in known:
            if language not in self.corpora:
                raise unknown("language without a corpus", language, self.corpora)
        for language in self.corpora:
            if language not in known:
                raise unknown("language of a corpus", language, known)
        require(
            self.data.length <= self.model.positions,
            f"data.length = {self.data.length} is beyond model.positions = {self.model.positions}",
        )
        for name in ("rate", "last_rate", "mask", "keep", "random") if self.model.causal else ():
            given, default = getattr(self.masking, name), getattr(Masking(), name)
            require(
                given == default,
                f"model.causal = True predicts every next token and masks none: masking.{name} = "
                f"{given} does nothing; leave it at {default}",
            )
        for name in ("log_every", "eval_every", "checkpoint_every", "steps"):
            value = getattr(self, name)
            require(
                value % self.steps_per_call == 0,
                f"{name} = {value} is not a positive multiple of steps_per_call = "
                f"{self.steps_per_call}",
            )
        b = self.batch
        tokens = b.accum * b.slots * b.rows * self.data.length
        require(
            tokens * self.steps_per_call <= MOST_TOKENS,
            f"batch.accum x slots x rows x data.length = {tokens:,} tokens a step, and "
            f"steps_per_call = {self.steps_per_call:,}: beyond {MOST_TOKENS:,} in a call",
        )
        require(
            not self.best or self.corpora.get(self.best) != NO_TEXT,
            f"best = {self.best!r}: this language has no text to judge checkpoints by",
        )
        if self.best and self.best not in known:
            raise unknown("language to judge checkpoints by", self.best, known)
        named = [*pairs("vocab.sizes", self.vocab.sizes)]
        named += [x for p in pairs("", self.anchors.dictionaries) for x in p.split("-", 1)]
        for language in named:
            if language not in known:
                raise unknown("language in vocab.sizes or anchors.dictionaries", language, known)
        for phase in self.batch.schedule:
            require(
                len(phase[1]) == len(known),
                f"batch.schedule: {phase!r} is not (end, shares of {len(known)} languages)",
            )
