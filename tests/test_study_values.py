"""How a report takes records of unlike runs: seeds that are missing, grids, parts of F1."""

from typing import Any

from xl_jax.analysis.expected import Expected
from xl_jax.analysis.record import Record
from xl_jax.analysis.spread import over_seeds
from xl_jax.report import cells, metrics
from xl_jax.report.document import Figure
from xl_jax.report.sections import table1
from xl_jax.report.study_records import Row, RunRecords, StudyRecords
from xl_jax.report.values import Measure, Values

NER = Measure("f1", (("task", "ner"),))


def ner(value: float, metric: str = "f1", **more: Any) -> Record:
    extras = {"kind": "result", "task": "ner", **more}
    return Record(metric, value, "en", "fr", n=50, model="trained", step=9, extras=extras)


def words(value: float) -> Record:
    return Record("word_translation", value, "en", "fr", 0, n=50, model="trained", step=9)


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
