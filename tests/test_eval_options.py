"""Options of the evaluation after training are refused before it, in one line."""

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import toy
from tests.text_toy import make, write_text
from xl_jax.config import Config, EvalOptions
from xl_jax.errors import InputError
from xl_jax.evaluate.check import check_eval_options, check_gold
from xl_jax.evaluate.context import between, language_pairs
from xl_jax.evaluate.pairs import gold_sentences, gold_words
from xl_jax.evaluate.runner import measure
from xl_jax.runs.run_directory import WRITTEN, Run, check_links, start


def config(**options: Any) -> Config:
    """Two languages, layers 0 and 1, 12 positions."""
    return toy.config(probe=EvalOptions(**options))


def test_options_that_can_be_measured_with_pass(tmp_path: Path) -> None:
    (tmp_path / "x.tsv").write_text("en\tfr\na\tb\n")
    (tmp_path / "d").write_text("a b\n")
    check_eval_options(config())
    check_eval_options(
        config(
            source="fr", target="en", length=10, layers=(0, 1), pairs=f"{tmp_path}/x.tsv",
            map=f"{tmp_path}/x.tsv", dictionary=f"{tmp_path}/d", candidates=f"{tmp_path}/d",
        )
    )  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"source": "de"}, "unknown language of the evaluation 'de': .*known: en, fr"),
        ({"target": "e"}, "unknown language of the evaluation 'e': did you mean 'en'"),
        ({"layers": (1, 3)}, r"probe.layers: layer 3: the model has layers 0 to 1"),
        ({"length": 11}, r"probe.length = 11: model.positions = 12 leaves room for 10 tokens"),
        ({"pairs": "gone.a,gone.b"}, "gone.a: no such file"),
        ({"pairs": "gone.a"}, "expected SOURCE_FILE,TARGET_FILE or one FILE.tsv"),
        ({"pairs": "{folder}/empty.tsv"}, "probe.pairs: sentence pairs .*: no pair"),
        ({"map": "gone.tsv"}, "gone.tsv: no such file"),
        ({"map": "{folder}/latin.tsv"}, "latin.tsv:2: not UTF-8 text"),
        ({"dictionary": "gone"}, "dictionary gone: No such file"),
        ({"map_dictionary": "{folder}/empty.tsv"}, "no word pair"),
        ({"candidates": "gone"}, "gone: no such file"),
        ({"links": "{folder}/damaged.gz"}, "damaged.gz: cannot be read"),
    ],
)
def test_options_that_cannot_are_refused(options: Any, message: str, tmp_path: Path) -> None:
    (tmp_path / "empty.tsv").write_text("\t\n")
    (tmp_path / "latin.tsv").write_bytes(b"a\tb\nd\xe9j\xe0\tc\n")
    (tmp_path / "damaged.gz").write_bytes(b"\x1f\x8b\x08nothing")
    filled = {k: v.format(folder=tmp_path) if isinstance(v, str) else v for k, v in options.items()}
    with pytest.raises(InputError, match=message) as caught:
        check_eval_options(config(**filled))
    assert "\n" not in str(caught.value)


def test_files_are_of_one_pair(tmp_path: Path) -> None:
    (tmp_path / "x.tsv").write_text("a\tb\n")
    three = toy.config(languages=("en", "fr", "zh"), probe=EvalOptions(pairs=f"{tmp_path}/x.tsv"))
    with pytest.raises(InputError, match="files of which pair.* one of fr, zh"):
        check_eval_options(three)


def test_files_named_by_their_languages_are_of_every_pair(tmp_path: Path) -> None:
    for pair in ("en-fr", "en-zh", "fr-zh"):
        (tmp_path / f"{pair}.tsv").write_text("a\tb\n")
    options = EvalOptions(source="all", pairs=f"{tmp_path}/{{source}}-{{target}}.tsv")
    three = toy.config(languages=("en", "fr", "zh"), probe=options)
    check_eval_options(three)
    languages = three.languages
    every = [("en", "fr"), ("en", "zh"), ("fr", "zh")]
    assert language_pairs(languages, languages, options, one_run=True) == every
    assert between(options, "fr", "zh").pairs == f"{tmp_path}/fr-zh.tsv"
    to_zh = dataclasses.replace(options, target="zh")
    assert language_pairs(languages, languages, to_zh, one_run=True) == every[1:]
    (tmp_path / "fr-zh.tsv").unlink()
    with pytest.raises(InputError, match="fr-zh.tsv: no such file"):
        check_eval_options(three)


def test_a_language_may_be_called_all() -> None:
    options = EvalOptions(source="all")
    assert language_pairs(("en", "all"), ("en", "all"), options, one_run=True) == [("all", "en")]


def test_two_twins_of_a_language_are_measured_against_each_other(tmp_path: Path) -> None:
    text = write_text(tmp_path / "a.txt", 300, 0)
    data = make(tmp_path, {"en": text, "twin": "twin:en", "third": "twin:en"})
    a, b = gold_sentences(data, "twin", "third", 20, 0), gold_words(data, "twin", "third", 20)
    assert a is not None and b is not None and len(a.source) == 20 and len(b.source) > 10
    assert all(set(a.source.line(i)).isdisjoint(a.target.line(i)) for i in range(20))


def test_a_length_that_no_gold_sentence_has_is_refused(tmp_path: Path) -> None:
    data = make(tmp_path, {"en": write_text(tmp_path / "a.txt", 300, 0), "fr": "twin:en"})
    model = toy.model(config())
    for length in (0, 3):
        check_gold(Run(tmp_path, config(length=length), data, model))
    with pytest.raises(InputError, match="no pair is left .is probe.length longer"):
        check_gold(Run(tmp_path, config(length=5000), data, model))


def test_results_are_not_written_through_links(tmp_path: Path) -> None:
    data = make(tmp_path, {"en": write_text(tmp_path / "a.txt", 300, 0), "fr": "twin:en"})
    run = Run(tmp_path / "run", config(), data, toy.model(config()))
    check_links(run.folder, ["eval"])
    (run.folder / "eval").mkdir(parents=True)
    check_links(run.folder, ["eval"])
    (run.folder / "eval/maps").symlink_to(tmp_path)
    with pytest.raises(InputError, match="eval/maps is a symbolic link"):
        check_links(run.folder, ["eval"])
    (run.folder / "eval").rename(run.folder / "old")
    (run.folder / "eval").symlink_to(run.folder / "old")
    with pytest.raises(InputError, match="eval is a symbolic link"):
        measure(run)


@pytest.mark.parametrize("name", WRITTEN)
def test_a_run_is_not_written_through_links(tmp_path: Path, name: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=f"{name} is a symbolic link: nothing is written"):
        start(config(), tmp_path / "run")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.slow
def test_train_says_so_before_it_reads_any_text(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "train.py", f"--workdir={tmp_path}/run", "--config.probe.layers=(9,)"],
        cwd=Path(__file__).parents[1], capture_output=True, text=True,
    )  # fmt: skip
    message = "error: probe.layers: layer 9: the model has layers 0 to 3\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", message)
    assert not (tmp_path / "run").exists()
