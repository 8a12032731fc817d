"""The main job, shortened to a quarter: the promise on the README's first page can fail."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from settings import shipped_environment

METRICS = {"retrieval": "sentence_retrieval", "translation": "word_translation"}
ROOT = Path(__file__).parents[1]


def train(folder: Path, environment: Mapping[str, str], *flags: str) -> Path:
    command = [sys.executable, "train.py", f"--workdir={folder}", *flags]
    command += [f"--config.data.dir={folder.parent / 'data'}"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def trained_leads(folder: Path) -> dict[str, bool]:
    """By metric: whether the trained model's best layer is above every untrained layer's and ten
    times chance with the whole of its 95 % interval, in both directions."""
    found = {}
    for task, metric in METRICS.items():
        records = json.loads((folder / f"eval/{task}.json").read_text())["records"]
        records = [r for r in records if r["metric"] == metric and not r["centred"]]
        lead = []
        for source in ("en", "twin"):
            here = [r for r in records if r["source"] == source]
            best = max((r for r in here if r["model"] == "trained"), key=lambda r: r["value"])
            untrained = max(r["high"] for r in here if r["model"] == "untrained")
            lead.append(best["low"] > max(untrained, 10 * best["chance"]))
        found[metric] = all(lead)
    return found


@pytest.mark.slow
def test_the_trained_model_is_above_chance_and_one_that_is_not_updated_is_not(
    tmp_path: Path,
) -> None:
    every = (f"--config.{x}=1000" for x in ("steps", "eval_every", "checkpoint_every"))
    folder = train(tmp_path / "trained", shipped_environment(), *every)
    assert trained_leads(folder) == {"sentence_retrieval": True, "word_translation": True}
    assert list(folder.glob("*.png"))

    few = (f"--config.{x}=20" for x in ("steps", "log_every", "eval_every", "checkpoint_every"))
    still = train(tmp_path / "still", os.environ, *few, "--config.optim.lr=1e-30")
    assert trained_leads(still) == {"sentence_retrieval": False, "word_translation": False}
