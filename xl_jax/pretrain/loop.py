"""Pretraining: the loop around the jitted step."""

import shutil
from collections.abc import Callable, Iterable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from xl_jax.batches.placement import load_steps
from xl_jax.batches.prefetch import prefetch
from xl_jax.batches.sampler import Batches, Step
from xl_jax.batches.windows import make_windows
from xl_jax.devices.mesh import make_mesh
from xl_jax.errors import InputError
from xl_jax.pretrain.heldout import Heldout
from xl_jax.runs.interrupt import CtrlC, Interrupted, check_finite
from xl_jax.runs.run_directory import Run, restore
from xl_jax.runs.tracker import Tracker
from xl_jax.training.compiled_step import compile_step, memory, summary
from xl_jax.training.step import State, init_state, state_shapes


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


def check_skipped(step: int, values: dict[str, float], steps: int) -> None:
    if values.get("skipped") == steps:
        raise FloatingPointError(
            f"each of the {steps} steps before {step} was skipped: loss or gradient not finite"
        )


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
