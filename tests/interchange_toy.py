"""Small runs with random parameters for the tests of import and export."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import text_toy

from xl_jax.config import Batch, Config, Data, Model, Vocab
from xl_jax.runs.run_directory import Run, start
from xl_jax.training.step import init_state

MODEL = Model(layers=2, heads=2, width=16, ffn=64, positions=24, dropout=0.0, attention_dropout=0.0)
LATIN = "la mi so re do fa ti ka lo pe nu ga ri".split()
OTHERS = "la mi ба ба ве го да 山 川 木 火 水 日 ñu été".split()


def corpora(folder: Path) -> dict[str, str]:
    """Specs of two languages with some words in common."""
    return {
        "en": text_toy.write_text(folder / "en.txt", 300, 1, LATIN),
        "fr": text_toy.write_text(folder / "fr.txt", 300, 2, OTHERS),
    }


def config(
    specs: Mapping[str, str], vocab: Vocab, sharing: str = "sep_emb", model: Model = MODEL
) -> Config:
    return Config(
        languages=tuple(specs),
        corpora=dict(specs),
        sharing=sharing,
        vocab=vocab,
        data=Data(windows="line", length=16, heldout=0.1),
        model=model,
        batch=Batch(slots=2, rows=2),
        steps=8,
        eval_every=8,
        checkpoint_every=8,
        log_every=8,
    )


def run(folder: Path, made: Config, seed: int = 0) -> Run:
    """A run directory with random parameters, biases and scales included, saved as step 0."""
    opened = start(made, folder, lambda _: None)
    state = init_state(opened.model)
    leaves, structure = jax.tree.flatten(state.params)
    random = np.random.default_rng(seed)
    drawn = [0.3 * random.standard_normal(x.shape, np.float32) + (x == 1) for x in leaves]
    state = state._replace(params=structure.unflatten(map(jnp.asarray, drawn)))
    checkpoints = opened.checkpoints(lambda _: None, read_only=False)
    checkpoints.save(0, state)
    checkpoints.close()
    return opened


def padded(lines: Sequence[np.ndarray], first: int, last: int, pad: int = 0) -> np.ndarray:
    """Framed lines as rows of one length, padded at the end."""
    framed = [np.concatenate([[first], line, [last]]) for line in lines]
    rows = np.full((len(framed), max(map(len, framed))), pad, np.int32)
    for row, line in zip(rows, framed, strict=True):
        row[: len(line)] = line
    return rows


def states(made: Run, language: str, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(states of every layer, MLM logits at every position) of a language's view."""
    _, params = made.trained()
    number = made.language(language)
    view = made.model.view(params, number)
    allowed = jnp.asarray(made.model.allowed)[number]
    every = jnp.broadcast_to(jnp.arange(tokens.shape[1]), tokens.shape)
    real = jnp.asarray(tokens != 0)
    module = made.model.module

    @jax.jit
    def both(view: Any, tokens: Any) -> Any:
        logits = module.apply({"params": view}, tokens, real, every, allowed)
        return module.apply({"params": view}, tokens, real, method="states"), logits

    found, logits = both(view, jnp.asarray(tokens))
    return np.asarray(found), np.asarray(logits)


def pre_norm(model: Model = MODEL) -> Model:
    return dataclasses.replace(model, norm="pre", ffn=40)
