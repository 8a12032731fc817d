"""Data that change under the same name are seen: trained or scored again, and said."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from tests.transfer_toy import make_run, make_tuning
from xl_jax.analysis import record
from xl_jax.analysis.record import Record, RecordFile
from xl_jax.finetune.trainer import Tuner
from xl_jax.finetune.transfer import Transfer


def flip(path: Path) -> None:
    """Another label of the first word that has one."""
    text = path.read_text()
    path.write_text(text.replace("B-X", "O", 1))
    assert path.read_text() != text


@pytest.mark.slow
def test_changed_data_are_scored_or_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path)
    tuning = dataclasses.replace(make_tuning(run), lr=(1e-2,), seeds=(0,), best=1)
    said: list[str] = []

    def do() -> Transfer:
        said.clear()
        made = Transfer(run, tuning, log=said.append)
        made.run_all()
        return made

    do()

    def never(*_: Any) -> Any:
        raise AssertionError("trained")

    monkeypatch.setattr(Tuner, "run", never)
    first = do()
    folder = first.folder_of(tuning.settings[0])
    before = first.store.read(folder)
    assert before and not [x for x in said if "have changed" in x]

    flip(run.folder / "b.test.bio")  # labels of a test set: what is tuned stays
    after = do().store.read(folder)
    assert f"{folder.name}: the test data of b have changed: scored again" in said
    a, b = ({x["target"]: x for x in one["scores"]} for one in (before, after))
    assert a["a"] == b["a"] and a["b"]["content"] != b["b"]["content"] and len(b) == 2
    assert len(after["scores"]) == 2 and do().store.read(folder) == after
    assert {x.name for x in (folder / "predictions").iterdir()} == {"a.bio", "b.bio"}

    flip(run.folder / "a.dev.bio")
    with pytest.raises(AssertionError, match="trained"):
        do()
    assert f"{folder.name}: the training or development data have changed: trained again" in said

    # of an earlier version, which does not tell: it is taken
    del after["content"]
    for entry in after["scores"]:
        del entry["content"]
    first.store.write(folder, after)
    flip(run.folder / "b.test.bio")
    kept = do()
    assert "1 of 1 settings are trained already" in said
    assert not [x for x in said if "have changed" in x] and kept.store.read(folder) == after


def test_records_of_other_data_are_none(tmp_path: Path) -> None:
    path, said, found = tmp_path / "x.json", list[str](), [Record("m", 0.5)]
    request, data = {"step": 4}, {"train": "1", "test": {"a": "2"}}

    def finished(**changed: Any) -> list[Record]:
        return record.finished(path, request, said.append, {**data, **changed})

    record.write(path, RecordFile("r", "m", {**request, "content": data}, found))
    assert finished() == found and said == []
    assert finished(test={"a": "3"}) == []
    assert said == [f"{path}: the data have changed since: measured again"]
    record.write(path, RecordFile("r", "m", request, found))  # of an earlier version
    assert finished(test={"a": "3"}) == found
    assert record.finished(path, {"step": 8}, said.append, data) == [] and len(said) == 1
