"""Weights & Biases and MLflow behind the one tracker: where they are installed, offline; otherwise
in their place modules that keep what they are told."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from xl_jax.config.convert import flattened
from xl_jax.errors import InputError
from xl_jax.runs import loggers
from xl_jax.runs.tracker import Tracker

CONFIG = {"steps": 20, "model.layers": 3}


class Told(list):
    """Calls, as (name, arguments)."""

    def note(self, name: str, result: Any = None) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.append((name, args, kwargs))
            return result

        return call


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> Told:
    told = Told()
    run = SimpleNamespace(id="w1", log=told.note("log"), finish=told.note("finish"))
    module = ModuleType("wandb")
    module.__dict__["init"] = told.note("init", run)
    module.__spec__ = importlib.util.spec_from_loader("wandb", None)
    monkeypatch.setitem(sys.modules, "wandb", module)
    return told


def run_of(folder: Path, steps: range, name: str) -> None:
    def opened() -> dict[str, loggers.Logger]:
        return loggers.open_loggers([name], folder, CONFIG)

    with Tracker(folder, steps.start, 20, loggers=opened) as tracker:
        for step in steps:
            tracker.record(step, {"loss": step / 2, "heldout_ppl/en": 3.0})


def test_a_run_that_continues_goes_on_in_its_record(wandb: Told, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    run_of(folder, range(1, 3), "wandb")
    run_of(folder, range(3, 4), "wandb")
    asked = {"project": "xl_jax", "name": "mine", "dir": str(folder), "config": CONFIG}
    assert wandb == [
        ("init", (), {**asked, "id": None, "resume": "allow"}),
        ("log", ({"loss": 0.5, "heldout_ppl/en": 3.0},), {"step": 1}),
        ("log", ({"loss": 1.0, "heldout_ppl/en": 3.0},), {"step": 2}),
        ("finish", (), {"exit_code": 0}),
        ("init", (), {**asked, "id": "w1", "resume": "allow"}),
        ("log", ({"loss": 1.5, "heldout_ppl/en": 3.0},), {"step": 3}),
        ("finish", (), {"exit_code": 0}),
    ]
    assert json.loads((folder / "trackers.json").read_text()) == {"wandb": "w1"}
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(x)["step"] for x in lines] == [1, 2, 3]


def test_one_that_fails_is_told_of_and_ends_nothing(
    wandb: Told, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise ConnectionError("no route\nto host")

    sys.modules["wandb"].init("").log = fail  # type: ignore[attr-defined]
    run_of(tmp_path, range(1, 3), "wandb")
    told = capsys.readouterr().err
    assert told == "wandb gets no more numbers: ConnectionError: no route\n"
    assert [x[0] for x in wandb] == ["init", "init"]
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 2


def test_an_unknown_or_absent_tracker_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="unknown tracker 'wandd': did you mean 'wandb'"):
        loggers.check(["wandd"])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="--track=mlflow needs a package: pip install mlflow"):
        loggers.check(["mlflow"])


def test_fields_of_a_config_as_the_command_line_names_them() -> None:
    from tests.text_toy import config

    fields = flattened(config({"en": "synthetic:a"}))
    assert fields["vocab.size"] == 40 and fields["corpora.en"] == "synthetic:a"
    assert fields["languages"] == ["en"] and not any(isinstance(x, dict) for x in fields.values())


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("wandb"), reason="wandb is not installed")
def test_weights_and_biases_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    run_of(tmp_path, range(1, 3), "wandb")
    assert list(tmp_path.glob("wandb/offline-run-*/*.wandb"))


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("mlflow"), reason="mlflow is not installed")
def test_mlflow_in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    from mlflow import MlflowClient

    run_of(tmp_path, range(1, 3), "mlflow")
    run_of(tmp_path, range(3, 4), "mlflow")
    id = json.loads((tmp_path / "trackers.json").read_text())["mlflow"]
    client = MlflowClient()
    found = client.get_run(id)
    assert found.data.params == {"steps": "20", "model.layers": "3"}
    assert [x.step for x in client.get_metric_history(id, "loss")] == [1, 2, 3]
    assert found.data.metrics["heldout_ppl/en"] == 3.0 and found.info.status == "FINISHED"
