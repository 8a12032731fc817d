"""Whether a device computes what it should: beside the CPU, attention beside attention, resume."""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from tools.benchmarks.record import Record
from tools.device_checks.programs import (
    Machine,
    abstract_model,
    broken,
    distance,
    measured,
    random_steps,
    result,
    tiny_config,
)
from xl_jax.batches.placement import step_shapes
from xl_jax.batches.sampler import Step
from xl_jax.devices.mesh import one_device
from xl_jax.model.shared_model import SharedModel
from xl_jax.runs.checkpoint import Checkpoints
from xl_jax.training.loss import StepLoss
from xl_jax.training.step import State, init_state, make_step, state_shapes

DETERMINISTIC = {"xla_gpu_deterministic_ops": True}
FLOAT32 = "float32 products on both; sums in another order"


def gradients(model: SharedModel, params: Any, batch: Step, device: Any) -> tuple[float, Any]:
    """(loss, gradient) of one step, computed by `device`."""
    loss = StepLoss(model, unroll=False, steps=model.config.steps)
    one = jax.tree.map(lambda x: x[0], batch)
    inputs = jax.device_put((params, np.int32(0), one), device)
    grads, sums = jax.jit(loss.gradients)(*inputs)
    return float(np.asarray(sums.loss).sum()), jax.device_get(grads)


def parity(machine: Machine) -> list[Record]:
    """Loss, gradients and one update, dropout on, on the device and on the CPU."""
    model = abstract_model(tiny_config(machine))
    cpu = jax.local_devices(backend="cpu")[0]
    batch = random_steps(model, 1, padded=True)
    with jax.default_matmul_precision("highest"):
        with jax.default_device(cpu):
            state = jax.device_get(init_state(model, one_device(cpu)))
        (loss, grads), (found_loss, found) = (
            gradients(model, state.params, batch, device) for device in (cpu, machine.device)
        )
        moved = []
        for device in (cpu, machine.device):
            mesh = one_device(device)
            after, _ = make_step(model, 8, mesh)(jax.device_put(state, device), batch)
            steps = zip(*map(jax.tree.leaves, (after.params, state.params)), strict=True)
            moved.append([np.asarray(x) - y for x, y in steps])
    return [
        result("parity with the CPU: loss", abs(found_loss / loss - 1), 1e-5, FLOAT32),
        result("parity with the CPU: gradient", distance(found, grads), 1e-4, FLOAT32),
        result("parity with the CPU: one update", distance(moved[1], moved[0]), 1e-3, FLOAT32),
    ]


def attention(machine: Machine) -> list[Record]:
    """cuDNN's attention and XLA's, forward and backward, on rows of all lengths; several slots."""
    if not machine.gpu:
        return [{"check": "cuDNN attention", "outcome": "skipped", "reason": "no NVIDIA GPU"}]
    exact = abstract_model(tiny_config(machine, attention_dropout=0.0, dropout=0.0))
    state = init_state(exact)
    batch = random_steps(exact, 1, padded=True)
    with jax.default_matmul_precision("highest"):
        loss, grads = gradients(exact, state.params, batch, machine.device)
    error = {}
    for kind in ("xla", "cudnn"):
        changed: dict[str, Any] = dict(
            attention=kind, dtype="bfloat16", attention_dropout=0.0, dropout=0.0
        )
        model = abstract_model(tiny_config(machine, **changed))
        found_loss, found = gradients(model, state.params, batch, machine.device)
        error[kind] = abs(found_loss / loss - 1), distance(found, grads)
    reason = "in bfloat16, cuDNN may be no further from float32 than twice XLA's attention"
    return [
        result(
            f"cuDNN attention: {name}", error["cudnn"][i], max(2 * error["xla"][i], 1e-4), reason
        )
        for i, name in enumerate(("loss", "gradient"))
    ]


def resume(machine: Machine) -> Iterator[Record]:
    """Four steps, and two, a checkpoint and two: as they come, and with the deterministic flags."""
    kinds: dict[str, dict[str, Any]] = {"": {}}
    if machine.gpu:
        half = dict(dtype="bfloat16", attention_dropout=0.0)
        kinds = {f", {x} attention": dict(attention=x, **half) for x in ("xla", "cudnn")}
    for kind, changed in kinds.items():
        model = abstract_model(tiny_config(machine, **changed))
        for flags, options in (("", None), (", deterministic", DETERMINISTIC)):
            check, reason = f"resume: leaves that differ{kind}{flags}", "resume means the same bits"
            if options and not machine.gpu:
                continue
            try:
                differ = leaves_that_differ(machine, model, options)
            except Exception as error:  # one that does not compile must not hide the others
                yield broken(check, error)
                continue
            if machine.gpu and not options:  # nobody promises it
                yield measured(check, differ, "leaves")
            else:
                yield result(check, differ, 0, reason)


def leaves_that_differ(
    machine: Machine, model: SharedModel, options: Mapping[str, Any] | None
) -> int:
    """Leaves of which four steps and a resumed run of two and two do not give the same bits."""
    mesh, c = one_device(machine.device), model.config
    step: Any = make_step(model, 8, mesh)
    shapes = state_shapes(model, mesh), step_shapes(c.batch, c.data.length, 1, mesh)
    compiled: Any = step.lower(*shapes).compile(compiler_options=dict(options) if options else None)

    def run(state: State, first: int, last: int) -> State:
        for i in range(first, last):
            state, _ = compiled(state, random_steps(model, 1, seed=i))
        return state

    straight = jax.device_get(run(init_state(model, mesh), 0, 4))
    half = run(init_state(model, mesh), 0, 2)
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Checkpoints(Path(folder) / "checkpoints", 1, log=lambda text: None)
        checkpoints.save(2, half)
        checkpoints.close()
        again = Checkpoints(Path(folder) / "checkpoints", 1, log=lambda text: None)
        found = again.restore(state_shapes(model, mesh))
        again.close()
    assert found is not None
    resumed = jax.device_get(run(found[1], 2, 4))
    pairs = zip(jax.tree.leaves(straight), jax.tree.leaves(resumed), strict=True)
    return sum(np.asarray(x).tobytes() != np.asarray(y).tobytes() for x, y in pairs)
