"""eval.py as a command, on the stored run: a task through a map, and what is refused at once."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from stored_run import unpack

from xl_jax.config.finetune import PROBE
from xl_jax.config.finetune import TASKS as TRANSFER
from xl_jax.evaluate.runner import TASKS

ROOT = Path(__file__).resolve().parents[1]
STORED = ROOT / "tests/stored"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack(tmp_path_factory.mktemp("stored"))


def call(folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "eval.py", f"--workdir={folder}", *flags],
        cwd=ROOT, env=os.environ | {"JAX_PLATFORMS": "cpu"}, capture_output=True, text=True,
    )  # fmt: skip


@pytest.mark.slow
def test_a_task_through_a_map(folder: Path, tmp_path: Path) -> None:
    """Links are given: no aligner is needed."""
    sides = [(STORED / f"pairs.{x}").read_text().splitlines() for x in "ab"]
    links = [
        " ".join(f"{i}-{i}" for i in range(min(len(a.split()), len(b.split()))))
        for a, b in zip(*sides, strict=True)
    ]
    (tmp_path / "links").write_text("\n".join(links) + "\n")
    ended = call(
        folder,
        *("--task=ner", f"--data.map={STORED}/pairs.a,{STORED}/pairs.b", "--probe.layers=1"),
        *(f"--data.links={tmp_path}/links", "--tune=configs/finetune_small.py:ner"),
        *("--tune.epochs=1", "--tune.best=1", "--tune.batch=(8,)", "--tune.lr=(1e-3,)"),
        *("--tune.head_lr=(1e-3,)", "--tune.seeds=(0,)", "--tune.encoders=('trained',)"),
        *(f"--data.{x}=files:{STORED}/ner/{{language}}.{x}.bio" for x in ("train", "dev", "test")),
    )
    assert ended.returncode == 0, ended.stderr
    (path,) = folder.glob("eval/ner-map-*.json")
    assert f"records: {path}" in ended.stdout and path.with_suffix(".png").exists()
    assert "span F1 %, through layer" in ended.stdout
    results = [r for r in json.loads(path.read_text())["records"] if r["kind"] == "result"]
    f1 = [r for r in results if r["metric"] == "f1"]
    assert [(r["source"], r["target"], r["map"], r["layer"]) for r in f1] == [
        ("a", "a", "none", 1),
        ("a", "b", "none", 1),
        ("a", "b", "procrustes", 1),
        ("a", "b", "random", 1),
    ]


@pytest.mark.slow
def test_a_mistyped_task_names_all_tasks(folder: Path) -> None:
    ended = call(folder, "--task=retrival")
    assert ended.returncode == 2 and ended.stdout == ""
    known = ", ".join(sorted([*TASKS, *TRANSFER, PROBE]))
    assert {"retrieval", "ner", "nli", "parsing"} <= set(known.split(", "))
    hint = "did you mean 'retrieval' or 'translation'?"
    assert ended.stderr == f"error: unknown task 'retrival': {hint} known: {known}\n"
