"""The commands of tools/bench.py at minute shapes, and that the PyTorch peer does our work."""

import importlib.util
import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs.tiny import get_config
from tests.text_toy import random_lines
from tools import bench, tables
from tools.benchmarks import (
    every,
    finetune,
    growth,
    input,
    racing,
    record,
    seeds,
    step,
    torch_finetune,
    torch_step,
)
from xl_jax.config import from_dict
from xl_jax.devices.mesh import one_device
from xl_jax.errors import InputError
from xl_jax.model import custom_vjp
from xl_jax.training import step as training

SIZES = dict(layers=1, width=8, heads=2, ffn=16, vocab=32, rows=4, length=16)


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """A function (command, flags) -> (standard output, what --json wrote), all in this process,
    which keeps its cores."""
    monkeypatch.delattr(os, "sched_setaffinity", raising=False)
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")

    def bench_run(command, *flags):
        sizes = [f"--{name}={value}" for name, value in SIZES.items()]
        file = tmp_path / "bench.json"
        short = ["--rounds=2", "--steps=1", "--threads=1", "--matmul=64", f"--json={file}"]
        bench.main([command, *sizes, *short, *flags])
        return capsys.readouterr().out, json.loads(file.read_text())

    return bench_run


def values(result, metric, arm):
    return [x["value"] for x in result["records"] if (x["metric"], x.get("arm")) == (metric, arm)]


@pytest.mark.slow
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


@pytest.mark.slow
def test_masks(run):
    out, result = run("masks", "--presets=all_private")
    assert values(result, "over_all_shared", "all_shared") == [1.0, 1.0]
    shared, private = (values(result, "seconds_per_step", x) for x in ("all_shared", "all_private"))
    np.testing.assert_allclose(
        values(result, "over_all_shared", "all_private"), np.divide(private, shared)
    )
    assert "\nall_private " in out


@pytest.mark.slow
def test_last_layer(run):
    out, result = run("last_layer")
    every, few = (values(result, "seconds_per_step", x) for x in ("all", "predicted"))
    np.testing.assert_allclose(values(result, "over_all", "predicted"), np.divide(few, every))
    assert "\nlast layer " in out and "\npredicted " in out


@pytest.mark.slow
def test_gradients(run):
    shipped = custom_vjp.TRANSPOSED_FIRST
    out, result = run("gradients")
    within, first = (
        values(result, "seconds_per_step", f"transposed {form}") for form in ("within", "first")
    )
    found = values(result, "over_transposed_within", "transposed first")
    np.testing.assert_allclose(found, np.divide(first, within))
    assert "\ngradients " in out and custom_vjp.TRANSPOSED_FIRST == shipped


@pytest.mark.slow
def test_the_forms_of_gradients_are_two_programs():
    shape = torch_step.Shape(**SIZES)
    forms = [step._Form(shape, step.shared_model(shape, ("en",)), width) for width in (1, 999)]
    assert len({form(1) for form in forms}) == 1  # the loss before the first update
    one, other = (form.compiled.as_text() for form in forms)
    assert one != other


@pytest.mark.slow
def test_virtual(run, monkeypatch):
    made, compare = {}, step._compare
    keep = lambda args, arms, title: made.update(arms) or compare(args, arms, title)  # noqa: E731
    monkeypatch.setattr(step, "_compare", keep)
    _, result = run("virtual")
    assert all(values(result, "over_one_device", name)[0] > 0 for name in made)
    states = [jax.tree.leaves(arm.state)[0] for arm in made.values()]
    assert [len(x.sharding.device_set) for x in states] == [1, 2, 2]


@pytest.mark.slow
def test_growth_of_a_step(run, monkeypatch):
    monkeypatch.setattr(growth, "PRIVATE", ("all_private",))  # compiled by test_masks
    out, result = run("growth", "--axes=languages", "--points=1,2")
    found = {}
    for x in result["records"]:
        found.setdefault((x["metric"], x["series"], x["x"]), []).append(x["value"])
    one = found["seconds", "all_shared", 1]
    for series in ("all_shared", "all_private"):
        ratio = np.divide(found["seconds", series, 2], one)
        np.testing.assert_allclose(found["over_first", series, 2], ratio)
    slope = np.log2(np.median(found["seconds", "all_shared", 2]) / np.median(one))
    np.testing.assert_allclose(found["slope", "all_shared", 2], [slope])
    shared, private = (found["megabytes", x, 2] for x in ("all_shared", "all_private"))
    assert private > shared and "\nall_private 2 " in out


@pytest.mark.slow
def test_growth_of_preparing(run, tmp_path):
    (tmp_path / "a.txt").write_text("\n".join(random_lines(2000, 0)))
    _, result = run("growth", "--axes=text", "--points=1,2", f"--text={tmp_path}/*.txt")
    found = {(x["metric"], x["series"], x["x"]): x["value"] for x in result["records"]}
    small, large = (found["megabytes", "1 process", mb] for mb in (1, 2))
    assert 50 < small and large < 1.2 * small
    for series in ("1 process", "2 processes"):
        slope = np.log2(found["seconds", series, 2] / found["seconds", series, 1])
        np.testing.assert_allclose(found["slope", series, 2], slope)
        floors = [found["floor_seconds", series, mb] for mb in (1, 2)]
        np.testing.assert_allclose(floors[1], 2 * floors[0])


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--axes=lenght"], "unknown axis 'lenght': did you mean 'length'"),
        (["--axes=length,text", "--points=1,2"], "--points=1,2 needs one axis, not --axes=length,"),
        (["--axes=text", "--points=1,x"], "--points=1,x are not positive numbers: N,N,..."),
    ],
)
def test_axes_and_points_are_checked(run, flags, message):
    with pytest.raises(InputError, match=message):
        run("growth", *flags)


@pytest.mark.slow
def test_a_program_of_several_seeds_does_what_each_of_them_does_alone():
    model = step.shared_model(torch_step.Shape(**SIZES), ("en",))
    mesh = one_device()
    of_two = seeds.make_seeds_step(model, mesh)
    numbers, _, batch = seeds.shapes(model, 2, mesh)
    tokens = np.random.default_rng(0).integers(5, 32, batch.tokens.shape, dtype=np.int32)
    both = batch._replace(tokens=tokens, language=np.zeros(batch.language.shape, np.int32))
    start = [training.init_state(model), training.init_state(model)]
    stacked = jax.tree.map(lambda *x: np.stack(x), *start)
    found, metrics = of_two(np.array([model.config.seed, 7], numbers.dtype), stacked, both)
    alone, wanted = training.make_step(model, model.config.steps)(
        start[0], type(both)(*(x[:, 0] for x in both))
    )
    loss = metrics["loss_sum"][0].ravel()
    np.testing.assert_allclose(loss[0], wanted["loss_sum"].ravel()[0], rtol=1e-5)
    assert abs(loss[1] - loss[0]) > 1e-3  # the other seed hides other tokens
    first = jax.tree.map(lambda x: x[0], found.params)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6), first, alone.params)


@pytest.mark.slow
def test_compile(run):
    out, result = run("compile", "--presets=sep_emb", "--rounds=1")
    new, cached = (values(result, f"compile_seconds_{x}", "sep_emb") for x in ("new", "cached"))
    assert len(new) == len(cached) == 1 and "\nsep_emb " in out


@pytest.mark.slow
def test_input(run, monkeypatch):
    tiny = input.tiny_model()
    assert tiny.config == from_dict(get_config()) and tiny.vocab_size == 1024
    small = step.shared_model(torch_step.Shape(**SIZES), ("en", "fr"))
    monkeypatch.setattr(input, "tiny_model", lambda: small)  # compiling it would take long
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
        assert len(ratio) == 2 and min(consumed) > 0
        np.testing.assert_allclose(ratio, np.divide(delivered, consumed))
        assert f"\n{model} " in out
    own = {x["corpus_mb"]: x["value"] for x in result["records"] if x["metric"] == "own_mb"}
    (floor,) = (x for x in result["records"] if x["metric"] == "floor_seconds")
    assert floor["amount"] == 6 * SIZES["length"] and floor["kind"] == "bytes"
    np.testing.assert_allclose(floor["value"] * floor["per_second"], floor["amount"])
    assert own.keys() == {1, 3} and own[3] < 1.1 * own[1]


@pytest.mark.slow
def test_prepare(run, tmp_path):
    (tmp_path / "a.txt").write_text("\n".join(random_lines(2000, 0)))
    out, result = run("prepare", "--corpus_mb=2", f"--text=toy={tmp_path}/*.txt")
    found = {}
    for x in result["records"]:
        found.setdefault(x["metric"], []).append(x["value"])
    ours, theirs = (found[f"{x}_mb_per_core_second"] for x in ("prepare", "sentencepiece"))
    np.testing.assert_allclose(found["prepare_over_sentencepiece"], np.divide(ours, theirs))
    assert len(found["two_processes_over_one"]) == 2
    assert "\nprepare over sentencepiece " in out
    assert {x["text"] for x in result["records"] if "text" in x} == {"toy"}


@pytest.fixture
def short_epoch(monkeypatch):
    """Two buckets: compiling is what takes time here."""
    monkeypatch.setattr(finetune, "BATCHES", 40)


@pytest.mark.slow
def test_finetune(run, short_epoch):
    out, result = run("finetune", "--rows=2")
    peers = [x for x in ("torch",) if importlib.util.find_spec(x)]
    for arm in ["xl_jax", *peers]:
        ours, theirs = (values(result, "sentences_per_second", x) for x in ("xl_jax", arm))
        np.testing.assert_allclose(values(result, "xl_jax_over_arm", arm), np.divide(ours, theirs))
        assert 0 < values(result, "real_over_positions", arm)[0] <= 1 and f"\n{arm} " in out


@pytest.mark.slow
def test_both_loops_of_finetune_see_the_same_sentences(short_epoch):
    pytest.importorskip("torch")
    shape = torch_step.Shape(**SIZES)
    sentences = finetune.draw_sentences(shape)
    tuner = finetune.make_tuner(shape, sentences, steps=3)
    plans = finetune.parts_of_epochs(tuner, 3)()
    for plan in (next(plans), next(plans)):
        items = plan.examples.ravel()
        assert len(set(items)) == 3 * shape.rows and items.min() >= 0
        tokens, labels = torch_finetune.collate([sentences[i] for i in items])
        assert tokens.shape[1] == max(len(sentences[i][0]) for i in items)
        for row, item in enumerate(items):
            at = slice(tuner.data.starts[item], tuner.data.starts[item + 1])
            ours, n = np.asarray(tuner.data.tokens[at]), len(sentences[item][0])
            np.testing.assert_array_equal(ours, tokens[row, :n].numpy())
            at = slice(tuner.data.word_starts[item], tuner.data.word_starts[item + 1])
            tags = np.asarray(tuner.data.labels["tag"][at])
            np.testing.assert_array_equal(tags, labels[row, 1 : n - 1].numpy())


@pytest.mark.parametrize(
    "flags, message",
    [
        (["mask"], "unknown command 'mask': did you mean 'masks'. known: "),
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
    with pytest.raises(InputError, match="--rows 3 is not a multiple of 2, the slots"):
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


@pytest.fixture
def at_commit(monkeypatch):
    monkeypatch.setattr(record, "commit", lambda: "abc")


def test_all_goes_on_where_it_was_stopped(tmp_path, at_commit, capsys):
    done, failing = [], {"speed_masks.json"}

    def do(command):
        path = Path(command[-1].removeprefix("--json="))
        if path.name in failing:
            return 1
        done.append(path.name)
        about = record.about(["python", "tools/bench.py", *command])
        record.write(path, about, [{"metric": command[0], "value": 1}])
        return 0

    with pytest.raises(InputError, match="failed: speed_masks.json; the same command"):
        every.every(tmp_path, do=do)
    assert done == [name for name in every.JOBS if name not in failing]
    assert [path.name for path in tmp_path.iterdir()] == [".new"]  # all of them or none
    failing.clear()
    every.every(tmp_path, do=do)
    assert done[-1] == "speed_masks.json" and len(done) == len(every.JOBS)
    assert "speed_step.json is there already" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == every.JOBS.keys()


def test_all_writes_what_the_documents_show_of_speed():
    pages = (tables.ROOT / "docs").rglob("*.md")
    shown = {x[1] for page in pages for x in tables.BLOCK.findall(page.read_text())}
    speed = {Path(x).name for x in shown if "/speed_" in x or "/growth_" in x}
    assert speed <= every.JOBS.keys()
    for line in every.JOBS.values():
        bench.parse([*line.split(), *every.SMALLEST])
