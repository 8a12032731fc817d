"""What a section shows of records of several checkpoints, pairs, data sets and ways of scoring."""

from typing import Any

import pytest

from xl_jax.analysis.curves import summaries
from xl_jax.analysis.expected import Expected
from xl_jax.analysis.record import Record, RecordFile
from xl_jax.report import figures, style
from xl_jax.report.overview import overview
from xl_jax.report.sections import correlations, curves, heat_maps, masks, table1
from xl_jax.report.study_records import Row, RunRecords, StudyRecords
from xl_jax.report.values import BEST, Values


def record(metric: str, value: float, layer: int | None = 0, **more: Any) -> Record:
    extras = {k: more.pop(k) for k in list(more) if k not in Record.__dataclass_fields__}
    fields: dict[str, Any] = {"source": "en", "target": "fr", "model": "trained", "step": 9}
    return Record(metric, value, layer=layer, **fields | more, extras=extras)


def study(records: list[Record], **more: Any) -> Values:
    runs = [RunRecords("a", 0, records=records)]
    return Values(StudyRecords("", [Row("a"), Row("b")], runs, **more))


def words(value: float, **more: Any) -> Record:
    return record("word_translation", value, **more)


WAYS: list[dict[str, Any]] = [
    {"centred": False, "criterion": "cosine"},
    {"centred": False, "criterion": "csls"},
    {"centred": True, "criterion": "cosine"},
    {"centred": True, "criterion": "csls"},
    {"map": "procrustes", "criterion": "cosine"},
    {"map": "random", "criterion": "cosine"},
]
SCORES = [
    words(value / (1 + i), step=step, **way)
    for i, way in enumerate(WAYS)
    for step, value in ((2, 0.4), (9, 0.8))
]


def test_curves_of_a_run_are_of_one_way_of_scoring() -> None:
    figure = figures.over_training(SCORES)
    drawn: list[Any] = [x.get_ydata() for x in figure.axes[0].get_lines()]
    (line,) = (list(y) for y in drawn if len(y) == 2)
    assert line == pytest.approx([40 / 3, 80 / 3])  # centred, the third of them


def test_when_a_measure_rises_is_told_of_its_own_way_of_scoring() -> None:
    values = study([*SCORES, *summaries(SCORES)])
    main = values.main_measures()[0]
    (rises,) = (t for section in curves.sections(values) for t in section.tables)
    (line,) = rises.rows
    assert main.way == ()
    assert [cell.text for cell in line][2:] == ["40.0", "6", "80.0", "80.0", "9"]


def cka(value: float, **more: Any) -> Record:
    fields: dict[str, Any] = {"target_layer": 0, "data": "pud"}
    return record("cka_layers", value, **fields | more)


def test_cka_of_layers_is_of_the_last_step_and_one_data_set() -> None:
    records = [cka(0.9), cka(0.1, step=2), cka(0.3, data="tatoeba"), cka(0.2, model="untrained")]
    found = heat_maps.section(study(records))
    assert found is not None
    assert [(f.caption, f.data.rows[0][-1].text) for f in found.figures] == [
        ("CKA of every layer with every other, en-fr, pud (x100).", "90.0"),
        ("CKA of every layer with every other, en-fr, tatoeba (x100).", "30.0"),
    ]
    one = heat_maps.section(study(records[:2]))
    assert one is not None
    assert one.figures[0].caption == "CKA of every layer with every other, en-fr (x100)."


def test_layers_are_drawn_with_the_correlation_of_the_pair_that_is_drawn() -> None:
    records = [
        record(metric, value, layer, target=target)
        for target, rates in (("fr", (0.1, 0.2, 0.3)), ("ru", (0.3, 0.2, 0.1)))
        for metric, found in (("cka", (0.5, 0.6, 0.7)), ("sentence_retrieval", rates))
        for layer, value in enumerate(found)
    ]
    section = correlations.section(study(records))
    assert section is not None
    figure = section.figures[0]
    assert figure.caption.startswith(
        "linear CKA of sentences, x100 and sentence retrieval, P@1 %, en-fr: "
    )
    with style.applied():
        title = figure.draw().axes[0].get_title("left")
    assert title.splitlines() == ["a", "r = 1.00"]
    (within,) = section.tables
    assert within.rows[0][1].text == "0.00 [−1.00 to 1.00]"  # of both pairs


def test_the_overview_has_results_through_a_map_by_layer() -> None:
    maps = ((0, "random", 0.1), (0, "procrustes", 0.6), (1, "procrustes", 0.7), (1, "random", 0.2))
    records = [
        record("f1", value, layer, kind="result", map=kind, n=5) for layer, kind, value in maps
    ]
    text = overview({"ner": RecordFile("r", "ner", {}, records)})
    assert [line.split() for line in text.splitlines()[3:]] == [
        ["fr,", "random", "map", "10.0", "20.0"],
        ["fr,", "mapped", "60.0", "70.0"],
    ]


def published(pair: str, metric: str) -> Values:
    expected = [Expected("a", pair, "ner", metric, 0.8, "A. Author 2020")]
    records = [
        record("f1", 0.5, None, target=target, task="ner", kind="result") for target in ("fr", "en")
    ]
    return study(records, expected=expected)


@pytest.mark.parametrize("pair", ["", "en-fr"])
def test_a_published_figure_without_a_pair_is_of_the_single_pair(pair: str) -> None:
    section = table1.section(published(pair, "f1"))
    assert section is not None
    titles = [column.title for column in section.tables[0].columns]
    assert titles == ["row", "seeds", "en-fr", "en-fr, published", "en"]
    assert section.tables[0].rows[0][3].text == "80.0"
    assert "A. Author 2020" in section.text[1]


def test_nothing_is_said_of_published_figures_that_are_not_shown() -> None:
    section = table1.section(published("", "las"))
    assert section is not None and len(section.text) == 1


def test_captions_say_what_the_best_layer_was_chosen_on() -> None:
    values = study([record("linear_probe", 0.5, n) for n in range(2)])
    section = masks.section(values)
    assert section is not None
    for text in (table1.LAYER[BEST], section.text[0]):
        assert "(a linear probe's on development data)" in text
