"""How time and memory grow: of a training step with languages, the length of rows, the vocabulary
and layers; of preparing with the text; of retrieval with its candidates; of a study with its runs.

The slope at a point is that of time between it and the point before, both axes in logarithms: 1
where twice as much takes twice as long, 0 where it takes no longer.
"""

import argparse
import dataclasses
from collections.abc import Callable, Sequence
from math import log
from statistics import median
from typing import Any

from tools.benchmarks import growth_processes
from tools.benchmarks.floor import flops_per_second
from tools.benchmarks.racing import race, spread, warm_up
from tools.benchmarks.step import OurArm, shared_model
from tools.benchmarks.torch_step import Shape
from xl_jax.errors import InputError, unknown

Record = dict[str, Any]
Measure = Callable[[argparse.Namespace, Shape, Sequence[int]], list[Record]]
PRIVATE = ("sep_l1_3", "all_private")  # masks beside all_shared


def growth(args: argparse.Namespace, shape: Shape) -> list[Record]:
    """Records of the axes asked for, each at its own points or at those of --points; of --smallest
    the first two.

    Raises:
      InputError: an unknown axis, points of several axes, or points that are no numbers.
    """
    axes = args.axes.split(",")
    for axis in axes:
        if axis not in AXES:
            raise unknown("axis", axis, AXES)
    given = _numbers(args.points) if args.points else None
    if given and len(axes) > 1:
        raise InputError(f"--points={args.points} needs one axis, not --axes={args.axes}")
    records = []
    for axis in axes:
        points, measure = AXES[axis]
        points = given or points
        records += told(measure(args, shape, points[:2] if args.smallest else points))
    return records


def _numbers(given: str) -> list[int]:
    if not all(x.isdecimal() and int(x) for x in given.split(",")):
        raise InputError(f"--points={given} are not positive numbers: N,N,...")
    return [int(x) for x in given.split(",")]


def languages(args: argparse.Namespace, shape: Shape, points: Sequence[int]) -> list[Record]:
    """A step of as many rows, by the number of languages they are of, and by mask."""
    models = {}
    for mask in ("all_shared", *PRIVATE):
        for n in points if mask == "all_shared" else points[1:]:
            names = tuple(f"l{i}" for i in range(n))
            models[mask, n] = shape, shared_model(shape, names, mask, slots=points[-1])
    return _steps(args, "languages", models)


def length(args: argparse.Namespace, shape: Shape, points: Sequence[int]) -> list[Record]:
    """A step of as many tokens, in fewer and longer rows.

    Raises:
      InputError: tokens that the longest row does not divide.
    """
    models = {}
    if shape.tokens % points[-1]:
        raise InputError(f"{shape.tokens:,} tokens are not rows of {points[-1]:,}")
    for n in points:
        longer = dataclasses.replace(shape, rows=shape.tokens // n, length=n)
        models["", n] = longer, shared_model(longer, ("en",))
    return _steps(args, "length", models)


def vocabulary(args: argparse.Namespace, shape: Shape, points: Sequence[int]) -> list[Record]:
    return _by_field(args, shape, points, "vocabulary", "vocab")


def layers(args: argparse.Namespace, shape: Shape, points: Sequence[int]) -> list[Record]:
    return _by_field(args, shape, points, "layers", "layers")


def _by_field(
    args: argparse.Namespace, shape: Shape, points: Sequence[int], axis: str, field: str
) -> list[Record]:
    models = {}
    for n in points:
        grown = dataclasses.replace(shape, **{field: n})
        models["", n] = grown, shared_model(grown, ("en",))
    return _steps(args, axis, models)


def _steps(
    args: argparse.Namespace, axis: str, models: dict[tuple[str, int], tuple[Shape, Any]]
) -> list[Record]:
    """Seconds of a step of each model by round, over the first one's, and what it needs."""
    from xl_jax.training.step import flops_per_step

    arms = {}
    for (series, n), (shape, model) in models.items():
        arms[f"{series} {n}"] = arm = OurArm(shape, model)
        print(f"{axis}: {series} {n:,}: {warm_up(arm, args.steps):.1f} s until warm", flush=True)
    seconds = dict(zip(models, race(arms, args.rounds, args.steps).values(), strict=True))
    peak = flops_per_second(args.matmul)
    records: list[Record] = []
    for (series, n), (_, model) in models.items():
        about = {"axis": axis, "series": series, "x": n}
        needs = arms[f"{series} {n}"].megabytes
        records.append({**about, "metric": "megabytes", "value": needs})
        floor = flops_per_step(model) / peak
        records.append({**about, "metric": "floor_seconds", "value": floor})
        first = next(iter(seconds.values()))
        for r, (value, base) in enumerate(zip(seconds[series, n], first, strict=True)):
            records.append({**about, "metric": "seconds", "round": r, "value": value})
            records.append({**about, "metric": "over_first", "round": r, "value": value / base})
    return records


def told(records: list[Record]) -> list[Record]:
    """The records of an axis and their slopes, printed as a table."""
    axis = records[0]["axis"]
    print(f"\n{axis:<24}{'seconds':<28}{'MB':>8}{'floor, s':>10}{'slope':>8}")
    points = list(dict.fromkeys((x["series"], x["x"]) for x in records))
    before: dict[str, tuple[int, float]] = {}
    slopes: list[Record] = []
    for series, n in points:
        found: dict[str, list[float]] = {}
        for x in records:
            if (x["series"], x["x"]) == (series, n):
                found.setdefault(x["metric"], []).append(x["value"])
        here, cells = median(found["seconds"]), ["", "", ""]
        if "megabytes" in found:
            cells[0] = f"{found['megabytes'][0]:,.0f}"
        if "floor_seconds" in found:
            cells[1] = f"{found['floor_seconds'][0]:.3f}"
        if series in before:
            slope = log(here / before[series][1]) / log(n / before[series][0])
            about = {"axis": axis, "series": series, "x": n}
            slopes.append({**about, "metric": "slope", "value": slope})
            cells[2] = f"{slope:.2f}"
        before[series] = n, here
        name = f"{series} {n:,}".strip()
        print(
            f"{name:<24}{spread(found['seconds'], 3):<28}{cells[0]:>8}{cells[1]:>10}{cells[2]:>8}"
        )
    return records + slopes


AXES: dict[str, tuple[Sequence[int], Measure]] = {
    "languages": ((1, 2, 4, 8, 16, 32), languages),
    "length": ((32, 64, 128, 256, 512, 1024), length),
    "vocabulary": ((1000, 8000, 64_000, 250_000), vocabulary),
    "layers": ((1, 2, 4, 8, 16), layers),
    "text": ((1, 10, 100, 1000), growth_processes.text),
    "candidates": ((1_000, 10_000, 100_000, 1_000_000), growth_processes.candidates),
    "runs": ((1, 2, 4, 8), growth_processes.study),
}
