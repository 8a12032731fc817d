"""A run that starts from another: what it takes over, what starts anew, what does not fit."""

import dataclasses
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from xl_jax.config import Batch, Config, Data, Model, Optim, Vocab, to_dict
from xl_jax.errors import InputError
from xl_jax.model import start_from
from xl_jax.model.shared_model import SharedModel
from xl_jax.prepare.request import start_folder
from xl_jax.pretrain.loop import pretrain
from xl_jax.rules import leaf_paths
from xl_jax.runs import run_directory
from xl_jax.runs.run_directory import Run
from xl_jax.studies.check import check
from xl_jax.studies.cost import estimate
from xl_jax.studies.runner import Runner
from xl_jax.studies.study import Study
from xl_jax.tokens import vocabulary

ROOT = Path(__file__).parents[1]
QUIET: dict[str, Any] = {"log": lambda _: None}
PAIR = {"a": "synthetic:a", "b": "synthetic:b#sentences=400,words=100,topics=4"}
PLUGGED = (("embed/token", "private"), ("mlm/bias", "private"), (".*", "shared"))
ONLY_EMBEDDINGS = (("embed/token", "trained"), ("mlm/bias", "trained"), (".*", "frozen"))


def small(**more: Any) -> Config:
    made = Config(
        languages=("a", "b"),
        corpora=PAIR,
        steps=2,
        log_every=2,
        eval_every=2,
        checkpoint_every=2,
        vocab=Vocab(mode="disjoint", size=60),
        data=Data(windows="line", length=8, heldout=0.1),
        model=Model(layers=2, heads=2, width=8, ffn=16, positions=8, dropout=0.0),
        batch=Batch(slots=2, rows=4),
        optim=Optim(lr=1e-2, schedule="constant", warmup=1),
    )
    return dataclasses.replace(made, **more)


def plan(languages: tuple[str, ...], sharing: Any, rules: Any, **more: Any) -> start_from.Plan:
    there = SharedModel.abstract(small(sharing="sep_l1"), 128)
    here = small(
        languages=languages,
        corpora=dict.fromkeys(languages, "synthetic:a"),
        sharing=sharing,
        start="runs/x",
        start_rules=rules,
        **more,
    )
    return start_from.plan(SharedModel.abstract(here, 256), there)


def test_every_variant_starts_as_the_one_that_its_languages_use_there() -> None:
    found = plan(("b", "c"), "all_private", "start")
    assert found["layer_1/ffn/up/kernel"] == [1, None]  # b's own there; c is new
    assert found["layer_2/ffn/up/kernel"] == [0, None]  # shared there
    found = plan(("b", "c"), "all_private", (("layer_1/.*", "a"), (".*", "new")))
    assert found["layer_1/ffn/up/kernel"] == [1, 0]  # c starts as a, b as itself
    assert "layer_2/ffn/up/kernel" not in found


@pytest.mark.parametrize(
    ("languages", "sharing", "rules", "more", "message"),
    [
        (("a", "b"), "all_shared", "start", {}, "layer_1/.*: a, b share it here and not in runs/x"),
        (
            ("a", "b"),
            "sep_l1",
            (("layer_1/.*", "d"), (".*", "new")),
            {},
            "value in start_rules 'd'",
        ),
        (("a", "b"), "sep_l1", (("layer_9/.*", "new"), (".*", "start")), {}, "near names: layer_2"),
        (
            ("a", "b"),
            "sep_l1",
            "start",
            {"model": Model(layers=3, heads=2, width=8, ffn=32, positions=8, norm="pre")},
            r"norm: 'post' -> 'pre'; .*not there; .*kernel: \[8, 16\] -> \[8, 32\]; and 19 more",
        ),
    ],
)
def test_what_does_not_fit_is_told(
    languages: Any, sharing: Any, rules: Any, more: Any, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        plan(languages, sharing, rules, **more)


def test_languages_that_share_what_was_private_start_as_the_one_that_is_named() -> None:
    found = plan(("a", "b"), "all_shared", (("layer_1/.*", "b"), (".*", "start")))
    assert found["layer_1/ffn/up/kernel"] == [1]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = run_directory.start(small(), tmp_path_factory.mktemp("start") / "pair", **QUIET)
    pretrain(run, **QUIET)
    return run


def leaves(tree: Any) -> dict[str, np.ndarray]:
    return dict(zip(leaf_paths(tree), map(np.asarray, jax.tree.leaves(tree)), strict=True))


@pytest.mark.slow
def test_a_language_is_plugged_into_a_finished_model(pair: Run, tmp_path: Path) -> None:
    """It learns its embeddings; the body, and what the others had, stay to the bit."""
    start = tmp_path / "pair"
    shutil.copytree(pair.folder, start)
    config = small(
        languages=("a", "b", "c"),
        corpora={"a": "none:", "b": "none:", "c": "synthetic:a"},
        start=str(start),
        sharing=(
            ("embed/token", (("a", "b"), ("c",))),
            ("mlm/bias", (("a", "b"), ("c",))),
            PLUGGED[-1],
        ),
        freeze=ONLY_EMBEDDINGS,
    )
    run = run_directory.start(config, tmp_path / "plugged", **QUIET)
    old, new = pair.data.vocabulary, run.data.vocabulary
    for language in ("a", "b"):
        assert new.ids[language].tolist() == old.ids[language].tolist()
    assert new.ids["c"][5:].min() == old.n_pieces  # numbered after them

    state = pretrain(run, **QUIET)
    before, after = leaves(pair.trained(**QUIET)[1]), leaves(state.params)
    n = old.n_pieces
    for path, there in before.items():
        if path in start_from.BY_PIECE:
            assert after[path][0, :n].tobytes() == there[0, :n].tobytes(), path
        else:
            assert after[path].tobytes() == there.tobytes(), path
    shutil.rmtree(start)  # what is trained needs it no more
    opened = run_directory.load(run.folder, **QUIET)
    assert (
        leaves(opened.trained(**QUIET)[1])["embed/token"].tobytes()
        == after["embed/token"].tobytes()
    )
    run_directory.start(config, run.folder, **QUIET)


@pytest.mark.slow
def test_layers_are_made_random_again_and_nothing_is_trained(pair: Run, tmp_path: Path) -> None:
    config = small(
        start=str(pair.folder),
        start_rules=(("layer_2/.*", "new"), (".*", "start")),
        freeze="all",
        seed=3,
    )
    run = run_directory.start(config, tmp_path / "reinit", **QUIET)
    said: list[str] = []
    pretrain(run, said.append)
    assert any("from random numbers: layer_2/attention/key/bias of a, b" in x for x in said)
    step, params = run.trained(**QUIET)
    assert step == 0
    before, random = leaves(pair.trained(**QUIET)[1]), leaves(run.model.init())
    n = pair.data.vocabulary.n_pieces  # the rest of the table's rows has no piece
    for path, x in leaves(params).items():
        expected = (random if path.startswith("layer_2/") else before)[path]
        rows = slice(n if path in start_from.BY_PIECE else None)
        np.testing.assert_array_equal(x[:, rows], expected[:, rows], err_msg=path)
    pretrain(run, **QUIET)  # the same again finds it done


def test_a_start_that_is_not_there_is_told_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="runs/none is no run directory"):
        run_directory.start(small(start="runs/none"), tmp_path / "x", **QUIET)
    assert not (tmp_path / "x").exists()


def test_another_vocabulary_is_refused_where_no_language_is_new() -> None:
    here = small(start="runs/x", vocab=Vocab(mode="union", size=80))
    with pytest.raises(InputError) as caught:
        start_from.check_vocabulary(here, small())
    assert str(caught.value) == (
        "start = 'runs/x': no language is new, so all keep their pieces, and vocab has to be as "
        "there (there -> here): vocab.mode: 'disjoint' -> 'union'; vocab.size: 60 -> 80"
    )
    start_from.check_vocabulary(small(start="runs/x"), small())
    new = dataclasses.replace(here, languages=("a", "b", "c"), corpora={**PAIR, "c": "twin:a"})
    start_from.check_vocabulary(new, small())  # c learns 80 pieces


@pytest.mark.slow
def test_another_vocabulary_is_refused_before_any_work(pair: Run, tmp_path: Path) -> None:
    config = small(start=str(pair.folder), vocab=Vocab(mode="disjoint", size=60, type="unigram"))
    with pytest.raises(InputError, match="vocab.type: 'bpe' -> 'unigram'"):
        run_directory.start(config, tmp_path / "x", **QUIET)
    assert not (tmp_path / "x").exists()


def test_freezing_everything_is_told_before_any_text_is_read(tmp_path: Path) -> None:
    frozen = small(freeze=(("embed/.*", "frozen"), (".*", "frozen")))
    with pytest.raises(InputError, match=r"freeze = .* leaves nothing to train"):
        run_directory.start(frozen, tmp_path / "x", **QUIET)
    assert not (tmp_path / "x").exists()


@pytest.mark.slow
def test_a_copy_of_the_vocabulary_that_was_stopped_is_made_whole(pair: Run, tmp_path: Path) -> None:
    config = small(start=str(pair.folder), freeze="all")
    kept = start_folder(config, tmp_path / "x/data")
    kept.mkdir(parents=True)
    (kept / "a.model").write_bytes(b"half")
    run = run_directory.start(config, tmp_path / "x", **QUIET)
    old, new = (x.data.vocabulary for x in (pair, run))
    assert {x: y.tolist() for x, y in new.ids.items()} == {
        x: y.tolist() for x, y in old.ids.items()
    }
    shutil.rmtree(kept)  # lost later: copied again
    run_directory.start(config, tmp_path / "x", **QUIET)
    assert vocabulary.load(kept).digest == old.digest


@pytest.mark.slow
def test_a_study_and_a_command_prepare_what_starts_from_a_run(pair: Run, tmp_path: Path) -> None:
    config = to_dict(small(start=str(pair.folder)))
    (tmp_path / "c.py").write_text(
        "from xl_jax.config import from_dict, to_config_dict\n"
        f"def get_config():\n    return to_config_dict(from_dict({config!r}))\n"
    )
    study = Study("t", str(tmp_path / "c.py"), {"one": [], "two": ["--config.steps=4"]})
    runner = Runner(study, tmp_path / "s")
    check(study, runner.runs)
    runner.runs[0].folder.mkdir(parents=True)  # how long a step takes is known
    (runner.runs[0].folder / "metrics.jsonl").write_text('{"step": 2, "seconds_per_step": 1.0}\n')
    assert "tokens: 1 preparations to make" in estimate(runner, 1)
    runner.prepare(lambda _: None)
    assert "tokens: 0 preparations to make" in estimate(runner, 1)
    check(study, runner.runs)
    (corpus,) = (tmp_path / "s/data").glob("[!.s]*")

    command = [sys.executable, ROOT / "tools/prepare_corpus.py", f"--config={tmp_path}/c.py"]
    done = subprocess.run([*command, f"--out={tmp_path}/o"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"prepared: {tmp_path}/o/{corpus.name}; for training add" in done.stdout

    gone = Study("t", str(tmp_path / "c.py"), {"three": ["--config.start=runs/none"]})
    with pytest.raises(InputError, match="three, seed 0: runs/none is no run directory"):
        Runner(gone, tmp_path / "s").prepare()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "message"),
    [
        ("joint", "c cannot be added to one model of all text"),
        ("local", "local and other numberings do not mix"),
    ],
)
def test_a_numbering_that_cannot_grow_is_told(
    pair: Run, tmp_path: Path, mode: str, message: str
) -> None:
    config = small(
        languages=("a", "b", "c"),
        corpora={**PAIR, "c": "twin:a"},
        start=str(pair.folder),
        sharing="sep_emb",
        vocab=Vocab(mode=mode, size=60),
    )
    with pytest.raises(InputError, match=message):
        run_directory.start(config, tmp_path / "x", **QUIET)
