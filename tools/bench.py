"""How fast a training step is: against PyTorch at the same shapes, and by sharing mask.

    python tools/bench.py step                    tokens/s of xl_jax and of three PyTorch peers
    python tools/bench.py masks                   time of a step by preset, over all_shared
    python tools/bench.py step --rows 8 --no-compile --json bench.json

Programs take turns, so that a machine that drifts drifts for all; ratios are formed round by round.
Nobody else should use the machine. Figures are of the CPU. Every arm of `step` clips gradients and
runs AdamW (fused in PyTorch, the default of transformers' Trainer). The masking is part of xl_jax's
step; the peers get rows that are masked already.
"""

import argparse
import dataclasses
import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.torch_peers import CLIP, LR, Arm, Shape, gathered_arm, transformers_arm
from xl_jax.data.special import N_SPECIAL
from xl_jax.errors import InputError, unknown


def shared_model(shape: Shape, languages: tuple[str, ...], sharing: str = "all_shared") -> Any:
    """Our `SharedModel` with one slot a language, post-norm, float32.

    Raises:
      InputError: rows that the languages cannot share evenly, or sizes that `Config` refuses.
    """
    from xl_jax.config import Batch, Config, Data, Model, Optim
    from xl_jax.model import SharedModel

    slots = len(languages)
    if shape.rows % slots:
        raise InputError(f"--rows {shape.rows} is not a multiple of {slots}, one slot a language")
    if shape.vocab <= N_SPECIAL:
        raise InputError(f"--vocab {shape.vocab} leaves nothing beside {N_SPECIAL} special tokens")
    config = Config(
        languages=languages,
        corpora=dict.fromkeys(languages, "drawn in memory"),
        sharing=sharing,
        data=Data(length=shape.length),
        model=Model(
            layers=shape.layers,
            heads=shape.heads,
            width=shape.width,
            ffn=shape.ffn,
            positions=shape.length,
            dropout=shape.dropout,
            attention_dropout=shape.dropout,
        ),
        batch=Batch(slots=slots, rows=shape.rows // slots),
        optim=Optim(lr=LR, schedule="constant", warmup=1, clip=CLIP),
    )
    possible = np.ones((slots, shape.vocab), bool)
    return SharedModel(
        config, shape.vocab, possible, possible & (np.arange(shape.vocab) >= N_SPECIAL)
    )


def xl_jax_arm(shape: Shape, model: Any) -> Arm:
    """Our real step, one call of the device a step, the state donated."""
    from xl_jax.data.windows import Step
    from xl_jax.step import init_state, make_step

    slots = len(model.config.languages)
    tokens = shape.draw_tokens().reshape(1, 1, slots, -1, shape.length)
    batch = Step(tokens, np.arange(slots, dtype=np.int32).reshape(1, 1, slots))
    step, state = make_step(model, steps=1), init_state(model)

    def run(steps: int) -> float:
        nonlocal state
        for _ in range(steps):
            state, metrics = step(state, batch)
        return float(metrics["loss_sum"].sum() / metrics["predicted"].sum())

    return run


def matmul_peaks(size: int, with_torch: bool) -> dict[str, Callable[[], float]]:
    """By library, a function that measures GFLOP/s of one float32 product of `size` squared."""
    import jax
    import jax.numpy as jnp

    square = np.random.default_rng(0).standard_normal((size, size), dtype=np.float32)
    product, a = jax.jit(jnp.matmul), jnp.asarray(square)
    calls: dict[str, Callable[[], Any]] = {"jax": lambda: product(a, a).block_until_ready()}
    if with_torch:
        import torch

        b = torch.tensor(square)
        calls["torch"] = lambda: b @ b

    def measure(call: Callable[[], Any]) -> float:
        call()
        start = time.perf_counter()
        call()
        return 2 * size**3 / (time.perf_counter() - start) / 1e9

    return {name: (lambda call=call: measure(call)) for name, call in calls.items()}


def race(
    arms: dict[str, Arm], rounds: int, steps: int, between: Callable[[], None] = lambda: None
) -> dict[str, list[float]]:
    """Seconds a step, by arm and round. The arm that begins changes from round to round."""
    names = list(arms)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for r in range(rounds):
        between()
        first = r % len(names)
        for name in names[first:] + names[:first]:
            start = time.perf_counter()
            arms[name](steps)
            seconds[name].append((time.perf_counter() - start) / steps)
    return seconds


def warm_up(arm: Arm) -> float:
    """Seconds of compiling and a first step; a second step goes unmeasured."""
    start = time.perf_counter()
    arm(1)
    seconds = time.perf_counter() - start
    if not np.isfinite(loss := arm(1)):
        raise FloatingPointError(f"the loss is {loss} after two steps")
    return seconds


def spread(values: Sequence[float], digits: int) -> str:
    """Median (lowest-highest)."""
    low, high = min(values), max(values)
    return f"{median(values):,.{digits}f} ({low:,.{digits}f}-{high:,.{digits}f})"


def step(args: argparse.Namespace, shape: Shape) -> list[dict[str, Any]]:
    """Tokens/s of xl_jax and of the peers; records of every arm and round."""
    from xl_jax.step import flops_per_step

    model = shared_model(shape, ("en",))
    makers: dict[str, Callable[[], Arm]] = {"xl_jax": lambda: xl_jax_arm(shape, model)}
    if have_torch := importlib.util.find_spec("torch") is not None:
        import torch

        torch.set_num_threads(args.threads)
        torch.manual_seed(0)
        makers["torch"] = lambda: gathered_arm(shape)
    if have_torch and importlib.util.find_spec("transformers") is not None:
        makers["transformers"] = lambda: transformers_arm(shape, compiled=False)
        if args.compile:
            makers["transformers_compile"] = lambda: transformers_arm(shape, compiled=True)
    else:
        print("left out: arms whose library is missing (pip install -r requirements-bench.txt)")

    arms: dict[str, Arm] = {}
    records: list[dict[str, Any]] = []
    for name, make in makers.items():
        try:
            arm = make()
            records.append({"metric": "warm_up_seconds", "arm": name, "value": warm_up(arm)})
            arms[name] = arm
        except Exception as error:  # a peer that fails must not cost the others' figures
            if name == "xl_jax":
                raise
            reason = f"{type(error).__name__}: {str(error).strip()}".splitlines()[0]
            print(f"left out: {name} failed: {reason}")
            records.append({"metric": "failed", "arm": name, "reason": reason})

    peaks: dict[str, list[float]] = {}
    products = matmul_peaks(args.matmul, have_torch)

    def measure_peaks() -> None:
        for library, gflops in products.items():
            peaks.setdefault(library, []).append(gflops())

    seconds = race(arms, args.rounds, args.steps, measure_peaks)
    flops = flops_per_step(model)
    print(f"{flops / 1e9:.1f} GFLOP a step of the model with gathered positions (counted for all)")
    for library, values in peaks.items():
        print(f"matmul {args.matmul}^3 float32, {library}: {spread(values, 0)} GFLOP/s by round")
        for r, value in enumerate(values):
            records.append({"metric": "matmul_gflops", "arm": library, "round": r, "value": value})
    print(
        f"{'arm':<21}{'tokens/s':<26}{'xl_jax / arm':<20}{'GFLOP/s':>8}{'of matmul':>10}"
        f"{'warm-up s':>11}"
    )
    for name, values in seconds.items():
        rate = [shape.tokens / value for value in values]
        ratio = [value / ours for value, ours in zip(values, seconds["xl_jax"], strict=True)]
        for r in range(args.rounds):
            common = {"arm": name, "round": r}
            records.append({"metric": "tokens_per_second", "value": rate[r], **common})
            records.append({"metric": "xl_jax_over_arm", "value": ratio[r], **common})
        achieved = flops / median(values) / 1e9
        share = achieved / max(peaks["jax" if name == "xl_jax" else "torch"])
        first = next(x["value"] for x in records if x["arm"] == name)
        print(
            f"{name:<21}{spread(rate, 0):<26}{spread(ratio, 2):<20}{achieved:>8.1f}{share:>10.0%}"
            f"{first:>11.1f}"
        )
    return records


def masks(args: argparse.Namespace, shape: Shape) -> list[dict[str, Any]]:
    """Time of a step of two languages by preset, over all_shared; records of every round."""
    presets = list(dict.fromkeys(["all_shared", *args.presets.split(",")]))
    models = {name: shared_model(shape, ("en", "fr"), name) for name in presets}
    _ = [model.mask for model in models.values()]  # a preset that does not fit: before any work
    arms = {name: xl_jax_arm(shape, model) for name, model in models.items()}
    records = [
        {"metric": "warm_up_seconds", "arm": name, "value": warm_up(arm)}
        for name, arm in arms.items()
    ]
    seconds = race(arms, args.rounds, args.steps)
    print(f"{'sharing':<14}{'ms a step':<32}{'over all_shared':<22}{'warm-up s':>9}")
    for name, first in zip(presets, list(records), strict=True):
        pairs = zip(seconds[name], seconds["all_shared"], strict=True)
        ratio = [value / shared for value, shared in pairs]
        for r, value in enumerate(seconds[name]):
            common = {"arm": name, "round": r}
            records.append({"metric": "seconds_per_step", "value": value, **common})
            records.append({"metric": "over_all_shared", "value": ratio[r], **common})
        ms = spread([1000 * value for value in seconds[name]], 1)
        print(f"{name:<14}{ms:<32}{spread(ratio, 2):<22}{first['value']:>9.1f}")
    return records


COMMANDS = {"step": step, "masks": masks}


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise InputError(message)


def parse(argv: Sequence[str]) -> tuple[argparse.Namespace, Shape]:
    """The command's flags and shape.

    Raises:
      InputError: an unknown command or flag, or a number that is not positive.
    """
    layout = argparse.RawDescriptionHelpFormatter
    parser = Parser(description=__doc__, formatter_class=layout, allow_abbrev=False)
    parser.add_argument("command", help=", ".join(COMMANDS))
    for field in dataclasses.fields(Shape):
        kind = float if field.name == "dropout" else int
        parser.add_argument(f"--{field.name}", type=kind, default=field.default)
    for name, default in (("rounds", 5), ("steps", 5), ("threads", 2), ("matmul", 2048)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--no-compile", dest="compile", action="store_false")
    parser.add_argument("--presets", default="all_shared,sep_emb,sep_l1_3,sep_l1_6,all_private")
    parser.add_argument("--json", type=Path, help="file to write the records to")
    args = parser.parse_args(argv)
    if args.command not in COMMANDS:
        raise unknown("command", args.command, COMMANDS)
    shape = Shape(**{f.name: getattr(args, f.name) for f in dataclasses.fields(Shape)})
    for name, value in vars(args).items():
        if type(value) is int and value < 1:
            raise InputError(f"--{name} {value} is not positive")
    return args, shape


def machine(argv: Sequence[str], threads: int) -> dict[str, Any]:
    """What a figure depends on beside the shape."""
    cpuinfo = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.+)", cpuinfo.read_text() if cpuinfo.exists() else "")
    versions = {"python": platform.python_version()}
    for name in ("jax", "jaxlib", "flax", "optax", "numpy", "torch", "transformers"):
        if importlib.util.find_spec(name) is not None:
            versions[name] = importlib.metadata.version(name)
    return {
        "command": shlex.join(["python", "tools/bench.py", *argv]),
        "cpu": model[1] if model else platform.processor(),
        "threads": threads,
        "load_average": os.getloadavg()[0],
        "versions": versions,
    }


def main(argv: Sequence[str]) -> None:
    args, shape = parse(argv)
    if hasattr(os, "sched_setaffinity"):  # XLA makes a thread for every core that it may use
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: args.threads])
    os.environ["JAX_PLATFORMS"] = "cpu"
    about = {**machine(argv, args.threads), "shape": dataclasses.asdict(shape)}
    for name, value in about.items():
        print(f"{name}: {value}")
    records = COMMANDS[args.command](args, shape)
    if args.json:
        args.json.write_text(json.dumps({**about, "records": records}, indent=1) + "\n")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
