"""tools/report.py: from the folders of a study, or of runs, to what is rendered."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from tools import report
from xl_jax.analysis import record
from xl_jax.analysis.expected import Expected
from xl_jax.analysis.record import Record, RecordFile
from xl_jax.config import Config, to_dict
from xl_jax.errors import InputError
from xl_jax.report.values import Values
from xl_jax.studies import study_folder
from xl_jax.studies.study_folder import RunState, StudyState

RESULT = Record("f1", 0.5, "en", "fr", extras={"kind": "result"})


def write_eval(run: Path, name: str, *records: Record, task: str = "") -> None:
    record.write(run / "eval" / f"{name}.json", RecordFile(run.name, task or name, {}, [*records]))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A study of two rows: one run is done, with a file cut in the middle; one has failed."""
    rows = {"default": ["--config.sharing=all_shared"], 'a "b" <i>': ["--config.sharing=sep_l1"]}
    state = StudyState(
        title="T",
        file="x.py",
        command="python tools/run_study.py --config=x.py",
        config="configs/tiny.py",
        rows=rows,
        pairs={},
        seeds=[3],
        evaluations={"matched": ["--task=ner"]},
        reference="",
        expected=[Expected("default", "", "ner", "f1", 0.681, "somewhere")],
        versions={"jax": "1.2"},
        hardware={"cpu": "x", "devices": ["cpu"]},
        runs=[
            RunState(
                "i", "default", "", 3, ["--config.seed=3"], "runs/d", "done",
                made={"matched": ["ner-1"]}, commit="abc",
            ),
            RunState("j", 'a "b" <i>', "", 3, [], "runs/a", "failed", error="no disk"),
        ],
    )  # fmt: skip
    study_folder.write(tmp_path, state)
    done = tmp_path / "runs" / "d"
    write_eval(done, "retrieval", Record("sentence_retrieval", 0.5, "en", "fr", 0))
    write_eval(done, "ner-1", RESULT, task="ner")
    write_eval(done, "words", RESULT)
    text = (done / "eval" / "words.json").read_text()
    (done / "eval" / "words.json").write_text(text[: len(text) // 2])
    (done / "metrics.jsonl").write_text('{"step": 5, "loss": 2.5}\n{"step": 6, "lo')
    return tmp_path


def test_a_study_with_all_that_is_wrong_with_it(folder: Path) -> None:
    found = report.of_study(folder)
    assert [(row.name, row.shown, row.group) for row in found.rows] == [
        ("default", "Default", "everything shared"),
        ('a "b" <i>', 'a "b" <i>', "private parts"),
    ]
    done, failed = found.runs
    ner, retrieval = done.records
    assert (ner.get("task"), ner.get("evaluation")) == ("ner", "matched")
    assert retrieval.extras == {}
    assert done.training == [{"step": 5, "loss": 2.5}]
    words, cut = done.notes
    assert words.startswith(str(folder / "runs" / "d" / "eval" / "words.json is damaged"))
    assert cut.endswith("metrics.jsonl: 1 damaged lines; left out")
    assert done.command == f"python train.py --config.seed=3 --workdir={folder / 'runs' / 'd'}"
    assert (failed.state, failed.notes, failed.records) == ("failed", ["failed: no disk"], [])
    assert found.reference == "default" and found.expected[0].value == 0.681
    assert found.facts["hardware"] == "cpu x, devices cpu" and found.facts["commit"] == "abc"


def test_curves_are_of_the_measure_that_training_took(folder: Path) -> None:
    """An evaluation of every checkpoint has no name of its own in the report."""
    run = folder / "runs" / "d"
    of_steps = [
        Record("sentence_retrieval", v, "en", "fr", 0, model="trained", step=step)
        for step, v in ((2, 0.2), (9, 0.5))
    ]
    write_eval(run, "retrieval", of_steps[-1])
    write_eval(run, "steps-retrieval-cka", *of_steps, task="retrieval+cka")
    state = study_folder.read(folder)
    made = {"curves": ["steps-retrieval-cka"]}
    runs = [dataclasses.replace(state.runs[0], made=made), *state.runs[1:]]
    study_folder.write(folder, dataclasses.replace(state, runs=runs))
    values = Values(report.of_study(folder))
    (measure,) = (m for m in values.measures if m.metric == "sentence_retrieval")
    assert measure.way == () and values.has_curves(measure)


def test_a_folder_without_a_study_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is no study: study\.json is not there"):
        report.of_study(tmp_path)
    (tmp_path / "study.json").write_text('{"format": 1')
    with pytest.raises(InputError, match=r"study\.json is damaged"):
        report.of_study(tmp_path)


def make_run(folder: Path, **fields: Any) -> Path:
    folder.mkdir()
    given = {"languages": ("en", "twin"), "corpora": {"en": "docstrings:", "twin": "twin:en"}}
    config = to_dict(Config(**given | fields))
    (folder / "config.json").write_text(json.dumps(config))
    write_eval(folder, "retrieval", Record("sentence_retrieval", 0.5, "en", "fr", 0))
    return folder


def test_runs_are_rows_named_by_what_they_differ_in(tmp_path: Path) -> None:
    twin = {"en": "docstrings:", "twin": "twin:en#shift=0.7"}
    runs = [
        make_run(tmp_path / "a", seed=1),
        make_run(tmp_path / "b", seed=2),
        make_run(tmp_path / "c", seed=1, sharing="sep_l1", corpora=twin, steps=7),
        make_run(tmp_path / "d", seed=1, sharing="sep_l1", steps=7),
    ]
    found = report.of_runs(runs)
    assert [(run.row, run.seed) for run in found.runs] == [
        ("all_shared, corpora.twin=twin:en", 1),
        ("all_shared, corpora.twin=twin:en", 2),
        ("sep_l1, corpora.twin=twin:en#shift=0.7, steps=7", 1),
        ("sep_l1, corpora.twin=twin:en, steps=7", 1),
    ]
    again = make_run(tmp_path / "again", seed=1)
    with pytest.raises(InputError, match="a and .*again train the same model: leave out one"):
        report.of_runs([runs[0], again])
    with pytest.raises(InputError, match=r"nothing is no run directory: it has no config\.json"):
        report.of_runs([tmp_path / "nothing"])


def test_groups_are_what_flags_say() -> None:
    rows = {"a": [], "b": ["--config.sharing=sep_emb", "--config.private_init=equal"]}
    assert report.groups_of(rows) == {
        "a": "everything shared",
        "b": "private parts, equal starting values",
    }
    assert report.groups_of({"a": [], "b": []}) == {"a": "", "b": ""}


def test_records_of_tasks_through_layers_are_kept_apart() -> None:
    layered = dataclasses.replace(RESULT, layer=2)
    file = RecordFile("run", "ner", {}, [RESULT, layered, Record("cka", 0.5, layer=0)])
    found = [r.get("task") for r in report.tagged(file)]
    assert found == ["ner", "ner, frozen layers", None]
