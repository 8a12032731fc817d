"""The picture of how time grows: axes in logarithms, medians of rounds, the slope at the end."""

import pytest

from tools import draw_growth, svg
from tools.draw_growth import LEFT, PLOT, TOP, Axis


def test_an_axis_places_powers_of_ten_evenly() -> None:
    up = Axis(-2, 1, start=300, length=-90)
    assert [up.place(x) for x in (0.01, 0.1, 1, 10)] == pytest.approx([300, 270, 240, 210])


def test_a_curve_is_of_medians_by_axis_and_series() -> None:
    rounds = [(1, 3.0), (1, 1.0), (1, 2.0), (4, 8.0)]
    records = [
        {"metric": "seconds", "axis": "runs", "series": "", "x": x, "value": value}
        for x, value in rounds
    ]
    slope = {"metric": "slope", "axis": "runs", "series": "", "x": 4, "value": 1.0}
    assert draw_growth.curves([*records, slope]) == {"runs": {"": [(1, 2.0), (4, 8.0)]}}
    assert draw_growth.slopes([*records, slope]) == {("runs", ""): 1.0}


def test_a_panel_shows_points_units_and_slope() -> None:
    found = {"": [(1000, 0.1), (1_000_000, 1.0)]}
    shapes = list(draw_growth.panel("candidates", found, {"": 0.33}, 0, 0))
    first, last = (LEFT, TOP + PLOT[1]), (LEFT + PLOT[0], TOP)
    for at in (first, last):
        assert svg.disc(*at, draw_growth.COLOURS[0]) in shapes
    texts = "".join(shapes)
    assert all(f">{x}</text>" in texts for x in ("0.1 s", "1 s", "1k", "1M", "0.33"))


def test_labels_do_not_cover_each_other() -> None:
    labels = [(50.0, "b"), (48.0, "a"), (90.0, "c")]
    assert draw_growth.apart(labels) == [(48.0, "a"), (59.0, "b"), (90.0, "c")]
