"""Pretraining: the loop around the jitted step."""

import os
import shutil
import signal
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from xl_jax import distributed
from xl_jax.compiled import compile_step, memory, summary
from xl_jax.data.prefetch import prefetch
from xl_jax.data.windows import Batches, Step, make_windows
from xl_jax.errors import InputError
from xl_jax.mesh import load_steps, make_mesh
from xl_jax.perplexity import Heldout
from xl_jax.rundir import Run, restore
from xl_jax.step import State, init_state, state_shapes
from xl_jax.tracking import Tracker


class Interrupted(Exception):
    """The run was told to stop, and the state is saved."""

    def __init__(self, text: str, code: int = 130):
        super().__init__(text)
        self.code = code  # for sys.exit: 130 after Ctrl-C, 0 after SIGTERM


def pretrain(run: Run, log: Callable[[str], None] = print) -> State:
    """Train a run to its last step, from its newest checkpoint if it has one.

    Raises:
      Interrupted: on Ctrl-C or SIGTERM, after saving.
      FloatingPointError: a loss is not finite; names the step, after writing the metrics.
      RuntimeError: a checkpoint cannot be written.
    """
    config = run.config
    mesh = make_mesh(config)
    found = restore(run, mesh, log)
    if found and found[0] == config.steps:
        return found[1]
    check_room(run, mesh)
    train_step = compile_step(run.model, mesh)
    log(summary(run.model, mesh, memory(train_step)))
    step, state = found if found else (0, init_state(run.model, mesh))
    if step:
        log(f"continuing from step {step:,}")

    heldout = Heldout(run, mesh=mesh)
    checkpoints, best = run.checkpoints(log), run.best(log) if config.best else None
    since_log: list[dict[str, jax.Array]] = []
    stop = False
    with Tracker(run.folder, step, config.steps) as tracker, CtrlC() as ctrl_c:
        for batch in prefetch(_calls(run, mesh), range(step, config.steps, config.steps_per_call)):
            state, metrics = train_step(state, batch)
            step += config.steps_per_call
            since_log.append(metrics)
            done = step == config.steps
            stop = ctrl_c.stops(step // config.steps_per_call) and not done

            if done or step % config.log_every == 0:
                values = summarise(config.languages, since_log)
                tracker.record(step, values)
                check_finite(step, values)
                check_skipped(step, values, len(since_log) * config.steps_per_call)
                since_log = []
                tracker.show(loss=f"{values['loss']:.3f}", **_rate(tracker, run))
            tracker.advance(step)
            if done or step % config.eval_every == 0:
                perplexity = heldout.perplexities(state.params)
                tracker.record(step, {f"heldout_ppl/{x}": v for x, v in perplexity.items()})
                text = ", ".join(f"{x} {v:.1f}" for x, v in perplexity.items())
                tracker.say(f"step {step:,}: held-out perplexity {text}")
                if best:
                    best.save(step, state, score=perplexity[config.best])
            if done or stop or step % config.checkpoint_every == 0:
                checkpoints.save(step, state)
            if stop:
                break
    for folder in (checkpoints, best):
        if folder:
            folder.close()
    if stop:
        text = f"stopped at step {step:,}, saved; the same command continues"
        raise Interrupted(text, 0 if ctrl_c.terminated else 130)
    return state


def check_room(run: Run, mesh: Mesh) -> None:
    """Raises InputError where the disk has no room for another checkpoint."""
    need = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(state_shapes(run.model, mesh)))
    free = shutil.disk_usage(run.folder).free
    if free < need:
        raise InputError(
            f"{run.folder}: the disk has {free / 1e9:,.2f} GB left, a checkpoint takes "
            f"{need / 1e9:,.2f} GB"
        )


def summarise(languages: Iterable[str], metrics: list[dict[str, Any]]) -> dict[str, float]:
    """Means over all predicted tokens of several calls: sums first, one division last."""
    loss = np.sum([np.asarray(m["loss_sum"], np.float64) for m in metrics], axis=0)
    predicted = np.sum([np.asarray(m["predicted"], np.float64) for m in metrics], axis=0)
    values = {"loss": float(loss.sum() / max(predicted.sum(), 1))}
    for i, language in enumerate(languages):
        if predicted[i]:
            values[f"loss/{language}"] = float(loss[i] / predicted[i])
    values |= {name: float(metrics[-1][name]) for name in ("grad_norm", "lr")}
    if "skipped" in metrics[-1]:
        values["skipped"] = float(sum(int(m["skipped"]) for m in metrics))
    return values


def check_finite(step: int, values: dict[str, float]) -> None:
    for name, value in values.items():
        if not np.isfinite(value):
            raise FloatingPointError(f"{name} is {value} in the steps before {step}")


def check_skipped(step: int, values: dict[str, float], steps: int) -> None:
    if values.get("skipped") == steps:
        raise FloatingPointError(
            f"each of the {steps} steps before {step} was skipped: loss or gradient not finite"
        )


class CtrlC:
    """Within the context the first Ctrl-C or SIGTERM only sets `pressed`; a second one stops at
    once. Of several processes any may be told, and all stop after the same call."""

    def __enter__(self) -> "CtrlC":
        self.pressed = self.terminated = False
        self.previous: dict[int, Any] = {}
        several = jax.process_count() > 1

        def note(number: int, frame: FrameType | None) -> None:
            if several:  # JAX listens to SIGTERM, and tells the others
                os.kill(os.getpid(), signal.SIGTERM)
            self.pressed, self.terminated = not several, number == signal.SIGTERM
            signal.signal(number, self.previous[number])

        try:
            for number in (signal.SIGINT,) if several else (signal.SIGINT, signal.SIGTERM):
                self.previous[number] = signal.signal(number, note)
        except ValueError:  # not the main thread: nobody can press anything
            pass
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.previous.items():
            signal.signal(number, handler)

    def stops(self, call: int) -> bool:
        """Whether training ends after this call of the step, counted one by one; the same answer in
        every process."""
        if distributed.stop_agreed(call):
            self.terminated = True
            return True
        return self.pressed


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
