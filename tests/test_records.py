"""Records as files hold them."""

import json
from pathlib import Path

import pytest

from xl_jax.analysis import record
from xl_jax.analysis.record import Record, RecordFile
from xl_jax.errors import InputError

FLAT = {
    "metric": "cka", "value": 0.5, "source": "en", "target": "fr", "layer": 0, "low": 0.4,
    "high": 0.6, "chance": 0.0, "n": 30, "data": "gold sentences", "model": "trained", "seed": 0,
    "step": 8, "kernel": "linear", "debiased": False,
}  # fmt: skip
ONE = Record(
    "cka", 0.5, "en", "fr", 0, 0.4, 0.6, 0.0, 30, "gold sentences", "trained", 0, 8,
    {"kernel": "linear", "debiased": False},
)  # fmt: skip


def test_a_record_is_flat_in_a_file() -> None:
    assert ONE.to_json() == FLAT and Record.from_json(FLAT) == ONE
    bare = {"metric": "perplexity", "value": 3.0, "source": "en", "bigram": 5.0}
    assert Record.from_json(bare).to_json() == bare


def test_fields_and_extras_are_asked_for_alike() -> None:
    assert (ONE.get("layer"), ONE.get("debiased"), ONE.get("map")) == (0, False, None)
    assert ONE.get("map", "none") == "none" and Record("x", 1.0).get("source") is None
    assert ONE.has(layer=0, kernel="linear", map=None) and not ONE.has(layer=0, kernel="rbf")


def test_files_keep_their_form(tmp_path: Path) -> None:
    path = tmp_path / "eval" / "cka.json"
    file = RecordFile("r", "cka", {"step": 8}, [ONE])
    record.write(path, file)
    written = json.loads(path.read_text())
    digest = written.pop("digest")
    assert written == {"run": "r", "task": "cka", "asked": {"step": 8}, "records": [FLAT]}
    assert record.read(path) == file and record.read_all([path, path]) == [ONE, ONE]
    path.write_text(json.dumps(written))  # of an earlier version
    assert record.read(path) == file
    written["records"][0]["value"] += 0.1
    path.write_text(json.dumps({**written, "digest": digest}))
    with pytest.raises(InputError, match="not what was written"):
        record.read(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda flat: flat.pop("metric"),
        lambda flat: flat.pop("value"),
        lambda flat: flat.update(value="0.5"),
        lambda flat: flat.update(value=None),
        lambda flat: flat.update(layer="first"),
        lambda flat: flat.update(source=3),
    ],
)
def test_what_is_no_record_is_told_with_its_file(tmp_path: Path, change: object) -> None:
    flat = dict(FLAT)
    assert callable(change)
    change(flat)
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"run": "r", "task": "cka", "records": [flat]}))
    with pytest.raises(InputError, match=f"{path} is damaged: "):
        record.read(path)
