"""The picture of what each mask loses: what is not measured, and intervals beyond its axis."""

from tools import draw_slope, svg
from tools.draw_slope import BLUE, HIGH, LEFT, LOW, PAPER, RIGHT, TAGS, bar, place


def test_a_row_whose_tags_were_not_measured_is_left_out() -> None:
    tags = {"value": 50.0}
    values = {"Default": {TAGS: tags}, "No anchors": {PAPER: {"value": -0.2}}}
    titles = [title for title, found in draw_slope.rows(values) if found is not None]
    assert titles == ["Default"]


def test_an_interval_beyond_the_axis_has_a_head_at_its_edge() -> None:
    assert list(bar(-10, 0, 5)) == [svg.line(place(-10), 5, place(0), 5, BLUE, 2)]
    whole, left, right = bar(LOW - 20, HIGH + 1, 5)
    assert whole == svg.line(LEFT, 5, RIGHT, 5, BLUE, 2)
    assert left == svg.tip(LEFT, 5, BLUE, left=True)
    assert right == svg.tip(RIGHT, 5, BLUE, left=False)
    assert left.startswith(f'<path d="M{LEFT} 5L{LEFT + 7} 1')
