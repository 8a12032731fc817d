"""Draw the slope of Table 1: what each mask loses, ours beside the paper's.

python tools/draw_slope.py             writes docs/slope.svg from results/table1_tiny.json
python tools/draw_slope.py --check     exit code 1 where that file is not up to date
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tools import svg
from tools.benchmarks import record

ROOT = Path(__file__).resolve().parents[1]
PICTURE, RESULTS = ROOT / "docs" / "slope.svg", ROOT / "results" / "table1_tiny.json"
GROUPS = {  # row of the study -> its title
    "everything shared": {
        "Default": "Default",
        "No anchors": "No anchors",
        "Extra anchors": "Extra anchors",
    },
    "private parts, equal starting values": {
        "sep_emb_equal": "Sep Emb: embeddings",
        "sep_l1_equal": "layer 1 of 4 (paper: 1-3 of 8)",
        "sep_emb_l1_equal": "embeddings, layer 1 (1-3)",
        "sep_l1_3_equal": "layers 1-3 of 4 (1-6 of 8)",
        "sep_emb_l1_3_equal": "embeddings, layers 1-3 (1-6)",
        "all_private_equal": "everything",
    },
    "private parts, different starting values": {
        "sep_tokens_different": "tokens, but not positions",
        "sep_l1_anchors": "layer 1, 30 % anchors",
        "sep_l1_3_anchors": "layers 1-3, 30 % anchors",
        "sep_emb_different": "Sep Emb: embeddings",
        "all_private_different": "everything",
    },
}
TAGS, OURS = "linear probe, %: en-twin", "linear probe, %: Δ"
PAPER = "published, Δ: NER"
BLUE, ORANGE = "#0072b2", "#d55e00"
LEFT, RIGHT, TOP, ROW = 250, 660, 92, 24  # of the axis; pixels
LOW, HIGH = -60, 5  # ends of the axis; points

Values = Mapping[str, Mapping[str, Any]]


def place(points: float) -> float:
    """x of a difference."""
    return LEFT + (RIGHT - LEFT) * (points - LOW) / (HIGH - LOW)


def rows(values: Values) -> Iterator[tuple[str, Mapping[str, Any] | None]]:
    """Titles of groups, and the values of every row whose tags were measured."""
    for group, titles in GROUPS.items():
        yield group, None
        for row, title in titles.items():
            if TAGS in values.get(row, {}):
                yield title, values[row]


def bar(low: float, high: float, y: float) -> Iterator[str]:
    """An interval; to the edge of the axis, with a head there, where it goes beyond it."""
    left, right = (place(max(LOW, min(HIGH, end))) for end in (low, high))
    yield svg.line(left, y, right, y, BLUE, 2)
    if low < LOW:
        yield svg.tip(left, y, BLUE, left=True)
    if high > HIGH:
        yield svg.tip(right, y, BLUE, left=False)


def draw() -> str:
    """The picture as SVG."""
    values: dict[str, dict[str, Any]] = {}
    for one in record.read(RESULTS)["records"]:
        values.setdefault(one["row"], {})[one["metric"]] = one
    lines = list(rows(values))
    height = TOP + ROW * len(lines) + 44
    bottom = height - 40

    def shapes() -> Iterator[str]:
        yield svg.text(16, 24, "What two languages must share", 15, bold=True, anchor="start")
        legend = "English and its twin, four layers: accuracy of a linear tagger on the twin"
        yield svg.disc(24, 44, BLUE) + svg.text(38, 48, legend, 12, anchor="start")
        legend = "the paper, eight layers: zero-shot NER F1, mean of three pairs of languages"
        yield svg.diamond(24, 64, ORANGE) + svg.text(38, 68, legend, 12, anchor="start")
        yield svg.text(RIGHT + 62, TOP - 6, "tags, %")
        for points in range(LOW, HIGH + 1, 10):
            yield svg.line(
                place(points), TOP, place(points), bottom, "#888" if not points else "#eee"
            )
            yield svg.text(place(points), bottom + 16, f"{points:+d}" if points else "0")
        axis = "difference from Default, points; bars: 95 % intervals over seeds"
        yield svg.text((LEFT + RIGHT) / 2, bottom + 32, axis, 12)
        for i, (name, found) in enumerate(lines):
            y = TOP + ROW * i + ROW / 2
            if found is None:
                yield svg.text(LEFT - 12, y + 6, name, 11, bold=True, anchor="end")
                continue
            yield svg.text(LEFT - 12, y + 4, name, 12, anchor="end")
            if PAPER in found:
                yield svg.diamond(place(found[PAPER]["value"]), y, ORANGE)
            ours = found.get(OURS, {"value": 0.0})
            if "low" in ours:
                yield from bar(ours["low"], ours["high"], y)
            yield svg.disc(place(ours["value"]), y, BLUE)
            yield svg.text(RIGHT + 62, y + 4, mean(found[TAGS]), 12)

    return svg.document(RIGHT + 120, height, shapes())


def mean(found: Mapping[str, Any]) -> str:
    """With the standard deviation over seeds."""
    sd = f" ({found['sd']:.1f})" if "sd" in found else ""
    return f"{found['value']:.1f}{sd}"


if __name__ == "__main__":
    svg.main(__doc__ or "", "python tools/draw_slope.py", PICTURE, draw)
