"""Preparing on Apache Beam gives the files that preparing in processes gives.

Beam has an environment of its own (requirements-beam.txt): this one, or the one whose interpreter
the variable BEAM_PYTHON names.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.text_toy import write_text
from xl_jax.errors import InputError
from xl_jax.prepare.beam import Beam

HERE = importlib.util.find_spec("apache_beam") is not None
PYTHON = os.environ.get("BEAM_PYTHON", sys.executable if HERE else "")
COMMAND = str(Path(__file__).parent.parent / "tools/prepare_corpus.py")


def prepared(python: str, folder: Path, *flags: str) -> dict[str, bytes]:
    corpora = [f"--corpus=a=files:{folder.parent}/a.txt", "--corpus=t=twin:a#order=invert"]
    sizes = ["--vocab=disjoint", "--size=40", "--config.data.length=16"]
    command = [python, COMMAND, *corpora, *sizes, "--config.clean.duplicates=true", *flags]
    done = subprocess.run([*command, f"--out={folder}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (corpus,) = folder.iterdir()
    return {
        path.name: path.read_bytes() for path in corpus.iterdir() if path.name != "verified.json"
    }


@pytest.mark.skipif(not PYTHON, reason="no Beam: pip install -r requirements-beam.txt elsewhere")
def test_the_direct_runner_writes_the_same_bytes(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", 300, 0)
    flags = ("--runner=DirectRunner", "--direct_num_workers=1")
    expected = prepared(sys.executable, tmp_path / "processes")
    assert prepared(PYTHON, tmp_path / "beam", f"--beam={' '.join(flags)}") == expected
    assert {"a.train.00000.tokens", "t.order.00000.tokens", "report.json"} <= expected.keys()


@pytest.mark.skipif(HERE, reason="Beam is installed")
def test_a_missing_beam_is_named() -> None:
    with pytest.raises(InputError, match="apache_beam is not installed: pip install -r requir"):
        Beam([])
