"""Studies: their runs, what is done for them, and study.json. The commands are scripts."""

import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.study_toy import Commands, calls, local, runner, study
from xl_jax.config import to_dict
from xl_jax.devices import machine
from xl_jax.errors import InputError
from xl_jax.json_files import read_json, write_json
from xl_jax.prepare.request import folder_of
from xl_jax.studies import study_folder
from xl_jax.studies.adopt import adopt
from xl_jax.studies.cost import estimate
from xl_jax.studies.grid import decisive, run_id, runs
from xl_jax.studies.progress import Progress
from xl_jax.studies.runner import Runner, alone
from xl_jax.studies.stages import finish
from xl_jax.studies.study import load_study
from xl_jax.studies.study_folder import RunState

FAST = 0.01
WORDS = "eval.py --task=translation --probe.kernel=rbf"


@pytest.fixture(autouse=True)
def no_git(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "commit", lambda: "1a2b3c4")


def do(made: Any, parallel: int = 2) -> list[str]:
    """Runs a study; the names of what failed."""
    failed = made.run_all(local(parallel), parallel, seconds=FAST)
    return [f"{x.row}, seed {x.seed}: {x.error}" for x in failed]


def test_rows_pairs_and_seeds_make_runs_seed_by_seed(tmp_path: Path) -> None:
    pairs = {
        "en-fr": ["--config=configs/small.py:en,fr"],
        "en-ru": ["--config=configs/small.py:en,ru"],
    }
    found = runs(study(pairs=pairs, seeds=(0, 1)), tmp_path)
    assert [x.name for x in found[:5]] == [
        "shared, en-fr, seed 0",
        "shared, en-ru, seed 0",
        "private, en-fr, seed 0",
        "private, en-ru, seed 0",
        "shared, en-fr, seed 1",
    ]
    run = found[3]
    assert run.folder == tmp_path / f"runs/private/en-ru/seed0-{run.id}"
    assert run.flags == (
        "--config=configs/small.py:en,ru",
        "--config.sharing=all_private",
        "--config.seed=0",
        f"--config.data.dir={tmp_path}/data",
    )
    assert run.config.languages == ("en", "ru") and run.config.sharing == "all_private"


def test_source_and_target_stand_for_the_languages_of_the_pair() -> None:
    flags = "--config.anchors.dictionaries={source}-{target}=dict/{target}.txt"
    pairs = {"x": ["--config=configs/small.py:en,ru"]}
    made = study(rows={"anchors": [flags]}, pairs=pairs)
    assert made.flags_of("anchors", "x")[1] == ("--config.anchors.dictionaries=en-ru=dict/ru.txt")
    three = study(rows={"anchors": [flags]}, pairs={"x": ["--config=configs/small.py:en,fr,ru"]})
    with pytest.raises(InputError, match="row 'anchors': {source} of en, fr, ru"):
        three.flags_of("anchors", "x")


def test_an_id_is_of_what_decides_the_training(tmp_path: Path) -> None:
    config = runs(study(), tmp_path)[0].config
    assert decisive(to_dict(config))["model.layers"] == 3
    assert "model.activation" not in decisive(to_dict(config))  # at its default

    def changed(**more: Any) -> bool:
        return run_id(to_dict(dataclasses.replace(config, **more))) != run_id(to_dict(config))

    assert not changed(data=dataclasses.replace(config.data, dir="elsewhere"))
    assert not changed(probe=dataclasses.replace(config.probe, words=7), keep=1, log_every=20)
    assert changed(seed=1) and changed(steps=20) and changed(sharing="sep_emb")


def test_ids_stay() -> None:
    """Folders of studies are named by them. Another code's default changes an id; say so."""
    found = runs(load_study("configs/table1.py:tiny"), Path("x"))
    ids = {x.name: x.id for x in found if x.seed == 0}
    assert ids["default, seed 0"] == "d7a316f4"
    assert ids["sep_emb_l1_equal, seed 0"] == "3ba6ff66"


def test_two_names_never_give_one_folder(tmp_path: Path) -> None:
    names = ["a b", "a_b", "a/b", "../a", "A B", "<b>&'\"", "ы", "."]
    steps = {name: [f"--config.steps={20 * i}"] for i, name in enumerate(names, 1)}
    folders = [x.folder for x in runs(study(rows=steps), tmp_path)]
    assert len({str(x).lower() for x in folders}) == len(names)
    assert {x.parents[1] for x in folders} == {tmp_path / "runs"}


def test_rows_that_train_the_same_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'a, seed 0' and 'b, seed 0' train the same model"):
        runs(study(rows={"a": [], "b": ["--config.keep=1"]}), tmp_path)


def test_a_study_is_done_once_and_study_json_tells_of_it(tmp_path: Path) -> None:
    made = runner(tmp_path / "s")
    assert [x.state for x in made.states.values()] == ["waiting", "waiting"]
    assert do(made) == []
    train = [
        "train.py --config=configs/tiny.py",
        f"--config.seed=0 --config.data.dir={tmp_path}/s/data",
    ]
    assert calls(made) == {
        "shared, seed 0": [" ".join(train), WORDS],
        "private, seed 0": [" --config.sharing=all_private ".join(train), WORDS],
    }
    found = study_folder.read_study(tmp_path / "s")
    assert (found.study.title, found.study.reference) == ("A study", "shared")
    assert found.study.file == "configs/x.py:a" and found.study.versions["jax"]
    (private,) = found.of("private")
    assert (private.run.state, private.run.commit) == ("done", "1a2b3c4")
    assert list(private.run.seconds) == ["train", "words"] and private.run.device == "1 cpu"
    assert private.run.config["sharing"] == "all_private"
    assert list(private.files) == ["perplexity", "retrieval", "translation"]
    assert private.stage_of("retrieval") == "train" and private.stage_of("translation") == "words"
    assert [r.metric for r in private.records] == ["perplexity", "retrieval", "translation"]
    command = study_folder.command(found.study, private.run, "words", tmp_path / "s")
    assert command == f"python {WORDS} --workdir={private.folder}"

    again = runner(tmp_path / "s")
    assert do(again) == [] and calls(again) == calls(made)


def test_a_study_grows(tmp_path: Path) -> None:
    do(runner(tmp_path))
    more = {"words": ["--task=translation", "--probe.kernel=rbf"], "cka": ["--task=cka"]}
    made = runner(tmp_path, seeds=(0, 1), evaluations=more)
    states = [x.state for x in made.states.values()]
    assert states == ["waiting"] * 4
    do(made)
    found = calls(made)
    assert [x.split()[:2] for x in found["shared, seed 0"][2:]] == [["eval.py", "--task=cka"]]
    assert len(found["shared, seed 1"]) == 3


def test_a_failed_run_is_tried_once_more_and_stops_nothing(tmp_path: Path) -> None:
    made = runner(tmp_path, seeds=(0, 1))
    once, twice = made.runs[0].folder, made.runs[1].folder
    (once / "failures").write_text("1")
    (twice / "failures").write_text("2")
    assert do(made) == ["private, seed 0: train: error: it went wrong (exit code 1)"]
    states = {x.name: made.states[x.id].state for x in made.runs}
    assert states == {
        "shared, seed 0": "done",
        "private, seed 0": "failed",
        "shared, seed 1": "done",
        "private, seed 1": "done",
    }
    failed = study_folder.read(tmp_path).runs[1]
    assert (failed.state, failed.stage) == ("failed", "train") and "went wrong" in failed.error
    assert "devices: 1 cpu" in made.runs[1].log.read_text()
    begun = read_json(made.runs[1].folder / "stages.json")["begun"]["train"]
    write_json(
        made.runs[1].folder / "stages.json", {"begun": {"train": begun | {"seconds": 100.0}}}
    )
    assert do(runner(tmp_path, seeds=(0, 1))) == []  # the same command again tries it again
    assert study_folder.read(tmp_path).runs[1].seconds["train"] >= 100


def test_an_evaluation_that_fails_stops_no_other_one(tmp_path: Path) -> None:
    do(runner(tmp_path, evaluations={}))
    evaluations = {"a": ["--task=translation"], "b": ["--task=cka"], "c": ["--task=retrieval"]}
    made = runner(tmp_path, evaluations=evaluations)
    work = made.works[made.runs[0].id]
    (work.folder / "failures").write_text("2")
    assert finish(work, Commands()) == "a: error: it went wrong (exit code 1)"
    assert [x.name for x in work.waiting()] == ["a", "b"]
    (work.folder / "checkpoints" / "4000").rmdir()
    (work.folder / "failures").write_text("1")
    assert finish(work, Commands()) == "train: error: it went wrong (exit code 1)"
    assert len(work.waiting()) == 4  # without a trained run nothing is measured


@pytest.mark.parametrize("text", ["", '{"run": "x", "task": "translation", "rec', "[]"])
def test_a_damaged_file_of_results_is_named_ignored_and_made_again(
    text: str, tmp_path: Path
) -> None:
    made = runner(tmp_path)
    do(made)
    path = made.runs[0].folder / "eval" / "translation.json"
    path.write_text(text)
    (found,) = study_folder.read_study(tmp_path).of("shared")
    assert str(path) in found.damaged[0] and list(found.files) == ["perplexity", "retrieval"]
    again = runner(tmp_path)
    assert [x.state for x in again.states.values()] == ["waiting", "done"]
    do(again)
    assert study_folder.read_study(tmp_path).of("shared")[0].damaged == []


def test_a_run_of_something_else_is_not_taken_for_finished(tmp_path: Path) -> None:
    made = runner(tmp_path)
    do(made)
    first, second = made.runs
    other = json.loads((first.folder / "config.json").read_text()) | {"field": "of a later version"}
    (first.folder / "config.json").write_text(json.dumps(other))
    (second.folder / "checkpoints" / "4000").rename(second.folder / "checkpoints" / "3000")
    again = study_folder.read_study(tmp_path)  # as it was written
    assert [x.run.state for x in again.runs] == ["done", "done"]
    looked = Runner(study(), tmp_path)
    assert [x.state for x in looked.states.values()] == ["waiting", "waiting"]


def test_finished_run_directories_are_adopted_with_their_tokens(tmp_path: Path) -> None:
    there, data = tmp_path / "there", tmp_path / "tokens"
    made = runner(there, seeds=(0, 1), evaluations={})
    do(made)
    for i, run in enumerate(made.runs):  # as another program would have left them
        (run.folder / "stages.json").unlink()
        config = dataclasses.replace(run.config.data, dir=str(data))
        write_json(
            run.folder / "config.json", to_dict(dataclasses.replace(run.config, data=config))
        )
        run.folder.rename(there / f"any name {i}")
    (there / "any name 3" / "checkpoints" / "4000").rmdir()  # half done
    tokens = folder_of(made.runs[0].config, data)
    tokens.mkdir(parents=True)
    (tokens / "vocab.json").write_text("tokens")
    (there / "nonsense").mkdir()
    (there / "nonsense" / "config.json").write_text("[]")

    new = Runner(study(seeds=(0, 1), evaluations={}), tmp_path / "new")
    said: list[str] = []
    assert adopt(new, there, said.append) == 3
    assert f"{there}/any name 3: private, seed 1, not finished: left where it is" in said
    taken = Runner(study(seeds=(0, 1), evaluations={}), tmp_path / "new")
    assert [x.state for x in taken.states.values()] == ["done", "done", "done", "waiting"]
    assert read_json(taken.runs[0].folder / "config.json")["data"]["dir"].endswith("new/data")
    assert (tmp_path / "new" / "data" / tokens.name / "vocab.json").exists()
    assert adopt(taken, there, said.append) == 0


def test_one_process_works_on_a_study(tmp_path: Path) -> None:
    with alone(tmp_path / "new"), pytest.raises(InputError, match="another process works on this"):
        with alone(tmp_path / "new"):
            pass


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "damaged"),
        ("[]", "damaged or of another version"),
        ('{"format": 99}', "format 99, not 1"),
        ('{"format": 1, "runs": [{"x": 1}]}', "damaged or of another version"),
        (None, "is no study: study.json is not there"),
    ],
)
def test_a_study_that_cannot_be_read_is_one_line(
    text: str | None, message: str, tmp_path: Path
) -> None:
    if text is not None:
        (tmp_path / "study.json").write_text(text)
    with pytest.raises(InputError, match=message):
        study_folder.read_study(tmp_path)


def test_cost_is_of_measured_steps(tmp_path: Path) -> None:
    made = runner(tmp_path, seeds=(0, 1))
    (made.runs[0].folder / "metrics.jsonl").write_text(
        '{"step": 100, "seconds_per_step": 0.02}\n{"step": 200, "heldout_ppl/en": 7.0}\n'
        '{"step": 200, "seconds_per_step": 0.04}\n{"step": 300, "secon'
    )
    text = estimate(made, 2).splitlines()
    assert text[0] == (
        "shared: 0 of 2 seeds trained; a run: 4,000 steps x 30 ms = 2 min (measured in shared, "
        "seed 0)"
    )
    assert text[2] == "evaluation words: 4 to do, not measured yet each"
    assert text[-1].startswith("4 of 4 runs to do, 2 at a time: at least 4 min")


def test_cost_is_of_finished_runs_where_there_are_some(tmp_path: Path) -> None:
    do(runner(tmp_path))
    for run in runner(tmp_path).runs:
        stages = read_json(run.folder / "stages.json")
        stages["done"]["train"]["seconds"], stages["done"]["words"]["seconds"] = 600.0, 60.0
        write_json(run.folder / "stages.json", stages)
    more = {"words": ["--task=translation", "--probe.kernel=rbf"], "cka": ["--task=cka"]}
    text = estimate(runner(tmp_path, seeds=(0, 1), evaluations=more), 2).splitlines()
    assert text[0] == (
        "shared: 1 of 2 seeds trained; a run: 4,000 steps, 10 min with start and measuring in runs "
        "that are finished"
    )
    assert text[2:4] == [
        "evaluation words: 2 to do, 60 s each",
        "evaluation cka: 4 to do, not measured yet each",
    ]
    assert text[-1].startswith("4 of 4 runs to do, 2 at a time: at least 11 min")


def state(**more: Any) -> RunState:
    given = {"id": "1", "row": "<b>", "pair": "", "seed": 0, "flags": [], "folder": "runs/b/seed0"}
    return RunState(**given | more)


def test_where_a_run_is_comes_from_its_numbers(tmp_path: Path) -> None:
    run = state(state="running", stage="train", config={"steps": 1000})
    folder = tmp_path / run.folder
    folder.mkdir(parents=True)
    progress = Progress(tmp_path, 2, io.StringIO())
    assert progress.where(run) == ("train", None)
    write_json(folder / "stages.json", {"stage": "train", "since": 0.0})
    (folder / "metrics.jsonl").write_text('{"step": 600, "seconds_per_step": 0.5}\n')
    assert progress.where(run) == ("train, step 600 of 1,000", 200.0)
    done = state(state="done", seconds={"train": 100.0, "words": 20.0})
    assert progress.summary([done, state(), run]) == (
        "1 of 3 done, 1 running, 1 waiting, 3 min left"
    )


def test_lines_and_table_say_state_and_log_and_escape_names(tmp_path: Path) -> None:
    file = io.StringIO()
    run = state(row="a\n[red]b", state="failed", error="train: error: no")
    with Progress(tmp_path, 1, file) as progress:
        progress.show([state(row="a\n[red]b", id="1")])
        progress.show([run])
        progress.show([run])
    assert file.getvalue() == (
        f"a\\n[red]b, seed 0: failed: train: error: no, log {tmp_path}/runs/b/seed0.log; "
        "0 of 1 done, 1 failed\n"
    )
    console = Console(file=io.StringIO(), width=200)
    console.print(progress.table([run]))
    assert "[red]b, seed 0" in console.file.getvalue() and "failed" in console.file.getvalue()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_the_table_stays_in_its_place(tmp_path: Path) -> None:
    terminal = Terminal()
    running = state(state="running", stage="words", config={"steps": 8})
    with Progress(tmp_path, 1, terminal) as progress:
        progress.show([running])
        progress.show([state(state="failed", error="words: error: no file")])
    said = terminal.getvalue()
    assert "running" in said and "words" in said and "seed0.log" in said
    assert "error: no file" in said and "1 failed" in said
    assert "\x1b[1A" in said  # goes up and writes over the first table
