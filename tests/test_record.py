"""Stored measurements say what they depend on."""

import json
import subprocess
from pathlib import Path

import pytest

from tools import keep
from tools.benchmarks import record
from xl_jax.errors import InputError


def test_a_measurement_is_read_as_it_was_written(tmp_path):
    measurement = record.about(["python", "tools/bench.py", "step", "--text=a b"])
    records = [{"metric": "tokens_per_second", "arm": "ä", "value": 1.5}, {"metric": "failed"}]
    record.write(tmp_path / "x.json", measurement, records)
    assert record.read(tmp_path / "x.json") == {**measurement, "records": records}
    assert measurement["command"] == "python tools/bench.py step '--text=a b'"
    assert measurement["hardware"]["cores"] >= 1 and measurement["hardware"]["devices"] == []
    assert measurement["versions"].keys() >= {"python", "jax", "numpy"}
    lines = (tmp_path / "x.json").read_text(encoding="utf-8").splitlines()
    assert '  {"metric": "tokens_per_second", "arm": "ä", "value": 1.5},' in lines


def test_the_records_of_a_run_are_kept(tmp_path, monkeypatch):
    run, out = tmp_path / "run", tmp_path / "x.json"
    call = ["keep.py", f"--workdir={run}", "--command=python train.py", f"--out={out}"]
    monkeypatch.setattr("sys.argv", call)
    with pytest.raises(InputError, match="has no evaluation: python eval.py --workdir="):
        keep.main()
    (run / "eval").mkdir(parents=True)
    for name, value in (("b", 2.0), ("a", 1.0)):
        file = {"run": "r", "task": name, "records": [{"metric": name, "value": value}]}
        (run / "eval" / f"{name}.json").write_text(json.dumps(file))
    keep.main()
    kept = record.read(out)
    assert kept["command"] == "python train.py"
    assert kept["records"] == [{"metric": "a", "value": 1.0}, {"metric": "b", "value": 2.0}]
    (run / "eval" / "b.json").write_text(json.dumps({**file, "digest": "of other content"}))
    with pytest.raises(InputError, match=r"b\.json is damaged"):
        keep.main()


@pytest.mark.parametrize(
    "table, message",
    [
        ("measure,rows,r\na,3,0.5\n", "named by 'measure', not by 'row'"),
        ("group,row,model,0\nx,a,trained,1\nx,a,untrained,2\n", "row 'a' is there 2 times"),
        ("row,step,loss\na,1,3.5\nb,1,3\nb,2,2.5\n", "row 'b' is there 2 times"),
    ],
)
def test_a_table_whose_numbers_have_more_than_a_row_is_refused(tmp_path, table, message):
    path = tmp_path / "table.csv"
    path.write_text(table)
    with pytest.raises(InputError, match=message):
        keep.of_table(path)


def test_the_numbers_of_a_table_are_kept_with_what_stands_beside_them(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(
        "group,row,seeds,F1,F1: sd,F1: low,F1: high,F1: 95 %\n"
        "all,default,2,71.5,0.5,70,73,70.0 to 73.0\n"
        "all,sep,1,60,,,,\n"
    )
    assert keep.of_table(path) == [
        {"row": "default", "metric": "seeds", "value": 2.0},
        {"row": "default", "metric": "F1", "value": 71.5, "sd": 0.5, "low": 70.0, "high": 73.0},
        {"row": "sep", "metric": "seeds", "value": 1.0},
        {"row": "sep", "metric": "F1", "value": 60.0},
    ]


def test_several_tables_of_a_report_are_one_file(tmp_path, monkeypatch):
    names = [str(tmp_path / x) for x in ("a.csv", "b.csv", "x.json")]
    Path(names[0]).write_text("row,F1\nsep,60\n")
    Path(names[1]).write_text("row,chance\nsep,5\n")
    call = ["keep.py", "--table", *names[:2], "--command=x", f"--out={names[2]}"]
    monkeypatch.setattr("sys.argv", call)
    keep.main()
    assert record.read(Path(names[2]))["records"] == [
        {"row": "sep", "metric": "F1", "value": 60.0},
        {"row": "sep", "metric": "chance", "value": 5.0},
    ]


@pytest.mark.parametrize(
    "change, message",
    [
        ({"commit": ""}, "does not say: commit"),
        ({"transcribed": True}, "does not say: source"),
        ({"records": []}, "does not say: records"),
        ({"records": [{"value": {"low": 1}}]}, "is not flat"),
    ],
)
def test_what_a_measurement_has_to_say(tmp_path, change, message):
    good = {"command": "x", "commit": "1", "date": "2026-01-01", "hardware": "y", "records": [{}]}
    path = tmp_path / "x.json"
    path.write_text(json.dumps(good))
    assert record.read(path) == good
    path.write_text(json.dumps(good | change))
    with pytest.raises(ValueError, match=message):
        record.read(path)


def test_a_commit_with_changes_is_marked(tmp_path):
    def git(*arguments):
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        call = ["git", "-C", str(tmp_path), *who, *arguments]
        return subprocess.run(call, check=True, capture_output=True, text=True).stdout.strip()

    assert record.commit(tmp_path) == ""
    git("init", "--quiet")
    (tmp_path / "file").write_text("a")
    git("add", "file")
    git("commit", "--quiet", "--message=a")
    name = git("rev-parse", "--short", "HEAD")
    assert record.commit(tmp_path) == name
    (tmp_path / "untracked").write_text("b")
    assert record.commit(tmp_path) == name
    (tmp_path / "file").write_text("b")
    assert record.commit(tmp_path) == name + "+"
