"""Tables and figures from records alone."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from xl_jax.analysis.record import Record
from xl_jax.errors import InputError
from xl_jax.report import figures, run, tables, transfer


def record(metric: str, layer: int | None, value: float, **more: Any) -> Record:
    fields: dict[str, Any] = {
        "source": "en", "target": "fr", "chance": 0.01, "n": 100, "data": "gold words",
        "model": "trained",
    } | more  # fmt: skip
    extras = {"centred": False} | fields.pop("extras", {})
    return Record(metric, value, layer=layer, extras=extras, **fields)


def both(layer: int, forward: float, back: float, **more: Any) -> list[Record]:
    return [
        record("word_translation", layer, forward, **more),
        record("word_translation", layer, back, **{**more, "source": "fr", "target": "en"}),
    ]


RECORDS = (
    both(0, 0.5, 0.7, low=0.4, high=0.8) + both(1, 0.9, 0.7, low=0.6, high=0.95)
    + both(0, 0.01, 0.01, model="untrained") + both(1, 0.0, 0.02, model="untrained")
)  # fmt: skip


def test_layers_are_columns_and_directions_are_averaged() -> None:
    assert tables.by_layer(RECORDS).splitlines() == [
        "word translation, P@1 % (en-fr, 100 gold words)  layer 0  layer 1",
        "  trained                                           60.0     80.0",
        "  untrained                                          1.0      1.0",
        "  chance                                             1.0      1.0",
    ]


def test_intervals_stand_below_their_row() -> None:
    assert tables.by_layer(RECORDS[:4], intervals=True).splitlines() == [
        "word translation, P@1 % (en-fr, 100 gold words)    layer 0    layer 1",
        "  trained                                             60.0       80.0",
        "    95 %                                         40.0-80.0  60.0-95.0",
        "  chance                                               1.0        1.0",
    ]


def test_random_targets_show_their_spread_and_old_records_say_what_they_are() -> None:
    old = record("cka", 0, 0.2, model="untrained target", data="gold sentences")
    new = dataclasses.replace(old, value=0.15, extras={"encoders": 3, "sd": 0.012})
    assert tables.by_layer([new]).splitlines() == [
        "linear CKA of sentences, x100 (en-fr, 100 gold sentences)     layer 0",
        "  untrained target, 3 seeds                                15.0 (1.2)",
        "  chance                                                            -",
    ]
    assert "  untrained target, the run's own start  " in tables.by_layer([old])


def test_a_best_layer_is_named_as_chosen_on_the_test_items() -> None:
    extras = {"of": "word_translation", "criterion": "cosine"}
    best = record("best_layer", 1, 0.9, low=0.8, high=0.95, extras=extras)
    assert tables.at_best_layer([*RECORDS, best]).splitlines() == [
        "best layer, chosen on the test items      layer  value  95 % interval  chance",
        "word translation, P@1 % (100 gold words)",
        "  en to fr, trained                           1   90.0   80.0 to 95.0     1.0",
    ]
    assert tables.at_best_layer(RECORDS) == ""


def test_similarities_of_all_layers_and_their_correlation() -> None:
    rows = [
        record("cka_layers", i, (i + 1) / (j + 2), extras={"target_layer": j})
        for i in range(2)
        for j in range(2)
    ]
    more = {"layers": 4, "encoders": 3, "sd": 0.05}
    row = record("cka_retrieval_correlation", None, 0.876, model="untrained target", extras=more)
    assert tables.matrices([*rows, row]).splitlines() == [
        "CKA x100, rows en, columns fr, trained  layer 0  layer 1",
        "  layer 0                                  50.0     33.3",
        "  layer 1                                 100.0     66.7",
        "",
        "correlation of CKA with retrieval over 4 layers, en-fr, untrained target, 3 seeds: 0.88 "
        "(0.05)",
    ]


def test_scores_over_training_and_perplexities() -> None:
    score = [
        Record(
            *("multilinguality", v, "en", "tw"),
            step=step,
            extras={"layers": name, "of_layers": [0, 2] if name == "theirs" else [0, 1, 2, 3]},
        )
        for step, v, name in ((0, 0.01, "theirs"), (0, 0.02, "all"), (2000, 0.9, "theirs"))
    ]
    assert tables.checkpoints(score).splitlines() == [
        "multilinguality score  layers 0 and 2  all layers",
        "  en-tw, step 0                  0.01        0.02",
        "  en-tw, step 2,000              0.90           -",
    ]
    perplexity = Record("perplexity", 12.34, "en", extras={"bigram": 56.0, "unigram": 1042.6})
    assert tables.perplexities([perplexity]).splitlines() == [
        "held-out perplexity  model  bigram  unigram",
        "  en                  12.3    56.0  1,042.6",
    ]


def test_names_command_no_terminal_and_no_formula(tmp_path: Path, capsys: Any) -> None:
    name = "\x1b[31m<b>$\\frac{1$\n'\""
    rows = [dataclasses.replace(r, source=name) for r in RECORDS if r.source == "en"]
    figure = tmp_path / "layers.png"
    run.show(rows, name, figure)
    shown = capsys.readouterr().out
    assert "\x1b" not in shown and "\\x1b[31m<b>$\\frac{1$\\n'\"-fr" in shown
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_figures_are_drawn_as_png_and_pdf(tmp_path: Path) -> None:
    figures.plot_layers([r.to_json() for r in RECORDS], tmp_path / "layers.png", "title")
    assert (tmp_path / "layers.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "layers.pdf").read_bytes().startswith(b"%PDF")


def test_a_link_is_replaced_not_followed(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("kept")
    for name in ("layers.png", "layers.pdf"):
        (tmp_path / name).symlink_to(tmp_path / "mine")
    figures.plot_layers([r.to_json() for r in RECORDS], tmp_path / "layers.png")
    assert (tmp_path / "mine").read_text() == "kept"
    assert not (tmp_path / "layers.png").is_symlink()
    assert not (tmp_path / "layers.pdf").is_symlink()


def test_a_figure_names_its_pair_and_tells_its_lines_apart() -> None:
    ways: list[dict[str, Any]] = [
        {"centred": centred, "map": kind, "criterion": criterion}
        for centred, kind in ((False, None), (True, None), (False, "procrustes"), (False, "random"))
        for criterion in ("cosine", "csls")
    ]
    rows = [
        record("sentence_retrieval", layer, 0.5, model=model, extras=way)
        for way in ways
        for model in ("trained", "untrained", "untrained target")
        for layer in (0, 1)
    ]
    (axis,) = figures.by_layer(rows, "title").axes
    assert axis.get_title("left") == "sentence retrieval, P@1 %\nen-fr, 100 gold words"
    lines = axis.get_lines()[:-1]  # the last one is chance
    assert len(lines) == 4 * 2 * 3

    def look(line: Any) -> tuple[Any, ...]:
        shape = (line.get_linestyle(), line.get_marker(), line.get_markerfacecolor())
        return (line.get_color(), line._dash_pattern, *shape)

    assert len({repr(look(line)) for line in lines}) == len(lines)
    legend = axis.get_legend()
    length = legend.handlelength * legend.get_texts()[0].get_fontsize()
    dashes = max(sum(line._dash_pattern[1] or ()) for line in legend.get_lines())
    assert length > 1.5 * dashes  # a whole period of every pattern is seen


def test_records_without_layers_are_no_figure() -> None:
    with pytest.raises(InputError, match="none of the 1 records is a value by layer"):
        figures.plot_layers([{"metric": "perplexity", "value": 3.0}])


def test_tasks_through_a_map_are_shown_by_layer(tmp_path: Path, capsys: Any) -> None:
    rows = [
        Record(
            *("f1", value, "en", target, layer, value - 0.1, value + 0.1),
            n=416,
            model="trained",
            extras={"kind": "result", "map": kind, "sd": None},
        )
        for target, kind, value in (("en", "none", 0.5), ("fr", "none", 0.2), ("fr", "random", 0.1))
        for layer in (0, 2)
    ]
    transfer.show_mapped(rows, tmp_path / "ner.png")
    assert capsys.readouterr().out.splitlines()[1:5] == [
        "span F1 %, through layer                 0                 2",
        "  en                      50.0 [40.0-60.0]  50.0 [40.0-60.0]",
        "  fr, no map              20.0 [10.0-30.0]  20.0 [10.0-30.0]",
        "  fr, random map           10.0 [0.0-20.0]   10.0 [0.0-20.0]",
    ]
    assert (tmp_path / "ner.png").exists() and (tmp_path / "ner.pdf").exists()
