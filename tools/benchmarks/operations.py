"""Where the time of a training step goes, by kind of operation: ours and equal work in PyTorch."""

import argparse
import importlib.util
import re
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tools.benchmarks.step import OurArm, shared_model
from tools.benchmarks.torch_step import Setup, Shape, gathered_arm
from xl_jax.errors import InputError

PRODUCTS, ATTENTION, COPIES = "products of matrices", "products within attention", "copies"
UPDATE, REST = "clipping and Adam", "element-wise operations, sums, look-ups"
KINDS = (PRODUCTS, ATTENTION, COPIES, UPDATE, REST)

Times = dict[str, float]  # kind -> milliseconds of one core a step

# %name = type operation(...), ..., metadata={op_name="..."}
_INSTRUCTION = re.compile(r"^\s*(?:ROOT )?%(\S+) = (?:\(.*?\)|\S+) ([\w-]+)\((.*)$", re.MULTILINE)
_PLACE = re.compile(r'op_name="([^"]*)"')
_MODEL = "jvp("  # in the name of whatever the loss and its gradients compute
_CONTAINERS = ("while", "call", "conditional")  # what they call is counted itself
_OF_TORCH = {
    PRODUCTS: ("mm", "addmm"),
    ATTENTION: (
        "bmm",
        "baddbmm",
        "_scaled_dot_product_flash_attention_for_cpu",
        "_scaled_dot_product_flash_attention_for_cpu_backward",
    ),
    COPIES: ("copy_", "cat", "clone"),
    UPDATE: ("_fused_adamw_", "_foreach_norm", "_foreach_mul_", "linalg_vector_norm"),
}


def operations(args: argparse.Namespace, shape: Shape) -> list[dict[str, Any]]:
    """Milliseconds of one core a step by kind of operation, each library by its own profiler, which
    takes time too, of PyTorch's many small operations most; records of each kind. PyTorch's
    attention is one operation with its softmax and copies, which are apart in ours.

    Raises:
      InputError: more than one core.
    """
    if args.threads != 1:
        raise InputError(f"operations are timed on one core: --threads=1, not {args.threads}")
    times = {"xl_jax": _ours(shape, args.steps)}
    if importlib.util.find_spec("torch") is not None:
        times["torch"] = _torch(shape, args.steps)
    print(f"{'milliseconds of one core a step':<42}" + "".join(f"{arm:>10}" for arm in times))
    records: list[dict[str, Any]] = []
    for kind in KINDS:
        print(f"{kind:<42}" + "".join(f"{found[kind]:>10.1f}" for found in times.values()))
        for arm, found in times.items():
            share = found[kind] / sum(found.values())
            records.append({"metric": "ms", "arm": arm, "kind": kind, "value": found[kind]})
            records.append({"metric": "share", "arm": arm, "kind": kind, "value": share})
    return records


def _ours(shape: Shape, steps: int) -> Times:
    import jax

    arm = OurArm(shape, shared_model(shape, ("en",)))
    for _ in range(2):
        arm(steps)
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            arm(steps)
        (file,) = Path(folder).rglob("*.xplane.pb")
        data = jax.profiler.ProfileData.from_file(str(file))
    events = (
        (event.name, event.duration_ns / 1e6 / steps)
        for plane in data.planes
        for line in plane.lines
        if "CPU" in plane.name and "XLA" in line.name
        for event in line.events
    )
    return by_kind(events, kinds_of(arm.compiled.as_text()))


def kinds_of(program: str) -> dict[str, str]:
    """Instruction -> kind, for the instructions of a compiled program that take time themselves."""
    return {
        name: _kind(name, operation, rest)
        for name, operation, rest in _INSTRUCTION.findall(program)
        if operation not in _CONTAINERS
    }


def _kind(name: str, operation: str, rest: str) -> str:
    if operation == "dot":
        return ATTENTION if "lhs_batch_dims" in rest else PRODUCTS
    place = _PLACE.search(rest)
    if place and _MODEL not in place[1]:
        return UPDATE
    return COPIES if "copy" in name or "transpose" in name else REST


def by_kind(events: Iterable[tuple[str, float]], kinds: Mapping[str, str]) -> Times:
    """Sums over (instruction, milliseconds); what is no instruction is left out."""
    found = dict.fromkeys(KINDS, 0.0)
    for name, ms in events:
        if name in kinds:
            found[kinds[name]] += ms
    return found


def _torch(shape: Shape, steps: int) -> Times:
    import torch

    torch.set_num_threads(1)
    arm = gathered_arm(shape, Setup())
    for _ in range(2):
        arm(steps)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as trace:
        arm(steps)
    kinds = {f"aten::{name}": kind for kind, names in _OF_TORCH.items() for name in names}
    found = dict.fromkeys(KINDS, 0.0)
    for event in trace.key_averages():
        found[kinds.get(event.key, REST)] += event.self_cpu_time_total / 1e3 / steps
    return found
