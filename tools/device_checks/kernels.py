"""Where the time of a step goes: its kernels, from a trace of JAX's profiler."""

import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax

from tools.benchmarks.record import Record
from tools.device_checks.programs import (
    Machine,
    abstract_model,
    measured,
    paper_config,
    random_steps,
)
from xl_jax.batches.placement import step_shapes
from xl_jax.devices.mesh import one_device
from xl_jax.training.step import init_state, make_step, state_shapes

SHOWN, STEPS = 40, 2


def kernels(machine: Machine) -> Iterator[Record]:
    """Milliseconds of a step of the paper's in each kernel (on a CPU: in each thunk), the longest
    first, after the time of all."""
    fused: dict[str, Any] = {}
    if machine.gpu:
        fused = {"attention": "cudnn", "attention_dropout": 0.0}
    config = paper_config(machine, **fused)
    model, mesh = abstract_model(config), one_device(machine.device)
    shapes = step_shapes(config.batch, config.data.length, 1, mesh)
    step: Any = make_step(model, config.steps, mesh)
    compiled: Any = step.lower(state_shapes(model, mesh), shapes).compile()
    state, batch = init_state(model), jax.device_put(random_steps(model, 1))
    for _ in range(2):
        state, _ = compiled(state, batch)
    jax.block_until_ready(state)
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            for _ in range(STEPS):
                state, _ = compiled(state, batch)
            jax.block_until_ready(state)
        (file,) = Path(folder).rglob("*.xplane.pb")
        time, calls = events(machine, jax.profiler.ProfileData.from_file(str(file)))
    yield measured("kernels: all", sum(time.values()), "ms", calls=sum(calls.values()))
    for name, ms in time.most_common(SHOWN):
        yield measured(f"kernel: {name[:120]}", ms, "ms", calls=calls[name])


def events(machine: Machine, data: Any) -> tuple[Counter[str], Counter[str]]:
    """(ms, calls) a step by name: what ran on the GPU's streams, or on the CPU's threads of XLA."""
    time, calls = Counter[str](), Counter[str]()
    plane_name, line_name = ("GPU", "Stream") if machine.gpu else ("CPU", "XLA")
    for plane in data.planes:
        for line in plane.lines:
            if plane_name in plane.name and line_name in line.name:
                for event in line.events:
                    time[event.name] += event.duration_ns / 1e6 / STEPS
                    calls[event.name] += 1
    return time, Counter({name: n // STEPS for name, n in calls.items()})
