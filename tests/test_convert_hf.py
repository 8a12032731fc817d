"""Flags of tools/convert_hf.py: a language is named once."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("tokenizers", reason="the command needs it")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--model=en=a", "--model=en=b"], "--model names en twice"),
        (["--model=en,fr=a", "--model=fr=b"], "--model names fr twice"),
        (["--model=en=a", "--corpus=en=files:x", "--corpus=en=files:y"], "--corpus names en twice"),
    ],
)
def test_a_language_that_is_named_twice_is_refused(flags: list[str], message: str) -> None:
    ended = subprocess.run(
        [sys.executable, "tools/convert_hf.py", "import", *flags, "--out=no/such/folder"],
        cwd=Path(__file__).parents[1], capture_output=True, text=True,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (2, f"error: {message}\n")
