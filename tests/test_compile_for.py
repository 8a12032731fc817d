"""Compiling for machines that are not there, where their compilers are installed.

tests/golden/compiled.json holds what the small step needed; after a change that is meant to cost
more: the command of the test, with --json in place of --against.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools import compile_for
from tools.topologies import GPUS, TPUS
from xl_jax.errors import InputError

ROOT = Path(__file__).parents[1]
GOLDEN = "tests/golden/compiled.json"
LIBTPU = os.environ.get("LIBTPU", "")  # a libtpu.so that is not installed (see .ci/run)
CUDA = os.environ.get("CUDA_PLUGIN", "")  # a folder with JAX's plugin for CUDA
THERE = {
    "v5e-8": bool(LIBTPU or importlib.util.find_spec("libtpu")),
    "h100-8": bool(CUDA or importlib.util.find_spec("jax_cuda13_plugin")),
}
SMALL = {
    "vocab.mode": "joint",
    "mesh.data": 2,
    "mesh.fsdp": 4,
    "model.layers": 1,
    "sharing": "sep_emb",
    "steps_per_call": 1,
    "log_every": 1,
}


def compiled(*flags: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "tools/compile_for.py", *flags]
    env = {**os.environ, "PYTHONPATH": CUDA} | ({"TPU_LIBRARY_PATH": LIBTPU} if LIBTPU else {})
    env["XLA_FLAGS"] = ""  # other compilers may not know those of the tests
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, cwd=ROOT)


@pytest.mark.slow
@pytest.mark.parametrize("topology", THERE)
def test_a_small_step_over_eight_devices_needs_no_more_than_it_did(topology: str) -> None:
    if not THERE[topology]:
        pytest.skip("its compiler is not installed: LIBTPU or CUDA_PLUGIN, see docs/compiling.md")
    sizes = (f"--config.{x}={y}" for x, y in SMALL.items())
    done = compiled(f"--topology={topology}", "--program=small", f"--against={GOLDEN}", *sizes)
    assert done.returncode == 0, done.stderr + done.stdout
    assert f"{topology}, mesh {{'data': 2, 'fsdp': 4, 'tensor': 1}}, compiled in" in done.stdout
    assert "no more than it was" in done.stdout and "\nfits\n" in done.stdout


ARRANGED = """
from tools.topologies import describe
from xl_jax.devices.mesh import arranged
devices, _ = describe({topology!r})
for row in arranged({sizes}, devices, "").reshape({rows}, -1):
    print({{getattr(x, "slice_index", 0) for x in row}}, len(set(row)))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("topology", "sizes", "rows"),
    [
        ("2xv5e-16", (4, 8, 1), ["{0} 16", "{1} 16"]),  # a slice of 16 is 4 x 4
        ("v6e-256", (8, 32, 1), ["{0} 128", "{0} 128"]),  # 16 x 16: 32 lies along no side
    ],
)
def test_devices_of_pods_are_arranged(
    topology: str, sizes: tuple[int, int, int], rows: list[str]
) -> None:
    if not THERE["v5e-8"]:
        pytest.skip("libtpu is not installed: LIBTPU, see docs/compiling.md")
    program = ARRANGED.format(topology=topology, sizes=sizes, rows=len(rows))
    env = {**os.environ} | ({"TPU_LIBRARY_PATH": LIBTPU} if LIBTPU else {})
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=env,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.stdout.splitlines() == rows, done.stderr


def test_what_grew_is_named() -> None:
    before = {"GiB used": 1.0, "MiB of all-reduces": 10.0, "all-reduces": 2.0}
    compile_for._compare({"GiB used": 1.04, "MiB of all-reduces": 9.0, "all-reduces": 9.0}, before)
    for now, message in [
        ({"GiB used": 1.06}, "GiB used 1.0000 -> 1.0600"),
        ({"GiB used": 1.0, "MiB of all-reduces": 10.6}, "MiB of all-reduces 10.0000 -> 10.6000"),
        ({"GiB used": 1.0, "MiB of all-gathers": 1.0}, "MiB of all-gathers 0.0000 -> 1.0000"),
    ]:
        with pytest.raises(RuntimeError, match=f"grew by over 5%: {message}"):
            compile_for._compare(now, before)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"records": 1}', '{"records": [{"value": 1}]}'])
def test_a_file_of_something_else_is_one_line_before_anything_is_compiled(
    tmp_path: Path, text: str
) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    for read in (compile_for._kept, compile_for._check_kept_in):
        with pytest.raises(InputError, match=r"a\.json is (damaged|no file of such figures): "):
            read(path)
    path.write_text('{"records": []}')
    with pytest.raises(InputError, match=r"a\.json does not say: command, commit"):
        compile_for._check_kept_in(path)
    with pytest.raises(InputError, match="--json=.*none/a.json cannot be written"):
        compile_for._check_kept_in(tmp_path / "none/a.json")
    compile_for._check_kept_in(ROOT / GOLDEN)


def test_calls_of_fused_attention_are_counted() -> None:
    kinds = ("SoftmaxDropout", "Softmax", "SoftmaxBackward")
    text = "\n".join(f'custom_call_target="__cudnn$fmha{x}"' for x in kinds)
    assert compile_for.fused(text) == (2, 1)


def test_the_record_of_the_small_step_has_what_is_watched() -> None:
    found = compile_for._kept(ROOT / GOLDEN)
    assert set(found) == {(x, "small") for x in THERE}
    for figures in found.values():
        assert figures["GiB used"] > 0 and figures["MiB of all-reduces"] > 0


@pytest.mark.parametrize("topology", ["", *GPUS, *TPUS])
def test_descriptions(topology: str) -> None:
    """Every GPU is described with the fields that XLA's parser wants; layouts are hosts x GPUs."""
    if topology in GPUS:
        gpu, layout = GPUS[topology]
        assert all(x.isdigit() for x in layout.split("x")) and len(layout.split("x")) == 3
        assert gpu.target.count("{") == gpu.target.count("}") == 3
    elif topology:
        assert TPUS[topology].layout.count(":") == 1 and TPUS[topology].gib in (16, 32, 95)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--topology=v5-8",), "unknown topology 'v5-8': did you mean 'v5e-8'"),
        (("--topolgy=v5e-8",), "unknown flag 'topolgy': did you mean 'topology'"),
        (("--topology=t4-1", "--against=none.json"), "none.json: no such file"),
    ],
)
def test_bad_flags_are_one_line(flags: tuple[str, ...], message: str) -> None:
    done = compiled(*flags)
    assert done.returncode == 2 and done.stderr.startswith("error: ") and message in done.stderr


def test_a_gpu_without_its_compiler_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from tools import topologies

    for there, name in [((), "h100-1"), ((12, 13), "t4-1"), ((13,), "v100-8")]:
        names = [f"jax_cuda{x}_plugin" for x in there]
        monkeypatch.setattr(importlib.util, "find_spec", lambda x, names=names: x in names or None)
        with pytest.raises(InputError, match=f"{name} needs JAX's compiler for GPUs, one alone"):
            topologies.describe(name)


def test_a_record_is_kept_in_place_of_an_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compile_for.TOPOLOGY, "_value", "t4-1", raising=False)
    monkeypatch.setattr(type(compile_for.TOPOLOGY), "value", property(lambda self: "t4-1"))
    path = tmp_path / "a.json"
    for value in (1.0, 2.0):
        compile_for._keep(path, "x", {"GiB used": value})
    compile_for._keep(path, "y", {"GiB used": 3.0})
    records = json.loads(path.read_text())["records"]
    assert [(x["program"], x["value"]) for x in records] == [("x", 2.0), ("y", 3.0)]
