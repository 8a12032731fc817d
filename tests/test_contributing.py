"""The changes that CONTRIBUTING.md shows apply to this repository and do what it says."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (Adding .+?)\n(.*?)(?=^## |^These three|\Z)", TEXT, re.M | re.S))


def block(section: str, language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```$", section, re.M | re.S)
    assert found is not None
    return found[1]


def apply(diff: str, root: Path) -> str:
    """What `git apply` says, "" for nothing."""
    call = ["git", "apply", "-"]
    done = subprocess.run(call, input=diff, capture_output=True, text=True, cwd=root, check=False)
    return done.stderr


@pytest.mark.parametrize("name", SECTIONS)
@pytest.mark.slow
def test_a_change_applies_and_works(name, tmp_path):
    diff = block(SECTIONS[name], "diff")
    assert len(diff.splitlines()) < 40
    for folder in ("xl_jax", "configs"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    assert apply(diff, tmp_path) == ""
    place = tmp_path / "elsewhere"
    place.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    example = block(SECTIONS[name], "python")
    call = [sys.executable, "-c", example]
    done = subprocess.run(call, cwd=place, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    without = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(call, cwd=place, env=without, capture_output=True, text=True)
    assert done.returncode == 1  # the change is what makes it work


def test_what_is_shown():
    assert list(SECTIONS) == ["Adding a sharing preset", "Adding a corpus", "Adding a task"]
