"""What a compiled training step needs: memory, operations, communication between devices."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
from jax.sharding import Mesh

from xl_jax.batches.placement import step_shapes
from xl_jax.devices.memory import memory_of
from xl_jax.errors import InputError
from xl_jax.model.shared_model import SharedModel
from xl_jax.training.step import flops_per_step, make_step, state_shapes

SIZES = {"pred": 1, "s8": 1, "u8": 1, "bf16": 2, "f16": 2, "s32": 4, "u32": 4, "f32": 4, "u64": 8}
_COLLECTIVE = re.compile(
    r"= (.*?) (all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute)(-start)?\("
)
_ARRAY = re.compile(r"\b([a-z]+\d*)\[([\d,]*)\]")


class Memory(NamedTuple):
    """Bytes on one device while the step runs."""

    state: int  # what comes in: parameters, moments, tokens; the new state takes its place
    extra: int  # results that take no argument's place
    temporary: int
    program: int

    @property
    def total(self) -> int:
        return sum(self)


def compile_step(model: SharedModel, mesh: Mesh) -> jax.stages.Compiled:
    """The training step of a run on `mesh`, `steps_per_call` steps a call. Nothing is computed; the
    devices need not be there.

    Raises:
      InputError: a mesh that does not divide the parameters.
    """
    c = model.config
    batch = step_shapes(c.batch, c.data.length, c.steps_per_call, mesh)
    step: Any = make_step(model, c.steps, mesh)
    return step.lower(state_shapes(model, mesh), batch).compile()


def memory(compiled: jax.stages.Compiled) -> Memory | None:
    """None where the backend does not say."""
    found: Any = compiled.memory_analysis()
    if found is None:
        return None
    return Memory(
        found.argument_size_in_bytes,
        found.output_size_in_bytes - found.alias_size_in_bytes,
        found.temp_size_in_bytes,
        found.generated_code_size_in_bytes,
    )


def check_memory(model: SharedModel, mesh: Mesh, needs: Memory | None) -> None:
    """Raises InputError: the step needs more memory than its devices have."""
    b = model.config.batch
    remedy = (
        f"make batch.rows = {b.rows}, batch.slots = {b.slots} or data.length = "
        f"{model.config.data.length} smaller, or batch.accum or mesh larger"
    )
    check_fits("a step", needs, mesh.local_devices, remedy)


def check_fits(what: str, needs: Memory | None, devices: Sequence[Any], remedy: str) -> None:
    """Raises InputError: a program needs more memory than its devices have, each `needs`. Devices
    of a CPU share the machine's."""
    there = memory_of(devices[0])
    if needs is None or there is None:
        return
    total = needs.total * (len(devices) if devices[0].platform == "cpu" else 1)
    if total > there:
        kind = devices[0].device_kind
        raise InputError(
            f"{what} needs {_gib(total)} of memory and {kind} has {_gib(there)}: {remedy}"
        )


def collectives(program: str) -> dict[str, tuple[int, int]]:
    """(number, bytes of their results on one device) of each kind of communication in the text of a
    compiled program; what stands in a loop counts once."""
    number: Counter[str] = Counter()
    size: Counter[str] = Counter()
    for result, kind, started in _COLLECTIVE.findall(program):
        arrays = [_bytes(*x) for x in _ARRAY.findall(result)]
        if started and kind != "all-reduce":  # (arguments, results, ...)
            arrays = [max(arrays)]
        number[kind] += 1
        size[kind] += sum(arrays)
    return {kind: (number[kind], size[kind]) for kind in sorted(number)}


def _bytes(kind: str, shape: str) -> int:
    n = SIZES.get(kind, 4)
    for x in filter(None, shape.split(",")):
        n *= int(x)
    return n


def summary(model: SharedModel, mesh: Mesh, needs: Memory | None) -> str:
    """What a run is about to do, before its first step."""
    c, b = model.config, model.config.batch
    rows = b.accum * b.slots * b.rows
    axes = ", ".join(f"{name} {size}" for name, size in mesh.shape.items())
    memory = f"{_gib(needs.total)} (state {_gib(needs.state)})" if needs else "unknown"
    kind = mesh.devices.flat[0].device_kind
    return "\n".join(
        [
            f"a step: {b.accum} x {b.slots} slots x {b.rows} rows = {rows:,} rows of "
            f"{c.data.length} tokens = {rows * c.data.length:,} tokens; "
            f"{flops_per_step(model) / 1e9:,.1f} GFLOP of the model",
            f"devices: {mesh.size} {kind} ({axes}) of {jax.process_count()} processes; memory of "
            f"each: {memory}",
        ]
    )


def _gib(n: int) -> str:
    return f"{n / 2**30:.2f} GiB" if n >= 2**28 else f"{n / 2**20:.1f} MiB"
