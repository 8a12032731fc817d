"""A model small enough to train in a test, without text: random tokens, two or three languages."""

import dataclasses
import functools
from typing import Any

import numpy as np

from xl_jax.batches.sampler import Step
from xl_jax.config import Batch, Config, Data, Masking, Model, Optim
from xl_jax.model.shared_model import SharedModel
from xl_jax.tokens.special import BOS, EOS, N_SPECIAL
from xl_jax.training.step import make_step

VOCAB = 32
LENGTH = 12


def config(
    sharing: Any = "all_shared", languages: tuple[str, ...] = ("en", "fr"), **more: Any
) -> Config:
    """A configuration of one layer; `more` replaces whole sections or fields."""
    made = Config(
        languages=languages,
        corpora=dict.fromkeys(languages, "docstrings:"),
        sharing=sharing,
        steps=8,
        log_every=1,
        eval_every=8,
        checkpoint_every=8,
        data=Data(windows="line", length=LENGTH),
        model=Model(
            layers=1,
            heads=2,
            width=16,
            ffn=32,
            positions=LENGTH,
            dropout=0.0,
            attention_dropout=0.0,
        ),
        masking=Masking(rate=0.3),
        batch=Batch(slots=2, rows=4),
        optim=Optim(lr=1e-2, schedule="constant", warmup=2, eps=1e-3),
    )
    return dataclasses.replace(made, **more)


_MODELS: dict[str, SharedModel] = {}


def model(c: Config) -> SharedModel:
    """Every language uses every piece but the special ones. Equal configurations have one model,
    and so one compiled `init_state`."""
    if repr(c) not in _MODELS:
        _MODELS[repr(c)] = SharedModel.abstract(c, VOCAB)
    return _MODELS[repr(c)]


compiled_step = functools.cache(make_step)


def steps(c: Config, n: int, languages: list[list[int]] | None = None, seed: int = 0) -> Step:
    """n steps of random rows; `languages` gives each slot's language, [accum * slots]."""
    random = np.random.default_rng(seed)
    shape = (n, c.batch.accum, c.batch.slots)
    tokens = random.integers(N_SPECIAL, VOCAB, (*shape, c.batch.rows, LENGTH), dtype=np.int32)
    tokens[..., 0], tokens[..., -1] = BOS, EOS
    chosen = np.asarray(languages or [[0, 1] * (shape[1] * shape[2] // 2)])
    return Step(tokens, np.broadcast_to(chosen.reshape(-1, *shape[1:]), shape).astype(np.int32))
