"""The parts of tools/torture.py, and a few of its trials; `--trials=1000` is the long form."""

import random
from pathlib import Path
from typing import Any

import pytest

from tools import torture
from tools.benchmarks import record
from tools.hostile.damage import HARMS, harm, kind_of, tuning
from tools.hostile.stages import STAGES, Outcome, command, judge, results
from xl_jax.errors import InputError


@pytest.mark.parametrize("how", HARMS)
def test_every_harm_changes_the_file(how: str, tmp_path: Path) -> None:
    path, before = tmp_path / "x", bytes(range(100))
    path.write_bytes(before)
    harm(path, how, random.Random(0))
    after = path.read_bytes() if path.exists() else None
    assert after != before
    if how == "flip":
        assert after is not None and len(after) == 100
        assert sum((a ^ b).bit_count() for a, b in zip(before, after, strict=True)) == 1


def test_kinds_of_files() -> None:
    assert {
        kind_of(Path(x))
        for x in (
            "config.json",
            "data/0123/a.train.00000.tokens",
            "data/0123/vocab.json",
            "checkpoints/8/state/d/0123",
            "checkpoints/8/about/metadata",
            "eval/cka.json",
            "eval/ner/trained-batch8/result.json",
            "eval/ner/trained-batch8/model/0/digests/metadata",
        )
    } == {
        "config.json",
        "data .tokens",
        "data vocab.json",
        "checkpoints state",
        "checkpoints about",
        "eval",
        "tuned .json",
        "tuned model",
    }


def test_outcomes(tmp_path: Path) -> None:
    (tmp_path / "eval").mkdir()
    (tmp_path / "eval/x.json").write_text('{"records": [1]}')
    expected = results(tmp_path)
    assert expected == {"x.json": [1]}
    assert judge(expected, tmp_path, "step 3") == Outcome.SAME
    assert judge(expected, tmp_path, "x is damaged: made again") == Outcome.TOLD
    assert judge(expected, tmp_path, "Traceback (most recent call last)") == Outcome.CRASHED
    (tmp_path / "eval/x.json").write_text('{"records": [2]}')
    assert judge(expected, tmp_path, "") == Outcome.SILENT
    assert judge(expected, tmp_path, "step 3") == Outcome.LOST
    (tmp_path / "eval/x.json").write_text("{")
    assert judge(expected, tmp_path, "") == Outcome.SILENT


def test_every_kind_has_its_share() -> None:
    made = torture.plan(1000, list(torture.KINDS))
    assert len(made) == 1000 and made.count("kill") == 80
    assert torture.plan(2, ["kill", "rivals"]) == ["kill", "rivals"]


def test_commands_and_settings_agree() -> None:
    assert [command(stage, Path("x"))[0].rpartition("/")[2] for stage in STAGES] == [
        "prepare_corpus.py",
        "train.py",
        "eval.py",
        "eval.py",
    ]
    made = tuning()
    assert (made.task, made.batch, made.lr, made.encoders) == ("ner", (8,), (1e-3,), ("trained",))
    assert made.train == "files:tests/stored/ner/{language}.train.bio"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--only=kil"], "unknown kind of harm 'kil': did you mean 'kill'"),
        (["--stages=train"], "--stages=train: the first of prepare, train, tune, evaluate"),
        (["--trials=0"], "--trials=0: at least one of each kind, 4"),
        (["--part=3/2"], "--part=3/2: not I/N, with I from 1 to N"),
        (["--json=/no/such/folder/x"], "--json=/no/such/folder/x cannot be written"),
        (["--out=tests"], "--out=tests is neither empty nor of trials"),
    ],
)
def test_bad_flags_are_refused(flags: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        torture.main([f"--out={tmp_path / 'out'}", *flags])


def test_a_diary_goes_on_where_it_was_cut_off(tmp_path: Path) -> None:
    def entry(number: int, outcome: Outcome, commit: str) -> dict[str, Any]:
        made = {"kind": "kill", "harm": f"h{number}", "kills": number, "commit": commit}
        return {"number": number, "outcome": outcome, **made}

    out, request = tmp_path / "out", {"seed": 0}
    diary = torture.Diary(out, request)
    for number, outcome in enumerate([Outcome.SAME, Outcome.SILENT, Outcome.LOST, Outcome.SAME]):
        diary.add(entry(number, outcome, "old"))
    with (out / "trials.jsonl").open("a") as file:
        file.write('{"number": 4, "outc')
    diary = torture.Diary(out, request)
    assert [diary.well(number) for number in range(5)] == [True, False, False, True, False]
    diary.add(entry(1, Outcome.TOLD, "new"))
    values = {"trials": 4, "kills": 6, "same": 2, "told": 1, "refused": 0, "lost": 1, "silent": 0}
    values["crashed"] = 0
    counts = [{"kind": "kill", "metric": x, "value": n} for x, n in values.items()]
    commits = [{"commit": "new", "trials": 1}, {"commit": "old", "trials": 3}]
    faults = [{"kind": "kill", "harm": "h2", "fault": "lost"}]
    assert torture.Diary(out, request).records() == [*counts, *commits, *faults]
    with pytest.raises(InputError, match='holds other trials: {"seed": 0}'):
        torture.Diary(out, {"seed": 1})


@pytest.mark.slow
def test_some_harm_to_a_run_and_nothing_is_lost(tmp_path: Path) -> None:
    written = tmp_path / "torture.json"
    flags = ["--trials=3", "--only=damage,kill,rivals", "--stages=prepare,train", "--seed=1"]
    torture.main([*flags, f"--out={tmp_path / 'out'}", f"--json={written}"])
    found = record.read(written)["records"]
    assert {x["kind"] for x in found if "kind" in x} == {"damage", "kill", "rivals"}
    assert sum(x["value"] for x in found if x.get("metric") == "trials") == 3
    torture.main([*flags, f"--out={tmp_path / 'out'}", f"--json={written}", "--report"])
    assert record.read(written)["records"] == found
