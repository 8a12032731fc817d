"""The fine-tuning loop of all tasks: an epoch is a scan on the device over a resident data set.

A step takes a batch of one bucket (see `buckets`); the program has one branch a bucket, so
each shape is traced once. Settings that differ in learning rates or seed run the same program, and
several of them may run at once (vmap).
"""

import shutil
import time
from collections.abc import Callable, Sequence
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from xl_jax.config.finetune import Setting, Tuning
from xl_jax.errors import InputError
from xl_jax.finetune.buckets import (
    Bucket,
    Plan,
    bucket_of,
    in_batches,
    make_plan,
    steps_of,
    widened,
)
from xl_jax.finetune.device_rows import Batch, Data, device_data, gather, host_data
from xl_jax.finetune.language_view import View
from xl_jax.finetune.model import NEW, Leaves, Tuned, init_new, unflatten
from xl_jax.rng import Purpose, key
from xl_jax.runs.checkpoint import Checkpoints
from xl_jax.runs.interrupt import CtrlC, Interrupted, check_finite
from xl_jax.runs.tracker import Tracker
from xl_jax.tasks.rows import Rows
from xl_jax.tasks.task import Item, Task
from xl_jax.training.compiled_step import check_fits, memory

POSITIONS = 8192  # of a batch in evaluation
SAVE_SECONDS = 60  # between saves of a setting's progress


class State(NamedTuple):
    """Everything that a step changes."""

    step: Any
    leaves: Leaves  # the tuned ones
    moments: Any


class Hyper(NamedTuple):
    """What settings that share a program may differ in."""

    lr: Any
    head_lr: Any
    seed: Any


class Progress(NamedTuple):
    """A setting in the middle of its training, as it is saved."""

    state: State
    best: Leaves
    best_score: Any  # -1 before the first evaluation
    best_epoch: Any


class Tuner:
    """The compiled parts of fine-tuning, one for all settings of a batch size."""

    def __init__(
        self,
        module: Tuned,
        task: Task,
        tuning: Tuning,
        train: Rows,
        buckets: Sequence[Bucket],
        batch: int,
    ):
        self.module, self.task, self.tuning = module, task, tuning
        self.buckets, self.batch = tuple(buckets), batch
        self.data = device_data(train)
        self.of_item = bucket_of(train, buckets)
        self.steps_per_epoch = steps_of(len(train), batch, tuning.epoch_size)
        self.steps = self.steps_per_epoch * tuning.epochs
        calls = -(-self.steps_per_epoch // (tuning.steps_per_call or self.steps_per_epoch))
        self.steps_per_call = -(-self.steps_per_epoch // calls)
        self.adam = optax.scale_by_adam(tuning.b1, tuning.b2, tuning.eps)
        axes = (0, None, None, None, 0)
        self._run_one = jax.jit(self._run, donate_argnums=0)
        self._run_several = jax.jit(jax.vmap(self._run, in_axes=axes), donate_argnums=0)
        self._outputs = jax.jit(_outputs, static_argnums=0)
        self._compiled: dict[int, Any] = {}  # by number of settings

    def compile(self, settings: int, tuned: Leaves, frozen: Leaves) -> None:
        """Compiles the program of so many settings at once, as `run` will call it.

        Raises:
          InputError: it needs more memory than there is; before anything of that size is made.
        """
        if settings in self._compiled:
            return

        def number(kind: Any, *shape: int) -> jax.ShapeDtypeStruct:
            return jax.ShapeDtypeStruct(shape, kind)

        state: Any = jax.eval_shape(self.start, tuned)
        hyper = Hyper(number(np.float32), number(np.float32), number(np.int32))
        steps = self.steps_per_call
        plan = Plan._make((number(np.int32, steps, self.batch), number(np.int32, steps)))
        program = self._run_one
        if settings > 1:
            program = self._run_several
            state, hyper = jax.tree.map(
                lambda x: number(x.dtype, settings, *x.shape), (state, hyper)
            )
        made = program.lower(state, frozen, self.data, plan, hyper).compile()
        t = self.tuning
        named = {"batch": self.batch, "length": t.length, "parallel": t.parallel}
        named |= {"epoch_size": t.epoch_size}
        remedy = f"make {' or '.join(f'tune.{k} = {v}' for k, v in named.items() if v)} smaller"
        check_fits("fine-tuning", memory(made), jax.local_devices()[:1], remedy)
        self._compiled[settings] = made

    def compile_answers(self, leaves: Leaves, rows: Rows) -> None:
        """Runs one batch of every shape that `answers` will have."""
        buckets = widened(self.buckets, rows)
        batches = in_batches(bucket_of(rows, buckets), buckets, POSITIONS)
        for b, items in {b: items for b, items in batches}.items():
            batch = gather(host_data(rows), items, buckets[b])
            self._outputs(self.module, leaves, batch.tokens, batch.read_at, None)

    def start(self, leaves: Leaves) -> State:
        """The state before the first step; `leaves` are those that are tuned."""
        copies = jax.tree.map(jnp.array, leaves)  # the state is donated, the pretrained are not
        return State(jnp.zeros((), jnp.int32), copies, self.adam.init(copies))

    def plan(self, step: int, seed: int) -> Plan:
        """The batches of the call that begins at `step`, filled up with empty ones."""
        epoch, first = divmod(step, self.steps_per_epoch)
        size = self.tuning.epoch_size
        whole = make_plan(self.of_item, self.batch, seed, epoch, size)
        part = Plan(*(column[first : first + self.steps_per_call] for column in whole))
        fill = self.steps_per_call - len(part.bucket)
        examples = np.pad(part.examples, ((0, fill), (0, 0)), constant_values=-1)
        return Plan(examples, np.pad(part.bucket, (0, fill)))

    def run(
        self, states: Sequence[State], frozen: Leaves, plan: Plan, hypers: Sequence[Hyper]
    ) -> tuple[list[State], np.ndarray]:
        """(states after the plan's batches, mean loss of each state's batches)."""
        if len(states) == 1:
            run = self._compiled.get(1, self._run_one)
            state, loss = run(states[0], frozen, self.data, plan, hypers[0])
            return [state], np.asarray(loss)[None]
        stacked, hyper = (
            jax.tree.map(lambda *x: jnp.stack(x), *trees) for trees in (states, hypers)
        )
        run = self._compiled.get(len(states), self._run_several)
        state, loss = run(stacked, frozen, self.data, plan, hyper)
        parts = [jax.tree.map(itemgetter(i), state) for i in range(len(states))]
        return parts, np.asarray(loss)

    def leaves(self, pretrained: Leaves, seed: int) -> Leaves:
        """What is tuned, at the start: these leaves of the encoder, new layers, head."""
        return {**pretrained, **init_new(self.module, key(seed, Purpose.FINETUNE_INIT))}

    def answers(self, leaves: Leaves, rows: Rows, view: View | None = None) -> list[Any]:
        """The task's answer to every item, in order. `view`: whose leaves these are, where that is
        not the source (it may be of another run, or come with a map into the source's space)."""
        module, affine = self.module, None
        if view is not None:
            size = leaves["embed/token"].shape[0]
            module, affine = module.clone(vocab_size=size), view.affine
        data = host_data(rows)
        pending, buckets = [], widened(self.buckets, rows)
        for b, items in in_batches(bucket_of(rows, buckets), buckets, POSITIONS):
            batch = gather(data, items, buckets[b])
            outputs = self._outputs(module, leaves, batch.tokens, batch.read_at, affine)
            pending.append((items, outputs))
        result: list[Any] = [None] * len(rows)
        for items, outputs in pending:
            outputs = jax.device_get(outputs)
            for row, item in enumerate(items[items >= 0]):
                read_at = rows.read_at[rows.word_starts[item] : rows.word_starts[item + 1]]
                result[item] = self.task.decode({k: v[row] for k, v in outputs.items()}, read_at)
        return result

    def score(self, leaves: Leaves, items: Sequence[Item], rows: Rows) -> float:
        """The task's metric."""
        return self.task.scores(items, self.answers(leaves, rows))[self.task.metric]

    def _loss(self, leaves: Leaves, frozen: Leaves, batch: Batch, dropout: jax.Array) -> jax.Array:
        """Mean over what has a label."""
        outputs: Any = self.module.apply(
            {"params": unflatten({**frozen, **leaves})},
            batch.tokens,
            batch.read_at,
            batch.labels,
            train=True,
            rngs={"dropout": dropout},
        )
        total, number = self.task.loss(outputs, batch.labels)
        return total / jnp.maximum(number, 1.0)

    def _run(
        self, state: State, frozen: Leaves, data: Data, plan: Plan, hyper: Hyper
    ) -> tuple[State, jax.Array]:
        """The batches of the plan, one after the other; empty ones change nothing."""
        dropout_key = key(hyper.seed, Purpose.FINETUNE_DROPOUT)

        def step(state: State, batch: Plan) -> tuple[State, jax.Array]:
            dropout = jax.random.fold_in(dropout_key, state.step)

            def gradient(bucket: Bucket, leaves: Leaves) -> tuple[jax.Array, Leaves]:
                rows = gather(data, batch.examples, bucket)
                return jax.value_and_grad(self._loss)(leaves, frozen, rows, dropout)

            used = self.buckets[: self.of_item.max() + 1]
            branches = [partial(gradient, bucket) for bucket in used]
            loss, grads = jax.lax.switch(batch.bucket, branches, state.leaves)
            live = jnp.any(batch.examples >= 0)
            new = self._update(state, grads, hyper)
            kept = jax.tree.map(lambda a, b: jnp.where(live, a, b), new, state)
            return kept, jnp.where(live, loss, 0.0)

        before = state.step
        state, losses = jax.lax.scan(step, state, plan)
        return state, jnp.sum(losses) / (state.step - before)

    def _update(self, state: State, grads: Leaves, hyper: Hyper) -> State:
        t = self.tuning
        if t.clip:
            norm = optax.tree.norm(grads)
            grads = jax.tree.map(lambda g: g * jnp.minimum(1.0, t.clip / (norm + 1e-12)), grads)
        directions, moments = self.adam.update(grads, state.moments)
        share = schedule(t, self.steps)(state.step)
        rates = {path: hyper.head_lr if path.startswith(NEW) else hyper.lr for path in directions}
        leaves = {
            path: leaf - share * rates[path] * directions[path]
            for path, leaf in state.leaves.items()
        }
        return State(state.step + 1, leaves, moments)


def _outputs(module: Tuned, leaves: Leaves, tokens: Any, read_at: Any, affine: Any) -> Any:
    return module.apply({"params": unflatten(leaves)}, tokens, read_at, affine=affine)


def schedule(tuning: Tuning, steps: int) -> optax.Schedule:
    """The share of the learning rates by step, from 0 on: a linear rise over `warmup` of the steps,
    the first of which is not 0; then 1, or a linear fall to 0 after the last."""
    rise = max(round(tuning.warmup * steps), 1)
    up = optax.linear_schedule(1 / rise, 1.0, rise - 1)
    down = optax.linear_schedule(1.0, 0.0, max(steps - rise, 1))
    then = optax.constant_schedule(1.0) if tuning.schedule == "constant" else down
    return optax.join_schedules([up, then], [rise])


class Fit:
    """One setting's training: how far it is, and its best epoch (of equal ones the first).

    It goes on at the last save in its folder, and starts again where that is damaged.

    Args:
      pretrained: the leaves of the encoder that are tuned.
    """

    def __init__(
        self,
        tuner: Tuner,
        setting: Setting,
        pretrained: Leaves,
        folder: Path,
        log: Callable[[str], None] = print,
    ):
        self.setting, self.folder, self.log = setting, folder / "progress", log
        rates = np.asarray([setting.lr, setting.head_lr], np.float32)
        self.hyper = Hyper(rates[0], rates[1], np.int32(setting.seed))
        state = tuner.start(tuner.leaves(pretrained, setting.seed))
        best = jax.device_get(state.leaves)
        self.progress = Progress(
            state, best, np.asarray(-1, np.float32), best_epoch=np.asarray(0, np.int32)
        )
        self.checkpoints = Checkpoints(self.folder, keep=1, log=log)
        self.progress = self._saved() or self.progress

    @property
    def state(self) -> State:
        return self.progress.state

    @property
    def best(self) -> Leaves:
        """The tuned leaves of the epoch that was best on the development set."""
        return self.progress.best

    @property
    def best_score(self) -> float:
        return float(self.progress.best_score)

    @property
    def best_epoch(self) -> int:
        return int(self.progress.best_epoch)

    def _saved(self) -> Progress | None:
        """The progress that was saved, if it is whole."""
        try:
            found = self.checkpoints.restore(self.progress)
        except InputError as error:
            self.checkpoints.close()
            self.log(f"{error}; {self.setting.name} starts again")
            shutil.rmtree(self.folder)
            self.checkpoints = Checkpoints(self.folder, keep=1, log=self.log)
            return None
        return found[1] if found else None

    def moved(self, state: State) -> None:
        self.progress = self.progress._replace(state=state)

    def evaluated(self, epoch: int, score: float) -> None:
        if np.float32(score) > np.float32(self.best_score):  # as it is saved
            best = jax.device_get(self.state.leaves)
            values = (np.asarray(score, np.float32), np.asarray(epoch, np.int32))
            self.progress = Progress(self.state, best, *values)

    def save(self) -> None:
        self.checkpoints.save(int(self.state.step), self.progress)


def fit_all(
    tuner: Tuner,
    fits: Sequence[Fit],
    frozen: Leaves,
    dev: Sequence[Item],
    dev_rows: Rows,
    tracker: Tracker,
) -> None:
    """Trains settings of one seed, together or one by one, to their last epoch.

    Raises:
      Interrupted: on Ctrl-C or SIGTERM, after saving.
      FloatingPointError: a loss is not finite; names setting and step.
    """
    if len({int(fit.state.step) for fit in fits}) > 1:  # stopped at different steps
        for fit in fits:
            fit_all(tuner, [fit], frozen, dev, dev_rows, tracker)
        return
    step, calls, saved = int(fits[0].state.step), 0, time.monotonic()
    names = [fit.setting.name for fit in fits]
    tracker.advance(tracker.n + step * tuner.batch * len(fits))
    tuner.compile(len(fits), fits[0].state.leaves, frozen)
    tuner.compile_answers({**frozen, **fits[0].state.leaves}, dev_rows)
    with CtrlC() as ctrl_c:
        while step < tuner.steps:
            plan = tuner.plan(step, fits[0].setting.seed)
            states, losses = tuner.run(
                [fit.state for fit in fits], frozen, plan, [fit.hyper for fit in fits]
            )
            for fit, state in zip(fits, states, strict=True):
                fit.moved(state)
            tracker.advance(tracker.n + (int(states[0].step) - step) * tuner.batch * len(fits))
            step = int(states[0].step)
            values = {f"loss/{name}": float(x) for name, x in zip(names, losses, strict=True)}
            tracker.record(step, values)
            check_finite(step, values)
            if step % tuner.steps_per_epoch == 0:
                for fit in fits:
                    score = tuner.score({**frozen, **fit.state.leaves}, dev, dev_rows)
                    fit.evaluated(step // tuner.steps_per_epoch, score)
                    tracker.record(step, {f"dev/{fit.setting.name}": score})
            best = max(fit.best_score for fit in fits)
            tracker.show(loss=f"{losses[0]:.3f}", dev=f"{max(best, 0):.3f}")
            calls += 1
            stop = ctrl_c.stops(calls)
            late = time.monotonic() - saved > SAVE_SECONDS and step < tuner.steps
            if stop or late:
                for fit in fits:
                    fit.save()
                saved = time.monotonic()
            if stop:
                for fit in fits:
                    fit.checkpoints.close()
                text = f"{names[0]} stopped at step {step:,}, saved; the same command continues"
                raise Interrupted(text, 0 if ctrl_c.terminated else 130)
    for fit in fits:
        fit.checkpoints.close()
