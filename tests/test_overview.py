"""All that was measured of a run at a glance, and languages against languages."""

from pathlib import Path

import pytest

import eval as eval_command
from xl_jax.analysis import record
from xl_jax.analysis.record import Record, RecordFile
from xl_jax.errors import InputError
from xl_jax.report.overview import by_pair, overview


def retrieval(source: str, target: str, value: float, layer: int = 0, **extras: object) -> Record:
    extras = {"centred": False, "criterion": "cosine"} | extras
    return Record(
        "sentence_retrieval", value, source, target, layer, n=10, data="pud", model="trained",
        step=100, chance=0.1, extras=extras,
    )  # fmt: skip


THREE = [
    retrieval("en", "fr", 0.5),
    retrieval("fr", "en", 0.4),
    retrieval("en", "ru", 0.25),
    retrieval("en", "ru", 0.3, layer=1),
    retrieval("en", "ru", 0.9, centred=True),
    retrieval("en", "ru", 0.9, criterion="csls"),
    retrieval("en", "ru", 0.9, map="procrustes"),
]


PERPLEXITY = [Record("perplexity", 7.5, "en", extras={"bigram": 30.0, "unigram": 200.0})]


def test_languages_against_languages() -> None:
    title, *rows = by_pair(THREE).splitlines()
    assert title.startswith("sentence retrieval, P@1 %, best layer; from \\ to")
    assert [row.split() for row in rows] == [
        ["en", "-", "50.0", "30.0"],
        ["fr", "40.0", "-", "-"],
        ["ru", "-", "-", "-"],
    ]


def test_cka_has_no_direction_and_one_pair_no_matrix() -> None:
    pairs = [("en", "fr", 0.5), ("en", "ru", 0.25), ("fr", "ru", 1.0)]
    found = by_pair([Record("cka", v, a, b, 0, model="trained") for a, b, v in pairs])
    assert [line.split()[1:] for line in found.splitlines()[1:]] == [
        ["-", "50.0", "25.0"],
        ["50.0", "-", "100.0"],
        ["25.0", "100.0", "-"],
    ]
    assert by_pair(THREE[:2]) == ""


def test_an_overview_names_every_file() -> None:
    files = {"retrieval": RecordFile("r", "retrieval", {}, THREE)}
    files["perplexity"] = RecordFile("r", "perplexity", {}, PERPLEXITY)
    text = overview(files)
    assert "eval/retrieval.json: retrieval, 7 records, step 100" in text
    assert "eval/perplexity.json: perplexity, 1 records" in text and "from \\ to" in text


def test_the_command_names_damaged_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError, match="nothing was measured"):
        eval_command.overview(tmp_path)
    record.write(tmp_path / "eval" / "retrieval.json", RecordFile("r", "retrieval", {}, THREE))
    (tmp_path / "eval" / "cka.json").write_text('{"run": ')
    eval_command.overview(tmp_path)
    said = capsys.readouterr().out
    assert "cka.json is damaged" in said and "eval/retrieval.json: retrieval" in said
