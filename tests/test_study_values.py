"""How a report takes records of unlike runs: what is missing, ways of scoring, parts of F1."""

import dataclasses
from typing import Any

import pytest

from xl_jax.analysis.expected import Expected
from xl_jax.analysis.record import Record
from xl_jax.analysis.spread import over_seeds
from xl_jax.report import cells, metrics, style
from xl_jax.report.document import Figure
from xl_jax.report.sections import layers, table1
from xl_jax.report.study_records import Row, RunRecords, StudyRecords
from xl_jax.report.values import TOP, Key, Measure, Values

ROWS = ("default", "sep")
NER = Measure("f1", (("task", "ner"),))


def ner(value: float, metric: str = "f1", **more: Any) -> Record:
    extras = {"kind": "result", "task": "ner", **more}
    return Record(metric, value, "en", "fr", n=50, model="trained", step=9, extras=extras)


def words(value: float) -> Record:
    return Record("word_translation", value, "en", "fr", 0, n=50, model="trained", step=9)


def retrieval(value: float, layer: int = 0, **more: Any) -> Record:
    fields: dict[str, Any] = {"source": "en", "target": "fr", "model": "trained", "step": 9}
    fields |= {"n": 50, "layer": layer} | more
    return Record("sentence_retrieval", value, **fields)


def study(default: list[Record], sep: list[Record]) -> StudyRecords:
    return StudyRecords(
        title="two rows",
        rows=[Row("default"), Row("sep")],
        runs=[RunRecords("default", 0, records=default), RunRecords("sep", 0, records=sep)],
        reference="default",
        expected=[
            Expected(row, "en-fr", "ner", "f1", value, "A. Author 2020")
            for row, value in (("default", 0.8), ("sep", 0.7))
        ],
    )


def test_a_cell_of_fewer_seeds_than_its_row_says_so() -> None:
    shown = metrics.Shown("F1, %")
    one, two = over_seeds([0.5]), over_seeds([0.5, 0.7])
    assert [cells.spread(one, shown, n).text for n in (0, 1, 2)] == [
        "50.0",
        "50.0",
        "50.0 (1 seed)",
    ]
    assert cells.spread(two, shown, 2).text == "60.0 (14.1)"
    assert cells.spread(two, shown, 3).text == "60.0 (14.1; 2 seeds)"


def test_parts_of_f1_are_no_columns() -> None:
    records = [ner(0.5), ner(0.9, "precision"), ner(0.4, "recall")]
    values = Values(study(records, records))
    assert {m.metric for m in values.measures} == {"f1", "precision", "recall"}
    assert values.main_measures() == [NER]


def test_fine_tuning_with_other_leaves_frozen_is_a_way_of_its_own() -> None:
    """Also where some runs have one of them only, and grids that were asked for differ."""
    default = [ner(0.7, freeze="private", asked="cc")]
    sep = [ner(0.5, freeze="private", asked="aa"), ner(0.4, freeze="up_to:3", asked="bb")]
    values = Values(study(default, sep))
    matched = Measure("f1", (("freeze", "up_to:3"), ("task", "ner")))
    assert values.measures == [NER, matched]
    assert [values.seeds(row, "en-fr", NER) for row in ("default", "sep")] == [[0], [0]]
    assert values.seeds("default", "en-fr", matched) == []
    assert matched.way_text == "frozen up_to:3"


def test_what_the_reference_was_not_measured_in_is_not_drawn() -> None:
    found = table1.section(Values(study([ner(0.7)], [ner(0.5), words(0.2)])))
    assert found is not None
    (figure,) = (b for b in found.blocks if isinstance(b, Figure))
    assert [x.title for x in figure.data.columns] == ["row", "published, NER", "NER span F1, %"]


def test_ways_are_told_by_the_same_fields_in_every_run() -> None:
    """Also in one that was measured in one of them so far."""

    def on(name: str, value: float) -> Record:
        return retrieval(value, data=name, extras={"evaluation": name})

    both = [on("pud", 0.9), on("tatoeba", 0.7)]
    values = Values(study(both, [on("tatoeba", 0.4)]))
    of_pud, of_tatoeba = values.measures
    assert dict(of_tatoeba.way) == {"data": "tatoeba", "evaluation": "tatoeba"}
    seeds = {row: [values.seeds(row, "en-fr", m) for m in values.measures] for row in ROWS}
    assert seeds == {"default": [[0], [0]], "sep": [[], [0]]}
    delta = values.delta("sep", of_tatoeba, TOP)
    assert delta is not None and round(delta.mean, 9) == -0.3
    assert values.delta("sep", of_pud, TOP) is None


@pytest.mark.parametrize(("again", "ways"), [(0.5, [""]), (0.6, ["", "pairs"])])
def test_what_an_evaluation_measures_again_is_no_way_of_its_own(
    again: float, ways: list[str]
) -> None:
    """Training measures English with the others; an evaluation all pairs, with the same values."""
    pairs: dict[str, Any] = {"extras": {"evaluation": "pairs"}}
    records = [
        retrieval(0.5),
        retrieval(again, **pairs),
        retrieval(0.7, source="fr", target="ru", **pairs),
    ]
    values = Values(study(records, []))
    assert [measure.way_text for measure in values.measures] == ways
    first = ["en-fr", "fr-ru"] if len(ways) == 1 else ["en-fr"]
    assert values.pairs_of(values.measures[0]) == first


def test_a_study_of_which_the_reference_alone_was_measured_has_no_figure_of_differences() -> None:
    alone = dataclasses.replace(study([words(0.5)], []), expected=[])
    found = table1.section(Values(alone))
    assert found is not None and found.figures == []
    assert [t.name for t in found.tables] == ["table1", "table1_best_layer"]


def test_an_item_interval_is_the_mean_of_both_directions_at_the_last_step() -> None:
    back: dict[str, Any] = {"source": "fr", "target": "en"}
    records = [
        retrieval(0.4, low=0.3, high=0.5),
        retrieval(0.8, low=0.75, high=1.0, **back),
        retrieval(0.1, step=2, low=0.0, high=0.2, **back),
    ]
    values = Values(study(records, []))
    (measure,) = values.measures
    key = Key("default", "en-fr", 0, measure, "trained")
    assert values.by_layer(key) == {0: pytest.approx(0.6)}
    assert values.item_interval("default", "en-fr", measure, TOP) == pytest.approx((0.525, 0.75))


def test_chance_is_of_each_layer_at_the_last_step() -> None:
    records = [
        retrieval(0.4, chance=0.02),
        retrieval(0.5, layer=1, chance=0.06),
        retrieval(0.1, layer=1, chance=0.9, step=2),
        retrieval(0.3, layer=1, chance=0.9, model="untrained", step=0),
        retrieval(0.5, layer=1, chance=0.08, source="fr", target="en"),
    ]
    values = Values(study(records, records))
    (measure,) = values.measures
    assert values.chances("default", "en-fr", measure) == {0: 0.02, 1: pytest.approx(0.07)}
    assert values.chance("default", "en-fr", measure) == pytest.approx(0.07)
    assert values.chance("none", "en-fr", measure) is None
    found = layers.section(values)
    assert found is not None
    with style.applied():
        axis = found.figures[0].draw().axes[0]
    drawn: dict[str, Any] = {str(x.get_label()): x.get_ydata() for x in axis.get_lines()}
    assert list(drawn["chance"]) == pytest.approx([2.0, 7.0])
