"""Runs that differ only in their seed: one after the other, and as one program over a new axis.

All arms take the steps of configs/tiny.py, with the same number of runs altogether. "one core" is
a process that may use one core, of which a machine runs as many as it has. Seconds are a run's
step: by the clock, and of all cores, which other programs on the machine do not lengthen as much.
"""

import argparse
import multiprocessing
import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from tools.benchmarks.input import tiny_model
from tools.benchmarks.racing import spread
from tools.benchmarks.torch_step import Shape

Record = dict[str, Any]
SEEDS = (1, 2, 4, 8)  # of the program over seeds
CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "cores": time.process_time}


def make_seeds_step(model: Any, mesh: Any) -> Any:
    """The jitted training step of several runs: (seeds [N], state with a leading axis N, a step's
    batch with N after the axis of steps) -> (state, metrics)."""
    import jax

    from xl_jax.devices.compiler_options import compiler_options
    from xl_jax.devices.mesh import everywhere
    from xl_jax.rng import Purpose, key
    from xl_jax.training.step import Update

    def one(seed: Any, state: Any, batch: Any) -> Any:
        update = Update(model, model.config.steps, mesh)
        update.loss.masking_key = key(seed, Purpose.MASKING)
        update.loss.dropout_key = key(seed, Purpose.DROPOUT)
        return update(state, batch)

    def call(seeds: Any, state: Any, batches: Any) -> Any:
        return jax.lax.scan(partial(jax.vmap(one), seeds), state, batches)

    where = everywhere(mesh)
    cpu = mesh.devices.flat[0].platform == "cpu"
    return jax.jit(
        call,
        in_shardings=where,
        out_shardings=where,
        donate_argnums=1,
        compiler_options=compiler_options() if cpu else None,
    )


def shapes(model: Any, n: int, mesh: Any) -> tuple[Any, ...]:
    """The arguments of such a step of n runs, as shapes."""
    import jax

    from xl_jax.batches.placement import step_shapes
    from xl_jax.training.step import state_shapes

    c = model.config

    def with_runs(x: Any, axis: int) -> Any:
        return jax.ShapeDtypeStruct((*x.shape[:axis], n, *x.shape[axis:]), x.dtype)

    state = jax.tree.map(partial(with_runs, axis=0), state_shapes(model, mesh))
    batch = step_shapes(c.batch, c.data.length, c.steps_per_call, mesh)
    batch = jax.tree.map(partial(with_runs, axis=1), batch)
    return jax.ShapeDtypeStruct((n,), np.int32), state, batch


class Runs:
    """n runs of the tiny model in one program, or one of them by the ordinary step (n = 0)."""

    def __init__(self, n: int):
        import jax

        from xl_jax.devices.mesh import one_device
        from xl_jax.training.compiled_step import compile_step
        from xl_jax.training.step import init_state

        model, mesh = tiny_model(), one_device()
        self.n = max(n, 1)
        self.steps = model.config.steps_per_call
        start = time.process_time()
        if n:
            compiled = make_seeds_step(model, mesh).lower(*shapes(model, n, mesh)).compile()
            self.step: Callable[..., Any] = partial(compiled, np.arange(n, dtype=np.int32))
        else:
            self.step = compiled = compile_step(model, mesh)
        self.compiling = time.process_time() - start
        cost: Any = compiled.cost_analysis()
        self.flops, self.bytes = cost["flops"] / self.n, cost["bytes accessed"] / self.n
        given = shapes(model, self.n, mesh)[1:]
        state = init_state(model)
        if n:
            state = jax.tree.map(lambda x: np.stack([np.asarray(x)] * n), state)
        self.state, self.batch = state, _batch(given[1], model.vocab_size, drop_runs=not n)

    def __call__(self) -> dict[str, float]:
        """Seconds of a step of one run, by clock."""
        import jax

        before = {name: clock() for name, clock in CLOCKS.items()}
        self.state, metrics = self.step(self.state, self.batch)
        jax.block_until_ready((self.state, metrics))
        every = self.n * self.steps
        return {name: (clock() - before[name]) / every for name, clock in CLOCKS.items()}


def _batch(shapes_of: Any, vocab: int, drop_runs: bool) -> Any:
    """The same rows for every run: what the rows are does not matter for the time."""
    from xl_jax.tokens.special import N_SPECIAL

    random = np.random.default_rng(0)
    tokens = random.integers(N_SPECIAL, vocab, shapes_of.tokens.shape, dtype=np.int32)
    slots = shapes_of.language.shape[-1]
    language = np.broadcast_to(np.arange(slots, dtype=np.int32), shapes_of.language.shape)
    made = shapes_of._replace(tokens=tokens, language=np.ascontiguousarray(language))
    return type(made)(*(x[:, 0] for x in made)) if drop_runs else made


def _on_one_core(pipe: Any) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    runs = Runs(0)
    runs()
    pipe.send(runs.compiling)
    while pipe.recv():
        pipe.send(runs())


def seeds(args: argparse.Namespace, shape: Shape) -> list[Record]:
    """Seconds of a run's step by arm, round and clock, the arms in turns; FLOP and bytes by arm."""
    numbers = SEEDS[:1] if args.smallest else SEEDS
    arms = {"one at a time": Runs(0)} | {f"{n} in a program": Runs(n) for n in numbers}
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    other = multiprocessing.get_context("spawn").Process(
        target=_on_one_core, args=(theirs,), daemon=True
    )
    other.start()
    ours.recv()
    records: list[Record] = []
    found: dict[str, dict[str, list[float]]] = {}
    calls: dict[str, Callable[[], dict[str, float]]] = dict(arms)

    def on_one_core() -> dict[str, float]:
        ours.send(True)
        return ours.recv()

    calls["one core"] = on_one_core
    for arm in arms.values():
        arm()
    for r in range(args.rounds):
        for name, call in list(calls.items())[:: 1 if r % 2 else -1]:
            for kind, value in call().items():
                found.setdefault(name, {}).setdefault(kind, []).append(value)
                metric = f"{kind}_seconds_per_step"
                records.append({"metric": metric, "arm": name, "round": r, "value": value})
    ours.send(False)
    other.join()
    base = found["one core"]["cores"]
    print(f"{'arm':<18}{'ms of the clock':<22}{'ms of cores':<22}{'of cores, one core / arm'}")
    for name, of_clock in found.items():
        ratio = [a / b for a, b in zip(base, of_clock["cores"], strict=True)]
        wall, cores = (spread([1e3 * x for x in of_clock[k]], 1) for k in ("wall", "cores"))
        print(f"{name:<18}{wall:<22}{cores:<22}{spread(ratio, 2)}")
        records += [
            {"metric": "one_core_over_arm", "arm": name, "round": r, "value": value}
            for r, value in enumerate(ratio)
        ]
    for name, arm in arms.items():
        for metric in ("compiling", "flops", "bytes"):
            records.append({"metric": metric, "arm": name, "value": float(getattr(arm, metric))})
    return records
