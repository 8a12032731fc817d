"""Tables of the documents from records, as literal text."""

import json
import textwrap

import pytest

from tools import tables

ROUNDS = [
    {"arm": "xl_jax", "metric": "tokens_per_second", "round": 0, "value": 1000.0},
    {"arm": "xl_jax", "metric": "tokens_per_second", "round": 1, "value": 1200.4},
    {"arm": "xl_jax", "metric": "tokens_per_second", "round": 2, "value": 1100.0},
    {"arm": "torch", "metric": "tokens_per_second", "round": 0, "value": 900.0},
    {"arm": "xl_jax", "metric": "share_of_peak", "value": 0.654},
    {"metric": "matmul_gflops", "value": 190.0},
]
SUMMARIES = [
    {"layer": 0, "encoders": "shared", "value": 6.5, "low": 5, "high": 8.04},
    {"layer": 2, "encoders": "shared", "value": 7, "sd": 0.25},
    {"layer": 0, "encoders": "private", "value": "3 min"},
]


def test_rounds_become_their_median_and_range():
    assert tables.pivot(ROUNDS, "arm", "metric", [0, 2], title="arm") == [
        ["arm", "tokens/s", "share of its own matmul peak"],
        ["xl_jax", "1,100 (1,000-1,200)", "0.65"],
        ["PyTorch, equal work", "900", ""],
    ]


def test_summaries_show_their_spread():
    assert tables.pivot(SUMMARIES, "encoders", "layer", [1]) == [
        ["", "0", "2"],
        ["shared", "6.5 (5.0-8.0)", "7.0 (0.2)"],
        ["private", "3 min", ""],
    ]


def test_records_are_chosen():
    assert tables.kept(ROUNDS, "") == ROUNDS
    assert tables.kept(ROUNDS, "arm:xl_jax&metric:share_of_peak") == [ROUNDS[4]]
    assert len(tables.kept(ROUNDS, "arm:torch|xl_jax&metric:tokens_per_second")) == 4


def test_markdown():
    assert tables.markdown([["", "a"], ["b", "1"]]) == "|  | a |\n| --- | --- |\n| b | 1 |\n"


@pytest.fixture
def house(tmp_path, monkeypatch):
    """A document with a table that is filled from a result."""
    measurement = {
        "command": "python train.py",
        "commit": "abc",
        "date": "2026-01-01",
        "hardware": {"cpu": "a CPU", "cores": 2, "devices": ["a GPU"]},
        "records": SUMMARIES,
    }
    (tmp_path / "docs").mkdir()
    (tmp_path / "x.json").write_text(json.dumps(measurement))
    marker = "<!-- table x.json rows=encoders columns=layer where=encoders:shared -->"
    document = tmp_path / "docs" / "page.md"
    document.write_text(f"Before.\n\n{marker}\n<!-- end -->\nAfter.\n")
    monkeypatch.setattr(tables, "ROOT", tmp_path)
    return document


def test_a_document_is_filled_and_then_up_to_date(house):
    text, changed = tables.stale(house)
    assert text == textwrap.dedent(
        """\
        Before.

        <!-- table x.json rows=encoders columns=layer where=encoders:shared -->
        |  | 0 | 2 |
        | --- | --- | --- |
        | shared | 6.5 (5.0-8.0) | 7.0 (0.2) |

        [x.json](../x.json): commit abc, a CPU, 2 cores, a GPU.
        <!-- end -->
        After.
        """
    )
    assert changed == ["<!-- table x.json rows=encoders columns=layer where=encoders:shared -->"]
    house.write_text(text)
    assert tables.stale(house) == (text, [])


def test_a_table_that_was_changed_by_hand_is_stale(house):
    text, _ = tables.stale(house)
    house.write_text(text.replace("6.5", "9.5"))
    again, changed = tables.stale(house)
    assert again == text and len(changed) == 1
