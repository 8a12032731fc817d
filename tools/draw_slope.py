"""Draw the slope of Table 1: what each mask loses, ours beside the paper's.

python tools/draw_slope.py             writes docs/slope.svg from results/table1_tiny.json
python tools/draw_slope.py --check     exit code 1 where that file is not up to date
"""

import argparse
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tools import svg
from tools.benchmarks import record
from tools.tables import label

ROOT = Path(__file__).resolve().parents[1]
PICTURE, RESULTS = ROOT / "docs" / "slope.svg", ROOT / "results" / "table1_tiny.json"
GROUPS = {
    "everything shared": ("Default", "No anchors", "Extra anchors"),
    "private parts, equal starting values": (
        "sep_emb_equal",
        "sep_l1_equal",
        "sep_emb_l1_equal",
        "sep_l1_3_equal",
        "sep_emb_l1_3_equal",
        "all_private_equal",
    ),
    "private parts, other starting values": (
        "sep_tokens_different",
        "sep_l1_3_anchors",
        "sep_l1_anchors",
        "all_private_different",
        "sep_emb_different",
    ),
}
TAGS, OURS = "linear probe, %: en-twin", "linear probe, %: Δ"
PAPER = "published, Δ: NER"
BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#bbb"
LEFT, RIGHT, TOP, ROW = 250, 660, 92, 24  # of the axis; pixels
LOW, HIGH = -60, 5  # ends of the axis; points

Values = Mapping[str, Mapping[str, Any]]


def place(points: float) -> float:
    """x of a difference."""
    return LEFT + (RIGHT - LEFT) * (points - LOW) / (HIGH - LOW)


def rows(values: Values) -> Iterator[tuple[str, Mapping[str, Any] | None]]:
    """Titles of groups, and the values of every row that was measured."""
    for title, names in GROUPS.items():
        yield title, None
        yield from ((name, values[name]) for name in names if name in values)


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
        legend = "English and a twin of it, four layers: tags read in the twin, 95 % interval"
        yield svg.disc(24, 44, BLUE) + svg.text(38, 48, legend, 12, anchor="start")
        legend = "the paper's eight layers, zero-shot NER, mean of three pairs of languages"
        yield svg.diamond(24, 64, ORANGE) + svg.text(38, 68, legend, 12, anchor="start")
        yield svg.text(RIGHT + 62, TOP - 6, "tags, %")
        for points in range(LOW, HIGH + 1, 10):
            yield svg.line(
                place(points), TOP, place(points), bottom, "#888" if not points else "#eee"
            )
            yield svg.text(place(points), bottom + 16, f"{points:+d}" if points else "0")
        axis = "points lost against Default"
        yield svg.text((LEFT + RIGHT) / 2, bottom + 32, axis, 12)
        for i, (name, found) in enumerate(lines):
            y = TOP + ROW * i + ROW / 2
            if found is None:
                yield svg.text(LEFT - 12, y + 6, name, 11, bold=True, anchor="end")
                continue
            yield svg.text(LEFT - 12, y + 4, label(name), 12, anchor="end")
            if PAPER in found:
                yield svg.diamond(place(found[PAPER]["value"]), y, ORANGE)
            ours = found.get(OURS, {"value": 0.0})
            if "low" in ours:
                ends = (place(max(LOW, min(HIGH, ours[end]))) for end in ("low", "high"))
                left, right = ends
                yield svg.line(left, y, right, y, BLUE, 2)
            yield svg.disc(place(ours["value"]), y, BLUE)
            yield svg.text(RIGHT + 62, y + 4, mean(found[TAGS]), 12)

    return svg.document(RIGHT + 120, height, shapes())


def mean(found: Mapping[str, Any]) -> str:
    """With the standard deviation over seeds."""
    sd = f" ({found['sd']:.1f})" if "sd" in found else ""
    return f"{found['value']:.1f}{sd}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing, compare")
    check, picture = parser.parse_args().check, draw()
    if not check:
        PICTURE.write_text(picture, encoding="utf-8")
    elif not PICTURE.exists() or PICTURE.read_text(encoding="utf-8") != picture:
        sys.exit(f"{PICTURE.relative_to(ROOT)} is not up to date: python tools/draw_slope.py")


if __name__ == "__main__":
    main()
