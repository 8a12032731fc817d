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
LANGUAGES = (1, 2, 4, 8, 16, 32)
PRIVATE = ("sep_l1_3", "all_private")  # masks beside all_shared
LENGTHS = (32, 64, 128, 256, 512, 1024)
VOCABULARIES = (1000, 8000, 64_000, 250_000)
LAYERS = (1, 2, 4, 8, 16)


def growth(args: argparse.Namespace, shape: Shape) -> list[Record]:
    """Records of the axes asked for; of --smallest the first two points of each.

    Raises:
      InputError: an unknown axis.
    """
    axes = args.axes.split(",")
    for axis in axes:
        if axis not in AXES:
            raise unknown("axis", axis, AXES)
    return [x for axis in axes for x in AXES[axis](args, shape)]


def languages(args: argparse.Namespace, shape: Shape) -> list[Record]:
    """A step of as many rows, by the number of languages they are of, and by mask."""
    numbers = _points(args, LANGUAGES)
    models = {}
    for mask in ("all_shared", *PRIVATE):
        for n in numbers if mask == "all_shared" else numbers[1:]:
            names = tuple(f"l{i}" for i in range(n))
            models[mask, n] = shape, shared_model(shape, names, mask, slots=numbers[-1])
    return _steps(args, "languages", models)


def length(args: argparse.Namespace, shape: Shape) -> list[Record]:
    """A step of as many tokens, in fewer and longer rows.

    Raises:
      InputError: tokens that the longest row does not divide.
    """
    models, lengths = {}, _points(args, LENGTHS)
    if shape.tokens % lengths[-1]:
        raise InputError(f"{shape.tokens:,} tokens are not rows of {lengths[-1]:,}")
    for n in lengths:
        longer = dataclasses.replace(shape, rows=shape.tokens // n, length=n)
        models["", n] = longer, shared_model(longer, ("en",))
    return _steps(args, "length", models)


def vocabulary(args: argparse.Namespace, shape: Shape) -> list[Record]:
    return _by_field(args, shape, "vocabulary", "vocab", VOCABULARIES)


def layers(args: argparse.Namespace, shape: Shape) -> list[Record]:
    return _by_field(args, shape, "layers", "layers", LAYERS)


def _by_field(
    args: argparse.Namespace, shape: Shape, axis: str, field: str, points: Sequence[int]
) -> list[Record]:
    models = {}
    for n in _points(args, points):
        grown = dataclasses.replace(shape, **{field: n})
        models["", n] = grown, shared_model(grown, ("en",))
    return _steps(args, axis, models)


def _points(args: argparse.Namespace, points: Sequence[int]) -> Sequence[int]:
    return points[:2] if args.smallest else points


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
    return told(records)


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


def _processes(
    points: Callable[[argparse.Namespace, Shape], list[Record]],
) -> Callable[[argparse.Namespace, Shape], list[Record]]:
    return lambda args, shape: told(points(args, shape))


AXES: dict[str, Callable[[argparse.Namespace, Shape], list[Record]]] = {
    "languages": languages,
    "length": length,
    "vocabulary": vocabulary,
    "layers": layers,
    "text": _processes(growth_processes.text),
    "candidates": _processes(growth_processes.candidates),
    "runs": _processes(growth_processes.study),
}
