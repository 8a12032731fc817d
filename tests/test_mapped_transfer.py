"""Tasks through a map: one pair of languages, and a file of records for every request."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from xl_jax.analysis import record
from xl_jax.analysis.record import Record, RecordFile
from xl_jax.config import EvalOptions, Tuning
from xl_jax.errors import InputError
from xl_jax.evaluate import maps
from xl_jax.evaluate.context import Context
from xl_jax.evaluate.mapped_transfer import _tests, file_of, through_map

TUNING = Tuning(task="ner", test={"fr": "files:fr"})
RECORDS = [Record("f1", 0.5, "en", "fr", 1, extras={"map": "random", "grid": {"seed": (0, 1)}})]


def context(folder: Path, **more: Any) -> Context:
    """Nothing is computed."""
    made: Any = Context.__new__(Context)
    made.run, made.log, made.options = SimpleNamespace(folder=folder), print, EvalOptions()
    made.__dict__ |= {"request": {"step": 4, "probe": {}}, "layers": [0, 1], **more}
    return made


def test_another_request_has_another_file(tmp_path: Path) -> None:
    here = context(tmp_path)

    def name(of: Context = here, pair: tuple[str, str] = ("en", "fr"), **more: Any) -> str:
        return file_of(of, dataclasses.replace(TUNING, **more), pair, RECORDS).name

    others = [
        name(pair=("en", "ru")),
        name(pair=("fr", "en")),
        name(context(tmp_path, layers=[1])),
        name(context(tmp_path, request={"step": 8, "probe": {}})),
        name(seeds=(0, 1)),
        name(lr=(1e-3,)),
        name(epochs=3),
        name(encoders=("trained", "untrained")),
        name(test={"fr": "files:other"}),
    ]
    assert len({name(), *others}) == 1 + len(others)
    assert name() == name(keep=False, parallel=4)


def test_a_file_of_an_earlier_version_stays_where_its_records_are_the_same(tmp_path: Path) -> None:
    here = context(tmp_path)
    old = tmp_path / "eval" / f"ner-map-{maps.digest(here)}.json"
    record.write(old, RecordFile("r", "ner", here.request, RECORDS))
    assert file_of(here, TUNING, ("en", "fr"), RECORDS) == old
    other = [dataclasses.replace(RECORDS[0], target="ru")]
    assert file_of(here, TUNING, ("en", "ru"), other) != old


def test_several_pairs_are_one_line(tmp_path: Path) -> None:
    several = context(tmp_path, language_pairs=[("en", "fr"), ("en", "ru")])
    wanted = "ner through a map is of one pair .*--source=en --target=fr, --source=en --target=ru"
    with pytest.raises(InputError, match=wanted):
        through_map(several, TUNING)


def test_a_twin_is_tested_on_its_bases_data(tmp_path: Path) -> None:
    corpora = {"en": "docstrings:", "twin": "twin:en#order=invert"}
    run = SimpleNamespace(config=SimpleNamespace(corpora=corpora))
    here = context(tmp_path, target=SimpleNamespace(run=run))

    def tests(test: Any) -> dict[str, str]:
        return _tests(here, dataclasses.replace(TUNING, test=test), "en", "twin")

    assert tests({"en": "files:x"}) == {"en": "files:x", "twin": "twin:files:x"}
    own = {"en": "files:x", "twin": "files:y"}
    assert tests(own) == own
    assert tests("files:{language}") == {"en": "files:en", "twin": "files:twin"}
    with pytest.raises(InputError, match="ner: no test data of twin: give --data.test"):
        tests("")
