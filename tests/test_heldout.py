"""Held-out perplexity against a computation in NumPy, in float64."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toy
from scipy.special import logsumexp
from test_encoder import numpy_states

from xl_jax.config import Masking
from xl_jax.model.masking import mask_rows
from xl_jax.pretrain.heldout import Heldout
from xl_jax.rng import Purpose, key
from xl_jax.runs.run_directory import Run
from xl_jax.tokens.shards import of_lines
from xl_jax.tokens.special import BOS, EOS, MASK, N_SPECIAL, PAD
from xl_jax.training.step import init_state

pytestmark = pytest.mark.slow


def test_perplexity_is_that_of_numpy() -> None:
    c = toy.config("sep_emb")
    model = toy.model(c)
    random = np.random.default_rng(0)
    lines = {  # some too long for a row, some short
        x: [random.integers(N_SPECIAL, toy.VOCAB, n).astype(np.int32) for n in (10, 3, 25, 1)]
        for x in c.languages
    }
    data = SimpleNamespace(heldout={x: of_lines(lines[x]) for x in lines})
    run = object.__new__(Run)  # of which no file is needed
    vars(run).update(folder=Path("."), config=c, model=model, data=data)
    start = jax.device_get(init_state(model).params)
    params = jax.tree.map(
        lambda x: jnp.asarray(x + 0.1 * random.standard_normal(x.shape), jnp.float32), start
    )
    found = Heldout(run).perplexities(params)
    assert Heldout(run).sums(params, "en")[:, 1].tolist() == [2, 1, 2, 1]
    assert Heldout(run, 2).sums(params, "en")[:, 1].tolist() == [2, 2]  # rows from everywhere

    for language, name in enumerate(c.languages):
        rows = np.full((4, toy.LENGTH), PAD, np.int32)
        for row, line in zip(rows, lines[name], strict=True):
            cut = line[: toy.LENGTH - 2]
            row[: len(cut) + 2] = [BOS, *cut, EOS]
        hidden, positions, targets, weights = masked(rows, language, model)
        view = jax.tree.map(np.asarray, model.view(params, language))
        top = numpy_states(view, hidden, hidden != PAD, "post")[-1]
        table = np.asarray(view["embed"]["token"], np.float64)
        logits = top[np.arange(4)[:, None], positions] @ table.T + view["mlm"]["bias"]
        chosen = np.take_along_axis(logits, targets[..., None], -1)[..., 0]
        losses = logsumexp(logits, axis=-1) - chosen
        expected = np.exp((losses * weights).sum() / weights.sum())
        assert found[name] == pytest.approx(expected, rel=1e-4)


def masked(rows: np.ndarray, language: int, model: Any) -> list[np.ndarray]:
    """(rows with masks, positions, targets, weights): 15 % of the tokens of a row, at least one."""
    padded = np.pad(rows, ((0, 60), (0, 0)))  # a batch has 64 rows
    draw = jax.random.fold_in(key(0, Purpose.HELDOUT_MASKING), 0)
    all_masks = Masking(rate=0.15, mask=1.0, keep=0.0, random=0.0)
    found = [
        np.asarray(x)[:4]
        for x in mask_rows(jnp.asarray(padded), jnp.int32(language), draw, all_masks, model.pools)
    ]
    hidden, positions, targets, weights = found
    assert weights.sum(1).tolist() == [2, 1, 2, 1]
    for row, shown, at, target, weight in zip(rows, *found, strict=True):
        chosen = at[weight > 0]
        assert (shown[chosen] == MASK).all() and (row[chosen] == target[weight > 0]).all()
        assert (shown == MASK).sum() == len(chosen)
    return [hidden, positions, targets, weights]
