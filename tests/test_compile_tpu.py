"""Compiling for a TPU that is not there, where its compiler is installed."""

import importlib.util
import os
import re
import subprocess
import sys

import pytest

LIBTPU = os.environ.get("LIBTPU", "")  # a libtpu.so that is not installed (see .ci/run)
THERE = LIBTPU or importlib.util.find_spec("libtpu")


def compile_tpu(*flags: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "tools/compile_tpu.py", *flags]
    env = os.environ | ({"TPU_LIBRARY_PATH": LIBTPU} if LIBTPU else {})
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


@pytest.mark.skipif(not THERE, reason="needs libtpu: requirements-tpu.txt, or LIBTPU=libtpu.so")
def test_a_small_step_over_eight_chips() -> None:
    sizes = ("mesh.data=2", "mesh.fsdp=4", "model.layers=1", "sharing=sep_emb", "steps_per_call=1")
    done = compile_tpu("--topology=v5e-8", *(f"--config.{x}" for x in sizes))
    assert done.returncode == 0, done.stderr
    assert "v5e-8, mesh {'data': 2, 'fsdp': 4, 'tensor': 1}, compiled in" in done.stdout
    found = re.search(r"memory of a chip: (\d\.\d\d) of 16 GiB \(state (\d\.\d\d)", done.stdout)
    assert found is not None and 0 < float(found[1]) < 1 and float(found[2]) < 0.1
    assert re.search(r"all-reduce: \d+ of \d+\.\d MiB", done.stdout) and "\nfits\n" in done.stdout


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--topology=v5-8",), "unknown topology 'v5-8': did you mean 'v5e-8'"),
        (("--topolgy=v5e-8",), "unknown flag 'topolgy': did you mean 'topology'"),
    ],
)
def test_bad_flags_are_one_line(flags: tuple[str, ...], message: str) -> None:
    done = compile_tpu(*flags)
    assert done.returncode == 2 and done.stderr.startswith("error: ") and message in done.stderr
