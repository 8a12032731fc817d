"""Held-out perplexity of each language, beside what counting one or two tokens would give."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from xl_jax.batches.windows import make_windows
from xl_jax.model.masking import MaskedRows
from xl_jax.pretrain.ngrams import Ngrams
from xl_jax.rng import Purpose, key
from xl_jax.runs.run_directory import Run
from xl_jax.training.step import make_heldout

ROWS = 64  # in a batch


class Heldout:
    """The held-out rows of a run and its compiled loss. Positions and rows never change."""

    def __init__(self, run: Run, most_rows: int = 1024, mesh: Mesh | None = None):
        self.run, self.most_rows = run, most_rows
        self.losses = make_heldout(run.model, mesh)

    def perplexities(self, params: Any) -> dict[str, float]:
        """exp(mean loss of the predicted tokens) by language, every one shown as the mask."""
        return {x: float(np.exp(self._mean(params, x))) for x in self.run.config.languages}

    def _mean(self, params: Any, language: str) -> float:
        total = count = 0.0
        for _, losses, rows in self._scored(params, language):
            total += float(losses.sum())
            count += float(rows.weights.sum())
        return total / count

    def baselines(self, params: Any, language: str) -> dict[str, float]:
        """Perplexities of unigrams and bigrams of the training text at the same positions."""
        c = self.run.config
        windows = make_windows(c.data.windows, self.run.data.train[language], c.data.length)
        blocks = np.array_split(np.arange(len(windows)), -(-len(windows) // 1000))
        pieces = self.run.data.vocabulary.ordinary(language)
        ngrams = Ngrams(map(windows.rows, blocks), pieces)
        sums = {"unigram": 0.0, "bigram": 0.0}
        count = 0
        for tokens, _, rows in self._scored(params, language):
            row, slot = np.nonzero(np.asarray(rows.weights) > 0)
            position = np.asarray(rows.positions)[row, slot]
            target = np.asarray(rows.targets)[row, slot]
            for name, losses in ngrams.losses(tokens[row, position - 1], target).items():
                sums[name] += float(losses.sum())
            count += len(row)
        return {name: float(np.exp(total / count)) for name, total in sums.items()}

    def _scored(
        self, params: Any, language: str
    ) -> Iterator[tuple[np.ndarray, jax.Array, MaskedRows]]:
        """(tokens, losses, masked rows) of each batch of held-out rows, the last one padded.

        The choice of positions does not depend on the run's seed: runs compare on the same tokens.
        """
        c = self.run.config
        windows = make_windows(c.data.windows, self.run.data.heldout[language], c.data.length)
        n = min(len(windows), self.most_rows)
        choice = key(0, Purpose.HELDOUT_MASKING)
        number = jnp.int32(self.run.language(language))
        for first in range(0, n, ROWS):
            tokens = windows.rows(np.arange(first, min(first + ROWS, n)))
            tokens = np.pad(tokens, ((0, ROWS - len(tokens)), (0, 0)))
            batch_choice = jax.random.fold_in(choice, first)
            yield tokens, *self.losses(params, tokens, number, batch_choice)
