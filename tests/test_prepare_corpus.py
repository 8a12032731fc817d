"""The command prepare_corpus: plan, work, repetition, bad input."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.text_toy import write_text

COMMAND = str(Path(__file__).parent.parent / "tools/prepare_corpus.py")

pytestmark = pytest.mark.slow


def command(*flags: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, COMMAND, *flags], capture_output=True, text=True)


def test_plan_then_work_then_the_report_again(tmp_path: Path) -> None:
    text = [
        f"--corpus={x}={write_text(tmp_path / x, 300, seed)}" for seed, x in enumerate(("en", "fr"))
    ]
    flags = [*text, "--vocab=union", "--size=40", "--config.data.length=16", f"--out={tmp_path}/o"]
    plan = command(*flags, "--dry_run")
    assert plan.returncode == 0, plan.stderr
    assert "time: " in plan.stdout and "disk: " in plan.stdout and "\nen  " in plan.stdout
    assert not (tmp_path / "o").exists()
    done = command(*flags, "--processes=1")
    assert done.returncode == 0, done.stderr
    assert "vocabulary: union" in done.stdout and "en-fr" in done.stdout
    assert done.stdout.strip().endswith(f"for training add --config.data.dir={tmp_path}/o")
    (tokens,) = tmp_path.glob("o/*/en.train.00000.tokens")
    time = tokens.stat().st_mtime_ns
    tokens.write_bytes(bytes(tokens.stat().st_size))
    os.utime(tokens, ns=(time, time))
    assert "damaged: en.train.00000.tokens" in command(*flags, "--verify").stdout
    again = command(*flags)
    first, *report = again.stdout.splitlines()
    assert first.endswith("is there already") and report[0].startswith("vocabulary: union")
    assert done.stdout.splitlines()[-len(report) :] == report


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "which text? name it with --corpus LANGUAGE=SPEC or --config=FILE"),
        (["--corpus=en=docstrings:"], "where to? name a folder with --out"),
        (["--corpus=docstrings:"], "--corpus=docstrings:: not LANGUAGE=SPEC, once a language"),
        (["--corpus=en=files:/no/such/*", "--out=o"], "no file matches '/no/such/*'"),
        (["--corpora=en=docstrings:"], "unknown flag 'corpora': did you mean 'corpus'"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(flags: list[str], message: str) -> None:
    done = command(*flags)
    assert done.returncode == 2 and message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1 and done.stderr.startswith("error: ")
