"""Pretraining: the loop around the jitted step."""

import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from xl_jax.batches.placement import load_steps
from xl_jax.batches.prefetch import prefetch
from xl_jax.batches.sampler import Batches, Step
from xl_jax.batches.windows import make_windows
from xl_jax.config.convert import flattened
from xl_jax.devices.mesh import make_mesh
from xl_jax.errors import InputError
from xl_jax.pretrain.heldout import Heldout
from xl_jax.pretrain.profile import Profile
from xl_jax.pretrain.speed import Speed
from xl_jax.progress import announced
from xl_jax.runs import lock
from xl_jax.runs.checkpoint import Checkpoints
from xl_jax.runs.interrupt import CtrlC, Interrupted, check_finite
from xl_jax.runs.loggers import open_loggers
from xl_jax.runs.run_directory import Run, first_state
from xl_jax.runs.tracker import Tracker
from xl_jax.training.compiled_step import check_memory, compile_step, memory, summary
from xl_jax.training.step import State, state_shapes


def pretrain(
    run: Run,
    log: Callable[[str], None] = print,
    profile: int = 0,
    track: Sequence[str] = (),
) -> State:
    """Train a run to its last step, from its newest whole checkpoint if it has one.

    Args:
      profile: write a trace of so many steps, in whole calls, to profile/ in the run directory.
      track: further trackers that get the numbers, see `loggers`.

    Raises:
      InputError: another process trains this run; the disk has no room for a checkpoint.
      Interrupted: on Ctrl-C or SIGTERM, after saving.
      FloatingPointError: a loss is not finite; names the step, after writing the metrics.
      RuntimeError: a checkpoint cannot be written.
    """
    mesh = make_mesh(run.config)
    with lock.training(run.folder), run.kept(log):
        checkpoints = run.checkpoints(log, read_only=False)
        try:
            found = checkpoints.restore(state_shapes(run.model, mesh))
            if found and found[0] == run.config.steps:
                return found[1]
            if run.model.only_starts:
                return _only_started(run, mesh, found, checkpoints, log)
            return _train(run, mesh, found, checkpoints, log, profile, track)
        finally:
            checkpoints.close()


def _only_started(
    run: Run,
    mesh: Mesh,
    found: tuple[int, State] | None,
    checkpoints: Checkpoints,
    log: Callable[[str], None],
) -> State:
    """What a run that starts from another one and trains nothing is: that start, kept."""
    if found:
        return found[1]
    state = first_state(run, mesh, log)
    checkpoints.save(0, state)
    checkpoints.wait()
    return state


def _train(
    run: Run,
    mesh: Mesh,
    found: tuple[int, State] | None,
    checkpoints: Checkpoints,
    log: Callable[[str], None],
    profile: int,
    track: Sequence[str],
) -> State:
    """The rest of the run after the step that was found."""
    config, k = run.config, run.config.steps_per_call
    check_room(run, mesh)
    heldout = Heldout(run, mesh=mesh)
    with announced("compiling", log):
        train_step = compile_step(run.model, mesh)
        heldout.compile(state_shapes(run.model, mesh).params)
    needs = memory(train_step)
    check_memory(run.model, mesh, needs)
    log(summary(run.model, mesh, needs))
    step, state = found if found else (0, first_state(run, mesh, log))
    if step:
        log(f"continuing from step {step:,}")
    best = run.best(log, read_only=False) if config.best else None
    if best:
        best.discard_damaged(state)

    speed = Speed(run.model, mesh)
    since_log: list[dict[str, jax.Array]] = []
    stop, curve = False, config.curve
    others = partial(open_loggers, track, run.folder, flattened(config))
    with (
        Tracker(run.folder, step, config.steps, loggers=others) as tracker,
        CtrlC() as ctrl_c,
        Profile(run.folder / "profile", profile, k, log) as trace,
    ):
        for batch in prefetch(calls(run, mesh), range(step, config.steps, k)):
            with trace.call(), jax.transfer_guard("disallow"):  # the batch is there already
                state, metrics = train_step(state, batch)
            step += k
            since_log.append(metrics)
            done = step == config.steps
            stop = ctrl_c.stops(step // k)

            if config.logs(step):
                values = summarise(config.languages, jax.device_get(since_log), run.model.parts[0])
                values |= speed.since_last(len(since_log) * k)
                tracker.record(step, values)
                check_finite(step, values)
                check_skipped(step, values, len(since_log) * k)
                since_log = []
                rate = {"tokens/s": f"{values['tokens_per_second']:,.0f}"}
                tracker.show(loss=f"{values['loss']:.3f}", **rate)
            tracker.advance(step)
            evaluates = done or step % config.eval_every == 0
            saves = done or stop or step % config.checkpoint_every == 0 or step in curve
            with speed.paused(state) if evaluates or saves else nullcontext():
                if evaluates:
                    perplexity = heldout.perplexities(state.params)
                    tracker.record(step, {f"heldout_ppl/{x}": v for x, v in perplexity.items()})
                    text = ", ".join(f"{x} {v:.1f}" for x, v in perplexity.items())
                    tracker.say(f"step {step:,}: held-out perplexity {text}")
                    if best:
                        best.save(step, state, score=perplexity[config.best])
                if saves:
                    checkpoints.save(step, state)
            if stop:
                break
    checkpoints.wait()
    if best:
        best.close()
    if stop or ctrl_c.pressed:
        text = f"stopped at step {step:,}, saved; the same command continues"
        raise Interrupted(text, 0 if ctrl_c.terminated else 130)
    return state


def check_room(run: Run, mesh: Mesh) -> None:
    """Raises InputError where the disk has no room for another checkpoint."""
    need = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(state_shapes(run.model, mesh)))
    free = shutil.disk_usage(run.folder).free
    if free < need:
        raise InputError(
            f"{run.folder}: the disk has {_size(free)} left, a checkpoint takes {_size(need)}"
        )


def _size(n: int) -> str:
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n >= factor:
            return f"{n / factor:,.1f} {unit}"
    return f"{n} bytes"


def summarise(
    languages: Iterable[str], metrics: list[dict[str, Any]], parts: Sequence[str] = ()
) -> dict[str, float]:
    """Means over all predicted tokens of several calls: sums first, one division last.

    Norms of each of `parts`, `grad_norm` (of the whole gradient before clipping) and `lr` are the
    last step's; of gradients and updates only where that step moved the part.
    """

    def total(name: str) -> np.ndarray:
        return np.sum([np.asarray(m[name], np.float64) for m in metrics], axis=0)

    loss, predicted = total("loss_sum"), total("predicted")
    values = {"loss": float(loss.sum() / max(predicted.sum(), 1))}
    for i, language in enumerate(languages):
        if predicted[i]:
            values[f"loss/{language}"] = float(loss[i] / predicted[i])
    values |= {name: float(metrics[-1][name]) for name in ("grad_norm", "lr")}
    for i, part in enumerate(parts):
        grad, update, param = (
            float(metrics[-1][f"{x}_norms"][i]) for x in ("grad", "update", "param")
        )
        values[f"param_norm/{part}"] = param
        if grad:
            values |= {f"grad_norm/{part}": grad, f"update_norm/{part}": update}
    if "skipped" in metrics[-1]:
        values["skipped"] = float(sum(int(m["skipped"]) for m in metrics))
    return values


def check_skipped(step: int, values: dict[str, float], steps: int) -> None:
    if values.get("skipped") == steps:
        raise FloatingPointError(
            f"each of the {steps} steps before {step} was skipped: loss or gradient not finite"
        )


def calls(run: Run, mesh: Mesh) -> Callable[[int], Step]:
    """The batches of one call of the training step, on their devices, by the call's first step."""
    c = run.config
    windows = [
        [make_windows(c.data.windows, copy, c.data.length) for copy in run.data.copies[language]]
        for language in c.languages
    ]
    batches = Batches(windows, c.batch, c.seed, c.steps)
    return lambda first: load_steps(batches, first, c.steps_per_call, mesh)
