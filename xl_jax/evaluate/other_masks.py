"""What another mask costs: a run goes on under it from one of its checkpoints, over the same
batches, and its held-out loss is compared with that under the run's own mask."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from xl_jax.analysis.bootstrap import interval, resample
from xl_jax.devices.mesh import make_mesh
from xl_jax.errors import InputError
from xl_jax.pretrain.heldout import Heldout
from xl_jax.pretrain.loop import calls
from xl_jax.rules import Rules
from xl_jax.runs.run_directory import Run
from xl_jax.training.retied import retied
from xl_jax.training.step import State, make_step, state_shapes


class Cost(NamedTuple):
    """Of the held-out loss, nats a token, mean over languages: what it is more than under the run's
    own mask, with 95 % over the rows."""

    value: float
    low: float
    high: float


class OtherMasks:
    """The held-out losses of a run under its own mask and under others.

    Args:
      steps: to go on for, in whole calls of the device; 0: not at all.
      rows: held-out rows of a language, at most.

    Raises:
      InputError: steps that are no calls, or no checkpoint is so many steps before the end.
    """

    def __init__(self, run: Run, steps: int, rows: int, log: Callable[[str], None] = print):
        self.run, self.steps, self.rows, self.log = run, steps, rows, log
        if steps % (k := run.config.steps_per_call):
            raise InputError(f"--steps = {steps} is not a multiple of steps_per_call = {k}")
        self.mesh = make_mesh(run.config)
        self.start, self.state = self._started()
        self.own = self._sums(run, self.state)

    def cost(self, rules: Rules) -> Cost:
        """Of the mask that `rules` make.

        Raises:
          InputError: rules that do not fit the run.
        """
        config = dataclasses.replace(self.run.config, sharing=rules)
        model = dataclasses.replace(self.run.model, config=config)
        other = Run(self.run.folder, config, self.run.data, model)
        return difference(self.own, self._sums(other, retied(self.state, self.run.model, model)))

    def _started(self) -> tuple[int, State]:
        checkpoints = self.run.checkpoints(self.log)
        try:
            last = self.run.config.steps - self.steps
            early = [step for step in checkpoints.steps if 0 < step <= last]
            if not early:
                raise InputError(
                    f"{self.run.folder} keeps no checkpoint {self.steps:,} steps before its end; "
                    "--config.keep_curve=True keeps them"
                )
            shapes = state_shapes(self.run.model, self.mesh)
            return early[-1], checkpoints.at(early[-1], shapes)
        finally:
            checkpoints.close()

    def _sums(self, run: Run, state: State) -> list[Float[np.ndarray, "_ 2"]]:
        """(loss, tokens) of every held-out row of each language, after the steps."""
        if self.steps:
            train_step = make_step(run.model, run.config.steps, self.mesh)
            batches, k = calls(run, self.mesh), run.config.steps_per_call
            state = jax.tree.map(jnp.copy, state)  # the step takes its memory
            for first in range(self.start, self.start + self.steps, k):
                state, _ = train_step(state, batches(first))
        heldout = Heldout(run, self.rows, self.mesh)
        return [heldout.sums(state.params, language) for language in heldout.languages]


def difference(own: list[Float[np.ndarray, "_ 2"]], other: list[Float[np.ndarray, "_ 2"]]) -> Cost:
    """Of two lists of rows (loss, tokens), a language each, over the same tokens."""
    values, samples = [], []
    for number, (a, b) in enumerate(zip(own, other, strict=True)):
        rows = np.stack([b[:, 0] - a[:, 0], a[:, 1]], 1)
        values.append(rows[:, 0].sum() / rows[:, 1].sum())
        totals = resample(rows, 0, number)
        samples.append(totals[:, 0] / np.maximum(totals[:, 1], 1))
    low, high = interval(np.mean(samples, 0))
    return Cost(float(np.mean(values)), float(low), float(high))
