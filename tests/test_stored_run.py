"""A run made at an earlier commit opens, continues to the same bits, and is not measured again.

tests/stored/ holds its config, its whole directory (run.tar.xz) and what it was measured on;
record.json says which commit, processor and jaxlib made it, and the digest of all its batches.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jaxlib
import numpy as np
import pytest
from settings import shipped_environment
from stored_run import unpack

from xl_jax.batches.sampler import Batches
from xl_jax.batches.windows import make_windows
from xl_jax.devices.mesh import one_device
from xl_jax.rules import leaf_paths
from xl_jax.runs import run_directory
from xl_jax.runs.checkpoint import leaf_digests

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
STORED = Path("tests/stored")
RECORD = json.loads((ROOT / STORED / "record.json").read_text())
NER = (
    *("--task=ner", "--tune=configs/finetune_small.py:ner", "--tune.epochs=2", "--tune.best=1"),
    *("--tune.batch=(8,)", "--tune.lr=(1e-3,)", "--tune.head_lr=(1e-3,)", "--tune.seeds=(0,)"),
    *(f"--data.{x}=files:{STORED}/ner/{{language}}.{x}.bio" for x in ("train", "dev", "test")),
)
ADDED = {"digests.json", "verified.json"}  # given to tokens that were prepared without
PAIRS = ("--task=retrieval", f"--data.pairs={STORED}/pairs.a,{STORED}/pairs.b")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the stored run directory."""
    return unpack(tmp_path)


def call(program: str, folder: Path, *flags: str) -> str:
    """What a command prints, under the compiler options that are shipped (not those of the tests).

    It runs in the root of the checkout: records name the files that they were measured on.
    """
    ended = subprocess.run(
        [sys.executable, program, f"--workdir={folder}", *flags],
        **{"cwd": ROOT, "env": shipped_environment()},
        **{"capture_output": True, "text": True},
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def written(folder: Path, *patterns: str) -> dict[str, tuple[int, bytes]]:
    """path -> (time of writing, content) of the files of a run that match."""
    files = {x for pattern in patterns for x in folder.glob(pattern) if x.is_file()}
    files = {x for x in files if x.name not in ADDED}
    return {
        str(x.relative_to(folder)): (x.stat().st_mtime_ns, x.read_bytes()) for x in sorted(files)
    }


def processor() -> str:
    path = Path("/proc/cpuinfo")
    found = path.read_text() if path.exists() else ""
    fields = dict(re.findall(r"^(model name|cpu family|model)\s*: (.*)$", found, re.MULTILINE))
    return "{model name}, family {cpu family}, model {model}".format_map(
        {"model name": "", "cpu family": "", "model": ""} | fields
    )


def test_the_steps_of_a_stored_run_read_the_same_rows(folder: Path) -> None:
    before = written(folder, "**/*")
    run = run_directory.load(folder)
    c = run.config
    windows = [
        [make_windows(c.data.windows, copy, c.data.length) for copy in run.data.copies[language]]
        for language in c.languages
    ]
    rows = Batches(windows, c.batch, c.seed, c.steps).steps(0, c.steps)
    digest = hashlib.sha256(rows.tokens.tobytes() + rows.language.tobytes()).hexdigest()
    assert digest == RECORD["batches"]
    assert written(folder, "**/*") == before


def test_a_stored_run_continues_to_the_same_bits(folder: Path) -> None:
    before = written(folder, "eval/*.json", "data/**/*")
    newest = restored(folder)
    shutil.rmtree(folder / "checkpoints/8")
    said = call("train.py", folder, f"--config={STORED}/config.py")
    assert "continuing from step 4" in said and "word translation, P@1 %" in said
    assert written(folder, "eval/*.json", "data/**/*") == before  # nothing was measured again
    state = restored(folder)
    same = (processor(), os.cpu_count(), jaxlib.__version__)
    if same == (RECORD["cpu"], RECORD["cores"], RECORD["jaxlib"]):
        assert leaf_digests(state) == leaf_digests(newest)
    leaves = zip(leaf_paths(state), *map(jax.tree.leaves, (state, newest)), strict=True)
    for path, a, b in leaves:
        if "attention/key/bias" not in path:  # attention ignores it: its gradient is rounding
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-5, err_msg=path)


def restored(folder: Path) -> Any:
    """The state of step 8."""
    found = run_directory.restore(run_directory.load(folder), one_device())
    assert found is not None and found[0] == 8
    return found[1]


def test_what_a_stored_run_was_measured_on_is_not_measured_again(folder: Path) -> None:
    done = written(folder, "eval/*.json", "eval/ner/*/**/*")
    assert {"eval/ner.json", "eval/retrieval-bba94e50.json"} <= done.keys() and len(done) == 43
    assert "sentence retrieval" in call("eval.py", folder, *PAIRS)
    assert "2 of 2 settings are trained already" in call("eval.py", folder, *NER)
    now = written(folder, "eval/*.json", "eval/ner/*/**/*")
    assert now.pop("eval/ner.json") != done.pop("eval/ner.json")  # made of the same results again
    assert now == done
