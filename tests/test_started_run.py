"""Runs that are finished at step 0, another run's parameters: what evaluations call them, and when
a study has them."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.study_toy import runner
from xl_jax.analysis import record
from xl_jax.analysis.record import Record, RecordFile
from xl_jax.evaluate.context import Context
from xl_jax.evaluate.encoders import Encoders


def context(step: int, said: list[str]) -> Context:
    """Of a run whose newest checkpoint is of that step; nothing is computed."""
    made: Any = Context.__new__(Context)
    made.run, made.log = SimpleNamespace(config=SimpleNamespace(seed=7)), said.append
    made.source = made.target = Encoders.__new__(Encoders)
    made.source.__dict__ |= {"step": step, "at_start": False}
    return made


def model(of: Context, name: str = "trained") -> tuple[str, int]:
    origin = of.origin(name, "a", "b")
    return origin["model"], origin["step"]


def test_a_checkpoint_of_step_0_is_not_the_untrained_encoder() -> None:
    made = context(0, [])
    assert model(made) == ("trained", 0) and model(made, "untrained") == ("untrained", 0)
    made.source = made.source.at(0, {}, at_start=True)  # where a curve begins
    assert model(made) == ("untrained", 0)
    made.source = made.source.at(8, {})
    assert model(made) == ("trained", 8)


def test_a_file_that_calls_such_a_checkpoint_untrained_is_measured_again(tmp_path: Path) -> None:
    said: list[str] = []
    good = [Record("m", 0.9, model="trained"), Record("m", 0.1, model="untrained")]
    old = [Record("m", 0.9, model="untrained"), Record("m", 0.1, model="untrained")]
    neither = [Record("perplexity", 3.0)]
    for name, records in {"good": good, "old": old, "neither": neither}.items():
        record.write(tmp_path / name, RecordFile("r", "m", {"step": 0}, records))
    made = context(0, said)
    assert made.finished(tmp_path / "good", {"step": 0}) == good
    assert made.finished(tmp_path / "neither", {"step": 0}) == neither and said == []
    assert made.finished(tmp_path / "old", {"step": 0}) == []
    assert said == [f"{tmp_path}/old calls the run's checkpoint untrained: measured again"]
    assert context(8, said).finished(tmp_path / "old", {"step": 0}) == old


@pytest.mark.parametrize(
    ("flags", "finished"),
    [
        (["--config=configs/reinit.py:1"], True),  # trains nothing: no later step is saved
        (["--config=configs/reinit.py:1", "--config.freeze=none"], False),
        (["--config.freeze=all"], False),
    ],
)
def test_a_run_that_only_starts_is_trained_for_a_study(
    flags: list[str], finished: bool, tmp_path: Path
) -> None:
    made = runner(tmp_path, rows={"x": flags}, evaluations={})
    (run,) = made.runs
    work = made.works[run.id]
    path = run.folder / "eval" / "perplexity.json"
    record.write(path, RecordFile("r", "perplexity", {}, [Record("perplexity", 3.0)]))
    assert not work.finished(work.stages[0])
    (run.folder / "checkpoints" / "0").mkdir(parents=True)
    assert work.finished(work.stages[0]) == finished
