"""Held-out perplexity of each language, beside what counting one or two tokens would give."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Float

from xl_jax.batches.windows import make_windows
from xl_jax.devices.multihost import is_first
from xl_jax.model.predictions import Predictions
from xl_jax.pretrain.ngrams import Ngrams
from xl_jax.progress import counted
from xl_jax.rng import Purpose, key
from xl_jax.runs.run_directory import Run
from xl_jax.training.step import make_heldout

ROWS = 64  # in a batch
WHILE_TRAINING, AFTERWARDS = 1024, 8192  # rows of a language


class Heldout:
    """Up to `most_rows` held-out rows of each language, from everywhere in its text, and the
    compiled loss. Rows and predicted positions never change."""

    def __init__(self, run: Run, most_rows: int = WHILE_TRAINING, mesh: Mesh | None = None):
        self.run, self.most_rows = run, most_rows
        self.losses: Any = make_heldout(run.model, mesh)

    def compile(self, params: Any) -> None:
        """Before training, so that no signal has to wait for it. `params`: shapes are enough."""
        tokens = jax.ShapeDtypeStruct((ROWS, self.run.config.data.length), jnp.int32)
        example = (params, tokens, jnp.int32(0), key(0, Purpose.HELDOUT_MASKING))
        self.losses = self.losses.lower(*example).compile()

    @property
    def languages(self) -> list[str]:
        """Those that have text."""
        return [x for x in self.run.config.languages if len(self.run.data.heldout[x])]

    def perplexities(self, params: Any) -> dict[str, float]:
        """Perplexity of each language that has text, see `perplexity`."""
        return {x: perplexity(self.sums(params, x)) for x in self.languages}

    def sums(self, params: Any, language: str) -> Float[np.ndarray, "rows 2"]:
        """(sum of cross-entropies in nats, number of predicted tokens) of every row. The model
        sees the mask symbol in place of each token that it has to predict; a causal one sees what
        is before it."""
        found = []
        for _, losses, rows in self.scored(params, language):
            found.append(np.stack([losses.sum(1), rows.weights.sum(1)], axis=1))
        sums = np.concatenate(found).astype(np.float64)
        return sums[sums[:, 1] > 0]  # the last batch is padded

    def baselines(self, params: Any, language: str) -> dict[str, float]:
        """Perplexities of unigrams and bigrams of the training text at the same positions."""
        c = self.run.config
        windows = make_windows(c.data.windows, self.run.data.train[language], c.data.length)
        blocks = np.array_split(np.arange(len(windows)), -(-len(windows) // 1000))
        pieces = self.run.data.vocabulary.ordinary(language)
        ngrams = Ngrams(map(windows.rows, blocks), pieces)
        sums = {"unigram": 0.0, "bigram": 0.0}
        back = 0 if c.model.causal else 1  # from the position that predicts to the token before
        count = 0
        for tokens, _, rows in self.scored(params, language):
            row, slot = np.nonzero(np.asarray(rows.weights) > 0)
            position = np.asarray(rows.positions)[row, slot]
            target = np.asarray(rows.targets)[row, slot]
            for name, losses in ngrams.losses(tokens[row, position - back], target).items():
                sums[name] += float(losses.sum())
            count += len(row)
        return {name: float(np.exp(total / count)) for name, total in sums.items()}

    def scored(
        self, params: Any, language: str
    ) -> Iterator[tuple[np.ndarray, jax.Array, Predictions]]:
        """(tokens, losses, predictions) of each batch of held-out rows, the last one padded.

        The choice of positions does not depend on the run's seed: runs compare on the same tokens.
        """
        c = self.run.config
        windows = make_windows(c.data.windows, self.run.data.heldout[language], c.data.length)
        n = min(len(windows), self.most_rows)
        spread = np.arange(n) * len(windows) // n
        choice = key(0, Purpose.HELDOUT_MASKING)
        number = jnp.int32(self.run.language(language))
        firsts = range(0, n, ROWS)
        for first in counted(firsts, f"loss of held-out {language}", silent=not is_first()):
            tokens = windows.rows(spread[first : first + ROWS])
            tokens = np.pad(tokens, ((0, ROWS - len(tokens)), (0, 0)))
            batch_choice = jax.random.fold_in(choice, first)
            yield tokens, *self.losses(params, tokens, number, batch_choice)


def perplexity(sums: Float[np.ndarray, "rows 2"]) -> float:
    """exp of the mean cross-entropy over all predicted tokens, of the sums by row."""
    loss, tokens = sums.sum(0)
    return float(np.exp(loss / tokens))
