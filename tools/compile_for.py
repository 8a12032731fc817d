"""Compile the real training step for a machine that is not there, and say what it needs.

    python tools/compile_for.py --config=configs/paper.py --topology=v5e-8
    python tools/compile_for.py --config=configs/small.py --topology=t4-1 --json=compiled.json

Prints memory of a device, operations, communication with its bytes, and calls of cuDNN's fused
attention; for TPUs also the compiler's own estimate of bytes moved and time. Exit code 0 only if
the program fits. The compilers are those of the machines, JAX's plugin for CUDA or libtpu
(docs/compiling.md). Nothing is computed or read; the vocabulary is as large as the config asks.

With --json a record of the program is kept, in place of an earlier one of the same topology and
flags. With --against exit code 1 says that memory or communication is over 5 % more than there.
"""

if __name__ == "__main__":
    from xl_jax import stopping

    stopping.listen()  # before the imports below

import re
import sys
import time
from pathlib import Path
from typing import Any

from absl import flags

from tools import topologies
from tools.benchmarks import record
from xl_jax import cli, config_flags
from xl_jax.errors import InputError
from xl_jax.json_files import read_json

TOPOLOGY = flags.DEFINE_string("topology", "v5e-8", f"One of {', '.join(topologies.KNOWN)}.")
JSON = flags.DEFINE_string("json", None, "File to keep the figures in.")
AGAINST = flags.DEFINE_string("against", None, "File of such figures, to compare with.")
SEEDS = flags.DEFINE_integer("seeds", 1, "Runs that differ in their seed, in one program.", 1)
PROGRAM = flags.DEFINE_string("program", None, "Name of the program (default: config, flags).")

GROWTH = 1.05  # of memory and communication, against a kept record
_FUSED = re.compile(r'custom_call_target="__cudnn\$fmha(\w*)"')

Figures = dict[str, float]


def main() -> None:
    config = config_flags.config()
    earlier = _kept(Path(AGAINST.value)) if AGAINST.value else {}
    path = Path(JSON.value) if JSON.value else None
    _check_kept_in(path)
    name = PROGRAM.value or program_name(sys.argv[1:])
    if AGAINST.value and (TOPOLOGY.value, name) not in earlier:
        raise InputError(f"{AGAINST.value} has no record of {name!r} for {TOPOLOGY.value}")
    found, gib = topologies.describe(TOPOLOGY.value)
    from tools.benchmarks.seeds import make_seeds_step, shapes
    from xl_jax.devices.mesh import make_mesh
    from xl_jax.devices.peak import peak_flops
    from xl_jax.model.shared_model import SharedModel
    from xl_jax.tokens.table_size import rows_of
    from xl_jax.training.compiled_step import compile_step
    from xl_jax.training.step import flops_per_step

    mesh, model = make_mesh(config, found), SharedModel.abstract(config, rows_of(config))
    print(model.totals())
    start = time.monotonic()
    n = SEEDS.value
    if n == 1:
        compiled = compile_step(model, mesh)
    else:
        compiled = make_seeds_step(model, mesh).lower(*shapes(model, n, mesh)).compile()
    print(
        f"{TOPOLOGY.value}, mesh {dict(mesh.shape)}, compiled in {time.monotonic() - start:.0f} s"
    )
    needs = figures(compiled)
    needs["TFLOP of the model, a step"] = n * flops_per_step(model) / 1e12
    if peak := peak_flops(found[0], config.model.dtype):
        needs["ms of them at peak"] = n * flops_per_step(model) / mesh.size / peak * 1e3
    needs["GiB of a device"] = gib
    for metric, value in needs.items():
        print(f"  {metric}: {value:,.{2 if value >= 1 else 4}f}")
    if path:
        _keep(path, name, needs)
    if AGAINST.value:
        _compare(needs, earlier[TOPOLOGY.value, name])
    if needs["GiB used"] > gib:
        raise RuntimeError(f"does not fit: {needs['GiB used']:.2f} GiB, a device has {gib:.1f}")
    print("fits")


def program_name(arguments: list[str]) -> str:
    """The flags that say what is compiled."""
    own = ("--topology", "--json", "--against")
    return " ".join(x.removeprefix("--") for x in arguments if not x.startswith(own))


def figures(compiled: Any) -> Figures:
    """What a compiled step needs on one device; what stands in a loop counts once."""
    from xl_jax.training.compiled_step import collectives, memory

    needs = memory(compiled)
    assert needs is not None
    found: Figures = {"GiB used": needs.total / 2**30}
    found |= {f"GiB, {part}": size / 2**30 for part, size in needs._asdict().items()}
    text = compiled.as_text() or ""
    for kind, (number, size) in collectives(text).items():
        found |= {f"{kind}s": number, f"MiB of {kind}s": size / 2**20}
    if "__cudnn$fmha" in text:
        forward, backward = fused(text)
        found |= {"fused attention, forward": forward, "fused attention, backward": backward}
    if cost := compiled.cost_analysis():
        found["TFLOP of a device, compiled"] = cost["flops"] / 1e12
        found["GB moved, estimate"] = cost["bytes accessed"] / 1e9
        if (seconds := cost.get("optimal_seconds", 0)) > 0:  # negative: it does not know
            found["ms a step, estimate"] = seconds * 1e3
    return found


def fused(program: str) -> tuple[int, int]:
    """Calls of cuDNN's attention in the text of a program: forward, backward."""
    calls = _FUSED.findall(program)
    backward = sum(kind.endswith("Backward") for kind in calls)
    return len(calls) - backward, backward


def _kept(path: Path) -> dict[tuple[str, str], Figures]:
    """(topology, program) -> figures of a file."""
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    found: dict[tuple[str, str], Figures] = {}
    try:
        for x in read_json(path)["records"]:
            found.setdefault((x["topology"], x["program"]), {})[x["metric"]] = x["value"]
    except (KeyError, TypeError) as error:
        raise InputError(f"{path} is no file of such figures: {error!r}") from error
    return found


def _check_kept_in(path: Path | None) -> None:
    """Raises InputError: the file of --json cannot be written, or holds something else."""
    cli.check_file("json", path)
    if path and path.exists():
        _stored(path)


def _stored(path: Path) -> record.Record:
    """The measurement of a file that `_keep` wrote.

    Raises:
      InputError: it is another file, or damaged.
    """
    _kept(path)
    try:
        return record.read(path)
    except ValueError as error:
        raise InputError(str(error)) from error


def _keep(path: Path, name: str, needs: Figures) -> None:
    earlier = _stored(path) if path.exists() else {"command": [], "records": []}
    key = {"topology": TOPOLOGY.value, "program": name}
    others = [x for x in earlier["records"] if {y: x[y] for y in key} != key]
    case = {"case": f"{TOPOLOGY.value}: {name}"}  # a row of a table
    made = [{**key, **case, "metric": x, "value": float(f"{y:.6g}")} for x, y in needs.items()]
    about = record.about(["python", *sys.argv])
    about["command"] = [x for x in earlier["command"] if x != about["command"]] + [about["command"]]
    record.write(path, about, [*others, *made])


def _compare(now: Figures, before: Figures) -> None:
    """Raises RuntimeError: the program needs more than it did."""
    watched = [x for x in before if x == "GiB used" or x.startswith("MiB of")]
    grown = [x for x in watched if now.get(x, 0) > GROWTH * before[x]]
    grown += [x for x in now if x.startswith("MiB of") and x not in before]
    if grown:
        told = ", ".join(f"{x} {before.get(x, 0):.4f} -> {now[x]:.4f}" for x in grown)
        raise RuntimeError(f"grew by over {GROWTH - 1:.0%}: {told}")
    print("no more than it was")


if __name__ == "__main__":
    cli.run(main, __doc__, config_flags.parse)
