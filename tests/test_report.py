"""Tables and figures from records alone."""

from pathlib import Path
from typing import Any

from xl_jax.report import figures, tables


def record(metric: str, layer: int, value: float, **more: Any) -> dict[str, Any]:
    common = {"source": "en", "target": "fr", "chance": 0.01, "n": 100, "data": "gold words"}
    return {
        "metric": metric,
        "layer": layer,
        "value": value,
        "model": "trained",
        "centred": False,
    } | (common | more)


def both(layer: int, forward: float, back: float, **more: Any) -> list[dict[str, Any]]:
    return [
        record("word_translation", layer, forward, **more),
        record("word_translation", layer, back, **{**more, "source": "fr", "target": "en"}),
    ]


RECORDS = (
    both(0, 0.5, 0.7) + both(1, 0.9, 0.7)
    + both(0, 0.01, 0.01, model="untrained") + both(1, 0.0, 0.02, model="untrained")
)  # fmt: skip


def test_layers_are_columns_and_directions_are_averaged() -> None:
    assert tables.by_layer(RECORDS).splitlines() == [
        "word translation, P@1 % (en-fr, 100 gold words)  layer 0  layer 1",
        "  trained                                           60.0     80.0",
        "  untrained                                          1.0      1.0",
        "  chance                                             1.0      1.0",
    ]


def test_the_best_layer_is_that_of_both_directions_together() -> None:
    assert tables.best_layer(RECORDS, "word_translation", **tables.AS_IS) == (1, 0.8)


def test_settings_are_compared_with_their_spread_over_seeds() -> None:
    def run(value: float) -> list[dict[str, Any]]:
        pairs = [("word_translation", value), ("sentence_retrieval", value / 2)]
        return [
            record(metric, 0, v if model == "trained" else 0.01, model=model)
            for metric, v in pairs
            for model in ("trained", "untrained")
        ]

    lines = tables.compare({"shared": [run(0.8), run(1.0)], "private": [run(0.02)]}).splitlines()
    assert lines[0].split() == "best layer, P@1 % word translation sentence retrieval seeds".split()
    assert lines[1].split() == ["shared", "90.0", "(14.1)", "45.0", "(7.1)", "2"]
    assert lines[2].split() == ["private", "2.0", "(0.0)", "1.0", "(0.0)", "1"]
    assert lines[3].split() == ["untrained", "1.0", "(0.0)", "1.0", "(0.0)", "3"]
    assert lines[4].split() == ["chance", "1.0", "1.0"]


def test_figures_are_drawn(tmp_path: Path) -> None:
    figures.draw(RECORDS, "title", tmp_path / "layers.png")
    sentences = [{**r, "metric": "sentence_retrieval"} for r in RECORDS]
    figures.compare({"shared": [RECORDS + sentences]}, "title", tmp_path / "compare.png")
    for name in ("layers.png", "compare.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
