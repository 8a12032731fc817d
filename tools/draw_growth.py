"""Draw how time grows: a panel for each axis of `tools/bench.py growth`, both axes in logarithms.

python tools/draw_growth.py             writes docs/growth.svg from results/growth_*.json
python tools/draw_growth.py --check     exit code 1 where that file is not up to date
"""

from collections.abc import Iterator, Mapping, Sequence
from math import ceil, floor, log10
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from tools import svg
from tools.benchmarks import record

ROOT = Path(__file__).resolve().parents[1]
PICTURE, RESULTS = ROOT / "docs" / "growth.svg", ROOT / "results"
TITLES = {
    "languages": "a step, by languages",
    "length": "a step, by tokens of a row",
    "vocabulary": "a step, by pieces",
    "layers": "a step, by layers",
    "text": "preparing, by MB of text",
    "candidates": "retrieval, by candidates",
    "runs": "a study, by runs",
}
COLOURS = ("#0072b2", "#d55e00", "#009e73")
WIDTH, HEIGHT, LEFT, TOP, COLUMNS = 250, 220, 52, 56, 4  # of a panel; of its plot; pixels
PLOT = (WIDTH - LEFT - 40, HEIGHT - 86)

Curve = Sequence[tuple[int, float]]


class Axis(NamedTuple):
    """Logarithms of its ends, and its pixels."""

    low: float
    high: float
    start: float
    length: float

    def place(self, value: float) -> float:
        return self.start + self.length * (log10(value) - self.low) / (self.high - self.low)


def curves(records: Sequence[dict[str, Any]]) -> dict[str, dict[str, Curve]]:
    """axis -> series -> (x, median seconds), and the slope of each last piece."""
    rounds: dict[str, dict[str, dict[int, list[float]]]] = {}
    for one in records:
        if one["metric"] == "seconds":
            series = rounds.setdefault(one["axis"], {}).setdefault(one["series"], {})
            series.setdefault(one["x"], []).append(one["value"])
    return {
        axis: {name: [(x, median(s)) for x, s in points.items()] for name, points in found.items()}
        for axis, found in rounds.items()
    }


def slopes(records: Sequence[dict[str, Any]]) -> dict[tuple[str, str], float]:
    """Of the last piece of each curve, by (axis, series)."""
    return {(x["axis"], x["series"]): x["value"] for x in records if x["metric"] == "slope"}


def axes(found: Mapping[str, Curve], x: float, y: float) -> tuple[Axis, Axis]:
    """That hold all curves of a panel at (x, y): of what grows, and of seconds, whole powers of
    ten."""
    points = [point for curve in found.values() for point in curve]
    across = [log10(n) for n, _ in points]
    up = [log10(s) for _, s in points]
    low, high = floor(min(up)), ceil(max(up))
    return (
        Axis(min(across), max(across), x + LEFT, PLOT[0]),
        Axis(low, max(high, low + 1), y + TOP + PLOT[1], -PLOT[1]),
    )


def panel(
    title: str, found: Mapping[str, Curve], slope: Mapping[str, float], x: float, y: float
) -> Iterator[str]:
    """One axis, its upper left corner at (x, y)."""
    across, up = axes(found, x, y)
    yield svg.text(x + 12, y + 18, title, 12, bold=True, anchor="start")
    for power in range(int(up.low), int(up.high) + 1):
        at = up.place(10.0**power)
        yield svg.line(x + LEFT, at, x + LEFT + PLOT[0], at, "#ddd")
        yield svg.text(x + LEFT - 6, at + 4, f"{10.0**power:g} s", anchor="end")
    ticks = sorted({n for curve in found.values() for n, _ in curve})
    for n in ticks:
        yield svg.text(across.place(n), y + TOP + PLOT[1] + 16, short(n), 10)
    ends: list[tuple[float, str]] = []
    for i, (name, curve) in enumerate(found.items()):
        colour, mark = COLOURS[i % len(COLOURS)], svg.diamond if i % 2 else svg.disc
        if name:
            yield mark(x + 18 + 76 * i, y + 34, colour)
            yield svg.text(x + 26 + 76 * i, y + 38, name.replace("_", " "), 10, anchor="start")
        places = [(across.place(n), up.place(s)) for n, s in curve]
        for (x1, y1), (x2, y2) in zip(places, places[1:], strict=False):
            yield svg.line(x1, y1, x2, y2, colour, 2)
        for place in places:
            yield mark(*place, colour)
        if name in slope:
            ends.append((places[-1][1] + 4, f"{slope[name]:.2f}"))
    for at, words in apart(ends):
        yield svg.text(x + LEFT + PLOT[0] + 8, at, words, 10, anchor="start")


def apart(labels: Sequence[tuple[float, str]]) -> list[tuple[float, str]]:
    """(y, words) from top to bottom, moved down where one would cover another."""
    placed: list[tuple[float, str]] = []
    for y, words in sorted(labels):
        placed.append((max(y, placed[-1][0] + 11) if placed else y, words))
    return placed


def short(n: int) -> str:
    """In thousands and millions."""
    for unit, word in ((1_000_000, "M"), (1_000, "k")):
        if n >= unit and not n % unit:
            return f"{n // unit}{word}"
    return str(n)


def draw() -> str:
    """The picture as SVG."""
    records = [
        one
        for path in sorted(RESULTS.glob("growth_*.json"))
        for one in record.read(path)["records"]
    ]
    found, slope = curves(records), slopes(records)
    titles = {axis: title for axis, title in TITLES.items() if axis in found}
    rows = -(-len(titles) // COLUMNS)

    def shapes() -> Iterator[str]:
        for i, (axis, title) in enumerate(titles.items()):
            x, y = WIDTH * (i % COLUMNS), HEIGHT * (i // COLUMNS)
            of = {series: value for (name, series), value in slope.items() if name == axis}
            yield from panel(title, found[axis], of, x, y)

    return svg.document(WIDTH * min(COLUMNS, len(titles)), HEIGHT * rows + 8, shapes())


if __name__ == "__main__":
    svg.main(__doc__ or "", "python tools/draw_growth.py", PICTURE, draw)
