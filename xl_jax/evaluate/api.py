"""A trained run for use from Python: vectors of text, and what was measured.

run = xl_jax.load("runs/tiny")
x = run.encoder("en").embed(["A dog sleeps.", "It rains."], layer=2)  # float32 [2, D]
rows = run.records()  # pandas.DataFrame(rows) makes a table of them
xl_jax.plot_layers(rows, "layers.png")
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from xl_jax import mirror
from xl_jax.analysis import record
from xl_jax.errors import InputError
from xl_jax.evaluate.encoders import Encoders
from xl_jax.runs import run_directory
from xl_jax.tokens.shards import of_lines


class Encoder:
    """One language's encoder."""

    def __init__(self, encoders: Encoders, language: str, weights: str):
        self.language, self.weights = language, weights
        self._encoders = encoders

    @property
    def layers(self) -> int:
        """The number of the last layer; 0 is the embeddings."""
        return self._encoders.last_layer

    def embed(self, lines: Sequence[str], layer: int | None = None) -> Float[np.ndarray, "n D"]:
        """The mean state of each line's tokens, as sentence retrieval compares them (paper 5.1.3).

        Args:
          lines: text; what is beyond the model's positions is cut off.
          layer: from 0, the embeddings, to `layers`, the default.

        Returns:
          float32.

        Raises:
          InputError: no such layer; a string in place of a list of them.
        """
        if isinstance(lines, str):
            raise InputError("embed takes a list of lines, not one string")
        layer = self.layers if layer is None else layer
        if not 0 <= layer <= self.layers:
            raise InputError(f"layer {layer}: the encoder has layers 0 to {self.layers}")
        if not lines:
            return np.zeros((0, self._encoders.run.config.model.width), np.float32)
        encode = self._encoders.run.data.vocabulary.encoder(self.language)
        shard = of_lines(encode(list(lines)))
        return self._encoders.sentences(self.weights, self.language, shard, [layer])[0]


class TrainedRun:
    """An opened run directory with a checkpoint.

    Raises:
      InputError: there is no run, or nothing of it is trained yet.
    """

    def __init__(self, folder: str | Path, log: Callable[[str], None] = print):
        self.run = run_directory.load(mirror.here(folder).absolute(), log)
        self._encoders = Encoders(self.run)

    @property
    def languages(self) -> tuple[str, ...]:
        return tuple(self.run.config.languages)

    @property
    def step(self) -> int:
        """The step of the checkpoint that is read: the newest whole one, or the best."""
        return self._encoders.step

    def encoder(self, language: str, weights: str = "trained") -> Encoder:
        """The encoder of a language. `weights`: trained, or untrained (as the run started).

        Raises:
          InputError: a language or weights that the run does not have.
        """
        self.run.language(language)
        self._encoders.check_weights(weights)
        return Encoder(self._encoders, language, weights)

    def records(self) -> list[dict[str, Any]]:
        """Everything measured so far, of eval/*.json: a flat dictionary a value (see
        `xl_jax.analysis.record.Record` for the fields), with the `task` that measured it.

        Raises:
          InputError: a file is damaged.
        """
        files = map(record.read, sorted((self.run.folder / "eval").glob("*.json")))
        return [{"task": file.task, **r.to_json()} for file in files for r in file.records]


def load(folder: str | Path, log: Callable[[str], None] = print) -> TrainedRun:
    """A run directory that train.py made, from any working directory; see `TrainedRun`."""
    return TrainedRun(folder, log)
