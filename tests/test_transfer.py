"""From a run directory to scores: grids, what is shared with the target, what is done once."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from tests.transfer_toy import make_run, make_tuning
from xl_jax.config.finetune import Setting, Tuning
from xl_jax.errors import InputError
from xl_jax.finetune import transfer
from xl_jax.finetune.model import NEW
from xl_jax.finetune.request import resolved, test_specs
from xl_jax.finetune.trainer import Tuner
from xl_jax.finetune.transfer import Transfer, groups
from xl_jax.runs import lock
from xl_jax.runs.checkpoint import leaf_digests
from xl_jax.runs.interrupt import CtrlC, Interrupted
from xl_jax.runs.run_directory import Run
from xl_jax.tokens.special import N_SPECIAL

test_specs.__test__ = False


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def tuning(run: Run) -> Tuning:
    return make_tuning(run)


def lines() -> tuple[list[str], Any]:
    found: list[str] = []
    return found, found.append


@pytest.fixture(scope="module")
def done(run: Run, tuning: Tuning) -> tuple[Transfer, list[str]]:
    said, log = lines()
    made = Transfer(run, tuning, log=log)
    made.run_all()
    return made, said


@pytest.mark.slow
def test_a_grid_leaves_records_predictions_and_tuned_parameters(
    done: tuple[Transfer, list[str]], run: Run
) -> None:
    made, _ = done
    written = json.loads((run.folder / "eval/ner.json").read_text())
    assert (written["run"], written["task"]) == ("r", "ner")
    rows = written["records"]
    assert sorted(map(json.dumps, rows)) == sorted(map(json.dumps, made.records()))
    assert len([r for r in rows if r["kind"] == "setting"]) == 4 * 2 * 3  # settings, languages, ...
    results = [r for r in rows if r["kind"] == "result" and r["metric"] == "f1"]
    assert [(r["source"], r["target"], r["seeds"], r["n"]) for r in results] == [
        ("a", "a", 2, 8),
        ("a", "b", 2, 10),
    ]
    for setting in made.tuning.settings:
        folder = made.folder_of(setting)
        names = {str(x.relative_to(folder)) for x in folder.rglob("*.*") if x.suffix != ""}
        assert {"result.json", "predictions/a.bio", "predictions/b.bio"} <= names
        assert not (folder / "progress").exists() and (folder / "model").exists()


@pytest.mark.slow
def test_what_the_data_hide_is_counted(done: tuple[Transfer, list[str]]) -> None:
    said = " | ".join(done[1])
    assert "train: 24 items of files:" in said and "test b: 10 items" in said
    assert "dev: labels without training, counted as errors: B-Y 1" in said
    assert "test b: rows of 16 tokens: items in windows 1" in said


@pytest.mark.slow
def test_finished_settings_are_never_trained_again(
    run: Run, tuning: Tuning, done: tuple[Transfer, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any) -> Any:
        raise AssertionError("trained again")

    monkeypatch.setattr(Tuner, "run", never)
    said, log = lines()
    again = Transfer(run, tuning, log=log)
    again.run_all()
    assert again.records() == done[0].records()
    assert "4 of 4 settings are trained already" in said
    # Another file for b: the kept parameters are scored on it, nothing is trained.
    first = f"files:{run.folder}/b.test.bio#take=3"
    test = {"a": f"files:{run.folder}/a.test.bio", "b": first}
    more = Transfer(run, dataclasses.replace(tuning, test=test), log=log)
    more.run_all()
    assert {r["n"] for r in more.records() if r["target"] == "b"} == {3}
    kept = [r for r in done[0].records() if r["kind"] == "setting" and r["target"] == "a"]
    assert [r for r in more.records() if r["kind"] == "setting" and r["target"] == "a"] == kept
    # One more setting: only that is trained.
    with pytest.raises(AssertionError, match="trained again"):
        Transfer(run, dataclasses.replace(tuning, seeds=(0, 1, 2)), log=log).run_all()
    assert "4 of 6 settings are trained already" in said  # compiling may be told of after it
    Transfer(run, tuning, log=log).run_all()  # as it was, for the other tests


@pytest.mark.slow
def test_one_process_at_a_time_fine_tunes_a_run_on_a_task(
    done: tuple[Transfer, list[str]],
) -> None:
    made, _ = done
    with lock.training(made.folder):
        with pytest.raises(InputError, match="eval/ner: .* trains this run; wait for it"):
            made.run_all()
    made.run_all()


@pytest.mark.slow
def test_two_test_sets_of_a_language_stand_side_by_side(
    run: Run, tuning: Tuning, done: tuple[Transfer, list[str]]
) -> None:
    """Neither takes the other's score or predictions, and each result says its own."""
    test = {"a": f"files:{run.folder}/a.test.bio", "b": f"files:{run.folder}/b.test.bio#skip=4"}
    more = Transfer(run, dataclasses.replace(tuning, test=test, best=1), log=lambda _: None)
    more.run_all()
    rows = json.loads((run.folder / "eval/ner.json").read_text())["records"]
    of_b = [r for r in rows if r["kind"] == "result" and r["target"] == "b"]
    of_b = [(r["data"], r["n"], r["mean_of"]) for r in of_b if r["metric"] == "f1"]
    whole = f"files:{run.folder}/b.test.bio"
    assert {(whole, 10, 2), (f"{whole}#skip=4", 6, 1)} <= set(of_b) and len(of_b) == len(set(of_b))
    names = [x.name for x in (more.folder_of(tuning.settings[0]) / "predictions").iterdir()]
    assert len([x for x in names if x.startswith("b")]) >= 2
    kept = [r for r in rows if r["kind"] == "setting" and r["data"] == whole]
    assert kept == [r for r in done[0].records() if r["kind"] == "setting" and r["target"] == "b"]


@pytest.mark.slow
def test_tuned_parameters_do_not_depend_on_the_test_sets(
    run: Run, tuning: Tuning, done: tuple[Transfer, list[str]], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Dropout masks have the shape of a batch: test sentences of more words must not widen it."""
    short = "\n".join("a\tO\n" * n for n in range(1, 7))
    (run.folder / "wordy.bio").write_text(short)
    (run.folder / "long.bio").write_text("\n".join(["iouaeb\tB-X\ndoc\tO\n"] * 12))
    monkeypatch.setattr(Run, "trained", lambda _: (3, done[0].params))
    train = f"files:{run.folder}/long.bio"
    one = dataclasses.replace(tuning, train=train, dev=train, lr=(1e-2,), seeds=(0,))
    found = []
    for name in ("long", "wordy"):
        other = dataclasses.replace(run, folder=tmp_path / name)
        test = {"a": f"files:{run.folder}/{name}.bio"}
        asked = dataclasses.replace(one, targets=("a",), test=test)
        made = Transfer(other, asked, log=lambda _: None)
        made.run_all()
        few, many = made.data.train.rows, made.data.test["a"].rows
        fit = many.words[many.sizes <= few.sizes.max()].max()  # in the bucket of training
        assert name == "long" or fit > few.words.max()
        tuned = made.tuned(one.settings[0])
        assert tuned is not None
        found.append(leaf_digests(tuned))
    assert found[0] == found[1]


@pytest.mark.slow
def test_what_is_damaged_is_named_and_made_again(
    run: Run, tuning: Tuning, done: tuple[Transfer, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A digit of a result, a result cut in the middle, a tuned parameter, the file of records."""
    made = done[0]
    first, second, third, fourth = map(made.folder_of, tuning.settings)
    want = {x: json.loads((x / "result.json").read_text()) for x in (first, second, third)}
    text = (first / "result.json").read_text()
    (first / "result.json").write_text(text.replace('"epoch": 1', '"epoch": 7'))
    (second / "result.json").write_text((second / "result.json").read_text()[:90])
    largest = max((third / "model").rglob("d/*"), key=lambda x: x.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[::64] = bytes(x ^ 1 for x in content[::64])  # a single one may be of no use
    largest.write_bytes(content)
    trained: list[str] = []
    fit_all = transfer.fit_all
    monkeypatch.setattr(
        transfer, "fit_all",
        lambda tuner, fits, *a: (trained.extend(f.setting.name for f in fits),
                                 fit_all(tuner, fits, *a)),
    )  # fmt: skip
    said, log = lines()
    test = {"a": f"files:{run.folder}/a.test.bio", "b": f"files:{run.folder}/b.test.bio#take=2"}
    (run.folder / "eval/ner.json").write_text('{"run": ')
    Transfer(run, dataclasses.replace(tuning, test=test), log=log).run_all()
    assert trained == [s.name for s in tuning.settings[:3]]
    text = "\n".join(said)
    for what in (
        f"{first}/result.json is damaged: its content is not what was written",
        f"{second}/result.json is damaged: ",
        f"{third}: no whole model; the setting is trained again",
        "ner.json is damaged: ",
    ):
        assert what in text
    Transfer(run, tuning, log=lambda _: None).run_all()
    for folder, before in want.items():
        now = json.loads((folder / "result.json").read_text())
        assert (now["dev"], now["epoch"]) == (before["dev"], before["epoch"])
        of_b = [[x for x in y["scores"] if x["n"] == 10] for y in (now, before)]
        assert of_b[0] == of_b[1] and len(of_b[0]) == 1


@pytest.mark.slow
def test_the_target_keeps_its_private_leaves_and_gets_the_shared_ones(
    done: tuple[Transfer, list[str]],
) -> None:
    made, _ = done
    setting = made.tuning.settings[0]
    tuned = made.tuned(setting)
    assert tuned is not None
    before = {x: jax.device_get(v.leaves) for x, v in made.views("trained").items()}
    view = made.views("trained")["b"]
    after = jax.device_get(view.after(tuned))
    private = [p for p in after if p.startswith("layer_1/")]
    shared = [p for p in after if p.startswith("layer_2/") or p == "embed/position"]
    assert len(private) == len([p for p in shared if p.startswith("layer_2/")]) == 16
    digests = leaf_digests(after), leaf_digests(before["b"]), leaf_digests(dict(tuned))
    for path in private:  # b's own, to the bit; English fine-tuning left its own alone too
        assert digests[0][path] == digests[1][path] and path not in tuned
    for path in shared:
        assert digests[0][path] == digests[2][path] != digests[1][path]
    assert all(digests[0][p] == digests[2][p] for p in tuned if p.startswith(NEW))
    table = "embed/token"  # shared, but for the rows of the special tokens
    np.testing.assert_array_equal(after[table][:N_SPECIAL], before["b"][table][:N_SPECIAL])
    np.testing.assert_array_equal(after[table][N_SPECIAL:], tuned[table][N_SPECIAL:])
    assert (before["a"][table][:N_SPECIAL] != before["b"][table][:N_SPECIAL]).any()


@pytest.mark.slow
def test_a_grid_that_was_interrupted_comes_to_the_same(
    run: Run, tuning: Tuning, done: tuple[Transfer, list[str]], monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:  # fmt: skip
    other = dataclasses.replace(run, folder=tmp_path / "r")
    monkeypatch.setattr(Run, "trained", lambda _: (3, done[0].params))
    one = dataclasses.replace(tuning, seeds=(1,), steps_per_call=2)
    with monkeypatch.context() as patch:
        patch.setattr(CtrlC, "pressed", property(lambda _: True, lambda *_: None), raising=False)
        with pytest.raises(Interrupted, match="stopped at step 2, saved; the same command"):
            Transfer(other, one, log=lambda _: None).run_all()
    made = Transfer(other, one, log=lambda _: None)
    assert [made.folder_of(s).name for s in one.settings] == [
        done[0].folder_of(s).name for s in one.settings
    ]
    made.run_all()
    want = [r for r in done[0].records() if r["kind"] == "setting" and r["seed"] == 1]
    assert [r for r in made.records() if r["kind"] == "setting"] == want


@pytest.mark.slow
def test_features_mapped_into_the_source_space(
    run: Run, tuning: Tuning, done: tuple[Transfer, list[str]]
) -> None:
    """Paper section 5.1.2: the encoder stays, new layers and head see its states through a map."""
    base = dataclasses.replace(
        tuning, freeze="all", layer=1, new_layers=1, lr=(1e-2,), seeds=(0,), targets=("b",)
    )
    width = run.config.model.width
    plain = Transfer(run, base, log=lambda _: None)
    assert plain.trainable == []
    plain.run_all()
    view = plain.views("trained")["b"]
    setting, part = base.settings[0], plain.data.test["b"]
    assert all(path.startswith(NEW) for path in plain.tuned(setting))
    same = (np.eye(width, dtype=np.float32), np.zeros(width, np.float32))
    other = (-np.eye(width, dtype=np.float32), np.ones(width, np.float32))
    tuned, answers = plain.tuned(setting), []
    for affine in (None, same, other):
        seen = dataclasses.replace(view, affine=affine)
        answers.append(plain.tuner(8).answers(seen.after(tuned), part.rows, seen))
    assert answers[0] == answers[1] != answers[2]

    seen = dataclasses.replace(view, affine=other)
    mapped = Transfer(run, base, views={"b": seen}, log=lambda _: None)
    assert mapped.folder_of(setting) == plain.folder_of(setting)  # tuned already: only b is scored
    mapped.tuners = plain.tuners
    mapped.run_all()
    found = {r["metric"]: r["value"] for r in mapped.records() if r["target"] == "b"}
    assert found == plain.task.scores(part.items, answers[2])


def test_a_monolingual_run_has_its_source_alone(run: Run, tuning: Tuning) -> None:
    config = dataclasses.replace(run.config, languages=("a",), corpora={"a": "synthetic:a"})
    found = resolved(dataclasses.replace(run, config=config), tuning, {})
    assert (found.source, list(found.test)) == ("a", ["a"])


def test_settings_that_may_run_at_once() -> None:
    made = Tuning(batch=(4, 8), lr=(1e-3, 2e-3, 3e-3), seeds=(0, 1)).settings
    sizes = [[(s.seed, s.batch) for s in group] for group in groups(made, 2)]
    assert sizes == [[(seed, batch)] * n for seed in (0, 1) for batch in (4, 8) for n in (2, 1)]
    assert groups(made, 1) == [[s] for s in made]
    assert isinstance(made[0], Setting)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": "de"}, "unknown language in .* 'de': known: a, b"),
        ({"targets": ("b", "fr")}, "unknown language in .* 'fr': known: a, b"),
        ({"train": ""}, "ner: no train data: give --data.train=SPEC"),
        ({"test": {"a": "files:x"}}, "ner: no test data of b: give --data.test=b=SPEC"),
        ({"dev": "files:no"}, "no file matches 'no'"),
        ({"freeze": "up_to:9"}, "freeze: rule 'layer_3/.*' matches no parameter"),
        ({"length": 17}, "tune.length = 17 is beyond model.positions = 16"),
        ({"layer": 3}, "tune.layer = 3 is beyond the encoder's last layer, 2"),
    ],
)
def test_bad_questions_are_refused_before_any_training(
    change: dict[str, Any], message: str, run: Run, tuning: Tuning
) -> None:
    with pytest.raises(InputError, match=message):
        Transfer(run, dataclasses.replace(tuning, **change), log=lambda _: None)


@pytest.mark.slow
def test_a_batch_that_does_not_fit_is_refused_before_any_training(run: Run, tuning: Tuning) -> None:
    absurd = dataclasses.replace(tuning, batch=(4, 10**8), seeds=(7,))
    with pytest.raises(InputError) as refused:
        Transfer(run, absurd, log=lambda _: None).run_all()
    assert re.fullmatch(
        r"fine-tuning needs \d{3,}\.\d\d GiB of memory and cpu has [\d.]+ GiB: "
        r"make tune.batch = 100000000 or tune.parallel = 2 smaller",
        str(refused.value),
    )
    assert not list((run.folder / "eval/ner").glob("*seed7*"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"task": "pos"}, "unknown tune.task 'pos'.*known: ner, nli, parsing"),
        ({"encoders": ("random",)}, r"tune.encoders = \('random',\): .* one of trained, untrained"),
        ({"lr": ()}, r"tune.lr = \(\): .* not empty"),
        ({"freeze": "upto:1"}, "tune.freeze = 'upto:1': must be private, none, all, up_to:N"),
        ({"length": 4}, "tune.length is 4, at least 8"),
    ],
)
def test_bad_settings_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Tuning(**change)


def test_test_data_on_the_command_line(run: Run) -> None:
    assert test_specs(run, ["files:x.{language}"]) == "files:x.{language}"
    assert test_specs(run, ["a=files:x", "b=tfds:y:test"]) == {"a": "files:x", "b": "tfds:y:test"}
    with pytest.raises(InputError, match="names a language twice: a=files:x, a=files:y"):
        test_specs(run, ["a=files:x", "a=files:y"])
    with pytest.raises(InputError, match="not LANGUAGE=SPEC"):
        test_specs(run, ["files:x", "files:y"])
    with pytest.raises(InputError, match="unknown language in .* 'zh': known: a, b"):
        test_specs(run, ["zh=files:x"])
