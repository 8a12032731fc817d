"""Pretraining: the loop around the jitted step."""

import signal
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from xl_jax.data.prefetch import prefetch
from xl_jax.data.windows import Batches, Step, make_windows
from xl_jax.mesh import load_steps, make_mesh
from xl_jax.perplexity import Heldout
from xl_jax.rundir import Run, restore
from xl_jax.step import State, init_state, make_step
from xl_jax.tracking import Tracker


class Interrupted(Exception):
    """Ctrl-C was pressed, and the state is saved."""


def pretrain(run: Run, log: Callable[[str], None] = print) -> State:
    """Train a run to its last step, from its newest checkpoint if it has one.

    Raises:
      Interrupted: on Ctrl-C, after saving.
      FloatingPointError: a loss is not finite; names the step, after writing the metrics.
    """
    config = run.config
    mesh = make_mesh(config)
    found = restore(run, mesh, log)
    step, state = found if found else (0, init_state(run.model, mesh))
    if step == config.steps:
        return state
    if step:
        log(f"continuing from step {step:,}")

    train_step = make_step(run.model, config.steps, mesh)
    heldout = Heldout(run, mesh=mesh)
    checkpoints = run.checkpoints(log)
    since_log: list[dict[str, jax.Array]] = []
    with Tracker(run.folder, step, config.steps) as tracker, CtrlC() as ctrl_c:
        for batch in prefetch(_calls(run, mesh), range(step, config.steps, config.steps_per_call)):
            state, metrics = train_step(state, batch)
            step += config.steps_per_call
            since_log.append(metrics)
            done = step == config.steps

            if done or step % config.log_every == 0:
                values = summarise(config.languages, since_log)
                since_log = []
                tracker.record(step, values)
                check_finite(step, values)
                tracker.show(loss=f"{values['loss']:.3f}", **_rate(tracker, run))
            tracker.advance(step)
            if done or step % config.eval_every == 0:
                perplexity = heldout.perplexities(state.params)
                tracker.record(step, {f"heldout_ppl/{x}": v for x, v in perplexity.items()})
                text = ", ".join(f"{x} {v:.1f}" for x, v in perplexity.items())
                tracker.say(f"step {step:,}: held-out perplexity {text}")
            if done or ctrl_c.pressed or step % config.checkpoint_every == 0:
                checkpoints.save(step, state)
            if ctrl_c.pressed and not done:
                checkpoints.close()
                raise Interrupted(f"stopped at step {step:,}, saved; the same command continues")
    checkpoints.close()
    return state


def summarise(languages: Iterable[str], metrics: list[dict[str, Any]]) -> dict[str, float]:
    """Means over all predicted tokens of several calls: sums first, one division last."""
    loss = np.sum([np.asarray(m["loss_sum"], np.float64) for m in metrics], axis=0)
    predicted = np.sum([np.asarray(m["predicted"], np.float64) for m in metrics], axis=0)
    values = {"loss": float(loss.sum() / max(predicted.sum(), 1))}
    for i, language in enumerate(languages):
        if predicted[i]:
            values[f"loss/{language}"] = float(loss[i] / predicted[i])
    values |= {name: float(metrics[-1][name]) for name in ("grad_norm", "lr")}
    return values


def check_finite(step: int, values: dict[str, float]) -> None:
    for name, value in values.items():
        if not np.isfinite(value):
            raise FloatingPointError(f"{name} is {value} in the steps before {step}")


class CtrlC:
    """Within the context the first Ctrl-C only sets `pressed`; a second one stops at once."""

    def __enter__(self) -> "CtrlC":
        self.pressed = False
        self.previous = None

        def note(number: int, frame: FrameType | None) -> None:
            self.pressed = True
            signal.signal(signal.SIGINT, signal.default_int_handler)

        try:
            self.previous = signal.signal(signal.SIGINT, note)
        except ValueError:  # not the main thread: nobody can press anything
            pass
        return self

    def __exit__(self, *_: object) -> None:
        if self.previous is not None:
            signal.signal(signal.SIGINT, self.previous)


def _calls(run: Run, mesh: Mesh) -> Callable[[int], Step]:
    """The batches of one call of the training step, on their devices, by the call's first step."""
    c = run.config
    windows = [
        [make_windows(c.data.windows, copy, c.data.length) for copy in run.data.copies[language]]
        for language in c.languages
    ]
    batches = Batches(windows, c.batch, c.seed, c.steps)
    return lambda first: load_steps(batches, first, c.steps_per_call, mesh)


def _rate(tracker: Tracker, run: Run) -> dict[str, str]:
    """Tokens a second, as the progress bar measures steps."""
    b = run.config.batch
    rate = tracker.bar.format_dict["rate"]
    tokens = b.accum * b.slots * b.rows * run.config.data.length
    return {"tokens/s": f"{rate * tokens:,.0f}"} if rate else {}
