"""The commands of tools/bench.py at minute shapes, and that the PyTorch peer does our work."""

import importlib.util
import json
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs.tiny import get_config
from tools import bench
from tools.benchmarks import input, racing, step, torch_step
from xl_jax.config import from_dict
from xl_jax.errors import InputError

SIZES = dict(layers=1, width=8, heads=2, ffn=16, vocab=32, rows=4, length=16)


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """A function (command, flags) -> (standard output, what --json wrote), all in this process,
    which keeps its cores; compiling takes longer than running here, so without optimisation."""
    monkeypatch.delattr(os, "sched_setaffinity", raising=False)
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")

    def bench_run(command, *flags):
        sizes = [f"--{name}={value}" for name, value in SIZES.items()]
        file = tmp_path / "bench.json"
        short = ["--rounds=2", "--steps=1", "--threads=1", "--matmul=64", f"--json={file}"]
        bench.main([command, *sizes, *short, *flags])
        return capsys.readouterr().out, json.loads(file.read_text())

    jax.config.update("jax_disable_most_optimizations", True)
    yield bench_run
    jax.config.update("jax_disable_most_optimizations", False)


def values(result, metric, arm):
    return [x["value"] for x in result["records"] if (x["metric"], x["arm"]) == (metric, arm)]


def test_step(run):
    out, result = run("step", "--no-compile")
    peers = [x for x in ("torch", "transformers") if importlib.util.find_spec(x)]
    for arm in ["xl_jax", *peers]:
        assert len(values(result, "warm_up_seconds", arm)) == 1
        ours, theirs = (values(result, "tokens_per_second", x) for x in ("xl_jax", arm))
        ratios = values(result, "xl_jax_over_arm", arm)
        np.testing.assert_allclose(ratios, np.divide(ours, theirs))
        assert len(ratios) == 2 and f"\n{arm} " in out
    assert len(values(result, "matmul_gflops", "jax")) == 2
    assert not [x for x in result["records"] if x["metric"] == "failed"]
    assert result["shape"]["ffn"] == 16 and result["threads"] == 1
    assert result["command"].startswith("python tools/bench.py step --layers=1 --width=8")


def test_masks(run):
    out, result = run("masks", "--presets=all_private")
    assert values(result, "over_all_shared", "all_shared") == [1.0, 1.0]
    shared, private = (values(result, "seconds_per_step", x) for x in ("all_shared", "all_private"))
    np.testing.assert_allclose(
        values(result, "over_all_shared", "all_private"), np.divide(private, shared)
    )
    assert "\nall_private " in out


def test_input(run, monkeypatch):
    tiny = input.tiny_model()
    assert tiny.config == from_dict(get_config()) and tiny.vocab_size == 1024
    small = step.shared_model(torch_step.Shape(**SIZES), ("en", "fr"))
    monkeypatch.setattr(bench, "tiny_model", lambda: small)  # compiling it would take long
    out, result = run("input", "--corpus_mb=3")
    for model in ("tiny", "shape"):
        found = {
            metric: [
                x["value"]
                for x in result["records"]
                if x["metric"] == metric and x.get("model") == model
            ]
            for metric in ("step_windows_per_second", "input_windows_per_second", "input_over_step")
        }
        consumed, delivered, ratio = found.values()
        assert len(ratio) == 2 and min(ratio) > 1
        np.testing.assert_allclose(ratio, np.divide(delivered, consumed))
        assert f"\n{model} " in out
    own = {x["corpus_mb"]: x["value"] for x in result["records"] if x["metric"] == "own_mb"}
    assert own.keys() == {1, 3} and own[3] < 1.1 * own[1]


@pytest.mark.parametrize(
    "flags, message",
    [
        (
            ["mask"],
            "unknown command 'mask': did you mean 'masks'. known: analysis, input",
        ),
        (["step", "--rounds=0"], "--rounds 0 is not positive"),
        (["step", "--row=8"], "unrecognized arguments: --row=8"),
        ([], "required: command"),
    ],
)
def test_bad_flags_are_told(flags, message):
    with pytest.raises(InputError, match=message):
        bench.parse(flags)


def test_bad_input_is_one_line_and_exit_code_2():
    command = [sys.executable, bench.__file__, "spet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("error: unknown command 'spet': did you mean 'step'")


def test_rows_that_two_languages_cannot_share():
    with pytest.raises(InputError, match="--rows 3 is not a multiple of 2"):
        step.shared_model(torch_step.Shape(rows=3), ("en", "fr"))


def test_what_is_predicted():
    shape = torch_step.Shape(rows=8, length=128)
    positions = shape.draw_positions()
    assert positions.shape == (8, 19)  # round(0.15 * 128)
    assert positions.min() >= 1 and positions.max() <= 127
    assert (np.diff(positions, axis=1) > 0).all()


def test_the_order_of_the_arms_rotates():
    turns: list[str] = []
    arms = {name: (lambda steps, name=name: turns.append(name) or 0.0) for name in "abc"}
    seconds = racing.race(arms, rounds=3, steps=1)
    assert "".join(turns) == "abc" + "bca" + "cab"
    assert [len(x) for x in seconds.values()] == [3, 3, 3]


def test_the_equal_work_peer_is_our_model():
    torch = pytest.importorskip("torch")
    shape = torch_step.Shape(**{**SIZES, "layers": 2})
    model = step.shared_model(shape, ("en",))
    random = np.random.default_rng(0)
    params = jax.tree.map(
        lambda leaf: 0.3 * random.standard_normal(leaf.shape).astype(np.float32), model.template
    )
    peer = torch_step.gathered_model(shape).eval()
    weights = {
        "token.weight": params["embed"]["token"],
        "position.weight": params["embed"]["position"],
        "bias": params["mlm"]["bias"],
    }

    def add(name, at):
        if "scale" in at:
            weights[f"{name}.weight"] = at["scale"]
        else:
            outputs = at["bias"].size
            weights[f"{name}.weight"] = at["kernel"].reshape(-1, outputs).T
        weights[f"{name}.bias"] = at["bias"].reshape(-1)

    add("norm", params["embed"]["norm"])
    for i in range(2):
        layer = params[f"layer_{i + 1}"]
        norms = {name: layer[name] for name in ("attention_norm", "ffn_norm")}
        for name, at in {**layer["attention"], **layer["ffn"], **norms}.items():
            add(f"layers.{i}.{name}", at)
    peer.load_state_dict({name: torch.tensor(leaf) for name, leaf in weights.items()})

    tokens, positions = shape.draw_tokens(), shape.draw_positions()
    real = np.arange(16) < np.array([16, 9, 12, 5])[:, None]
    with torch.no_grad():
        theirs = peer(
            torch.tensor(tokens, dtype=torch.long), torch.tensor(real), torch.tensor(positions)
        )
    ours = jax.jit(model.module.apply)(
        {"params": params},
        *(jnp.asarray(x) for x in (tokens, real, positions, np.ones(shape.vocab, bool))),
    )
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-5, atol=1e-5)
