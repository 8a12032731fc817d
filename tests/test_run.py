"""A run from text to table: resume, damage, refusal, measurement. One tiny corpus for all."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pytest

from tests.compiling import Compiled
from xl_jax.config import (
    Batch,
    Config,
    Data,
    EvalOptions,
    Masking,
    Mesh,
    Model,
    Optim,
    Vocab,
    to_config_dict,
)
from xl_jax.devices.mesh import make_mesh, one_device
from xl_jax.errors import InputError
from xl_jax.evaluate.runner import measure
from xl_jax.pretrain.loop import check_room, prefetch, pretrain, summarise
from xl_jax.report.run import show
from xl_jax.rules import leaf_paths
from xl_jax.runs import run_directory
from xl_jax.runs.checkpoint import leaf_digests
from xl_jax.runs.interrupt import CtrlC, Interrupted
from xl_jax.runs.run_directory import Run
from xl_jax.training import compiled_step
from xl_jax.training.compiled_step import Memory
from xl_jax.training.step import State

pytestmark = pytest.mark.slow

QUIET: dict[str, Any] = {"log": lambda _: None}


def small(tmp: Path, **more: Any) -> Config:
    made = Config(
        languages=("a", "b"),
        corpora={"a": "synthetic:a", "b": "synthetic:b#sentences=400,words=100,topics=4"},
        sharing="sep_l1",
        steps=8,
        steps_per_call=2,
        log_every=4,
        eval_every=4,
        checkpoint_every=4,
        best="b",
        vocab=Vocab(mode="disjoint", size=60),
        data=Data(dir=str(tmp / "data"), windows="line", length=16, heldout=0.1),
        model=Model(
            layers=1, heads=2, width=16, ffn=32, positions=16, dropout=0.1, attention_dropout=0.1
        ),
        masking=Masking(),
        batch=Batch(slots=2, rows=4),
        optim=Optim(lr=1e-2, schedule="cosine", warmup=2),
        probe=EvalOptions(sentences=60, words=40),
    )
    return dataclasses.replace(made, **more)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def whole(place: Path, compiled: Compiled) -> tuple[Run, State]:
    """The uninterrupted run."""
    run = run_directory.start(small(place), place / "whole", **QUIET)
    return run, jax.device_get(pretrain(run, **QUIET))


def test_no_signal_waits_for_the_compiler(whole: tuple[Run, State], compiled: Compiled) -> None:
    assert {"call", "losses"} <= compiled.at_once  # the step, and held-out evaluation
    assert compiled.saving.isdisjoint({"call", "losses"}), compiled.saving


def stop_after(run: Run, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Train until Ctrl-C is pressed before `step`."""
    calls = step // run.config.steps_per_call
    with monkeypatch.context() as patch:
        patch.setattr(CtrlC, "stops", lambda _, call: call >= calls)
        with pytest.raises(Interrupted, match=rf"stopped at step {step}, saved"):
            pretrain(run, **QUIET)


def test_resumed_is_uninterrupted_to_the_bit_and_a_cold_optimiser_is_not(
    place: Path, whole: tuple[Run, State], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_directory.start(small(place), place / "stopped", **QUIET)
    stop_after(run, 4, monkeypatch)
    found = run_directory.restore(run, one_device(), **QUIET)
    assert found is not None and found[0] == 4
    stop_after(
        run, 8, monkeypatch
    )  # the last step: no more to train, and told to stop all the same
    resumed = jax.device_get(pretrain(run, **QUIET))
    assert leaf_digests(resumed) == leaf_digests(whole[1])

    cold = run_directory.start(small(place), place / "cold", **QUIET)
    state = State(found[1].step, found[1].params, jax.tree.map(np.zeros_like, found[1].moments))
    checkpoints = cold.checkpoints(**QUIET, read_only=False)
    checkpoints.save(4, state)
    checkpoints.close()
    cold_state = jax.device_get(pretrain(cold, **QUIET))
    assert leaf_digests(cold_state.params) != leaf_digests(whole[1].params)


def test_a_finished_run_trains_no_further(whole: tuple[Run, State]) -> None:
    run, state = whole
    lines = (run.folder / "metrics.jsonl").read_text()
    assert leaf_digests(jax.device_get(pretrain(run, **QUIET))) == leaf_digests(state)
    assert (run.folder / "metrics.jsonl").read_text() == lines


def test_a_step_that_does_not_fit_is_refused(
    whole: tuple[Run, State], monkeypatch: pytest.MonkeyPatch
) -> None:
    mesh, needs = one_device(), Memory(6 * 2**30, 0, 2**30, 0)
    monkeypatch.setattr(compiled_step, "memory_of", lambda _: 7 * 2**30)
    compiled_step.check_memory(whole[0].model, mesh, needs)
    monkeypatch.setattr(compiled_step, "memory_of", lambda _: 4 * 2**30)
    with pytest.raises(InputError, match=r"needs 7.00 GiB of memory and cpu has 4.00 GiB: .*rows"):
        compiled_step.check_memory(whole[0].model, mesh, needs)


def test_metrics_are_written_as_they_come(whole: tuple[Run, State]) -> None:
    records = [json.loads(x) for x in (whole[0].folder / "metrics.jsonl").read_text().splitlines()]
    assert [r["step"] for r in records] == [4, 4, 8, 8]
    assert {"loss", "loss/a", "loss/b", "grad_norm", "lr"} <= records[0].keys()
    speed = {"seconds_per_step", "tokens_per_second", "share_of_peak"}
    parts = {f"param_norm/{x}" for x in ("shared", "private/a", "private/b")}
    assert speed | parts | {"grad_norm/shared", "update_norm/shared"} <= records[0].keys()
    tokens = 2 * 4 * 16 * (1 / records[2]["seconds_per_step"])
    assert records[2]["tokens_per_second"] == pytest.approx(tokens)
    assert records[3].keys() == {"step", "heldout_ppl/a", "heldout_ppl/b"}
    assert list((whole[0].folder / "tensorboard").iterdir())


def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(
    place: Path, whole: tuple[Run, State]
) -> None:
    run = dataclasses.replace(whole[0], folder=place / "damaged")
    subprocess.run(["cp", "-r", str(whole[0].folder), str(run.folder)], check=True)
    data = max((run.folder / "checkpoints/8/state").rglob("d/*"), key=lambda p: p.stat().st_size)
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 0xFF
    data.write_bytes(bytes(content))
    said: list[str] = []
    found = run_directory.restore(run, one_device(), said.append)
    assert found is not None and found[0] == 4
    assert said and said[0].startswith("checkpoint of step 8 is damaged")
    assert sorted(x.name for x in (run.folder / "checkpoints").iterdir()) == ["4", "8"]

    state = jax.device_get(pretrain(run, **QUIET))  # the trainer writes it again
    found = run_directory.restore(run, one_device(), said.append)
    assert found is not None and found[0] == 8 and len(said) == 1
    assert leaf_digests(found[1]) == leaf_digests(state) == leaf_digests(whole[1])


def test_what_is_measured_is_the_step_of_the_smallest_perplexity(whole: tuple[Run, State]) -> None:
    run, state = whole
    records = [json.loads(x) for x in (run.folder / "metrics.jsonl").read_text().splitlines()]
    score = {r["step"]: r["heldout_ppl/b"] for r in records if "heldout_ppl/b" in r}
    assert run.trained()[0] == min(score, key=lambda step: score[step])
    assert [x.name for x in (run.folder / "best").iterdir()] == [str(run.trained()[0])]


@pytest.mark.parametrize("file", ["about/metadata", "digests/metadata", "metrics/metrics"])
@pytest.mark.parametrize("content", ["", "{"])
def test_the_newest_step_is_measured_where_the_best_is_damaged(
    place: Path, whole: tuple[Run, State], file: str, content: str
) -> None:
    folder = place / "damaged_best"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(whole[0].folder, folder)
    run = dataclasses.replace(whole[0], folder=folder)
    (path,) = (folder / "best").glob(f"*/{file}")
    path.write_text(content)
    said: list[str] = []
    assert run.trained(said.append)[0] == run.config.steps
    assert said[-1].endswith("; the newest checkpoint is used")


def test_a_run_goes_on_elsewhere(place: Path, whole: tuple[Run, State]) -> None:
    """On another mesh, with its slots one after the other: the same state, then the same training
    up to rounding."""
    folder = place / "elsewhere"
    subprocess.run(["cp", "-r", str(whole[0].folder), str(folder)], check=True)
    shutil.rmtree(folder / "checkpoints/8")
    config = small(place, mesh=Mesh(fsdp=2, tensor=2), batch=Batch(accum=2, slots=1, rows=4))
    run = run_directory.start(config, folder, **QUIET)
    found = run_directory.restore(run, make_mesh(config), **QUIET)
    before = run_directory.restore(run, one_device(), **QUIET)
    assert found is not None and before is not None and found[0] == before[0] == 4
    assert len(found[1].params["embed"]["token"].devices()) == 4
    assert leaf_digests(found[1]) == leaf_digests(before[1])
    state = jax.device_get(pretrain(run, **QUIET))
    for path, a, b in zip(
        leaf_paths(state), jax.tree.leaves(state), jax.tree.leaves(whole[1]), strict=True
    ):
        if "attention/key/bias" not in path:  # attention ignores it: its gradient is rounding
            np.testing.assert_allclose(a, b, atol=1e-4, err_msg=path)


def test_a_run_opens_from_any_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    config = small(tmp_path, data=Data(dir="shared/data", windows="line", length=16, heldout=0.1))
    trained = run_directory.start(config, Path("runs/x"), **QUIET)
    monkeypatch.chdir(tmp_path / "elsewhere")
    for folder in (tmp_path / "runs/x", Path("../runs/x")):
        opened = run_directory.load(folder, **QUIET)
        assert opened.data.vocabulary.digest == trained.data.vocabulary.digest
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_run_of_another_config_is_refused_with_the_difference(whole: tuple[Run, State]) -> None:
    run = whole[0]
    other = dataclasses.replace(run.config, sharing="sep_emb", optim=Optim(lr=1.0))
    with pytest.raises(InputError, match="holds a run of another config: optim.*sharing: 'sep_l1'"):
        run_directory.start(other, run.folder, **QUIET)


def test_what_does_not_change_the_steps_may_change_for_a_run(place: Path) -> None:
    folder = place / "extended"
    plain = small(place, optim=Optim(lr=1e-2, schedule="constant", warmup=2))
    run_directory.start(plain, folder, **QUIET)
    longer = dataclasses.replace(plain, steps=16, keep=1, probe=EvalOptions(sentences=10))
    assert run_directory.start(longer, folder, **QUIET).config.steps == 16
    with pytest.raises(InputError, match="another config: steps: 16 -> 8"):
        run_directory.start(plain, folder, **QUIET)
    annealed = dataclasses.replace(plain, masking=Masking(last_rate=0.05))
    for name, other in (("cosine", small(place)), ("annealed", annealed)):  # other steps before
        run_directory.start(other, place / name, **QUIET)
        with pytest.raises(InputError, match="another config: steps: 8 -> 16"):
            run_directory.start(dataclasses.replace(other, steps=16), place / name, **QUIET)


def test_a_place_that_cannot_be_written_and_a_full_disk(
    place: Path, whole: tuple[Run, State], monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "file").write_text("")
    with pytest.raises(InputError, match="file/run cannot be written: Not a directory"):
        run_directory.start(small(place), place / "file/run", **QUIET)
    run = whole[0]
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10**4))
        with pytest.raises(InputError, match="the disk has 10.0 kB left, a checkpoint takes .* kB"):
            check_room(run, one_device())
    check_room(run, one_device())


def test_no_run_and_unknown_languages_are_errors(place: Path, whole: tuple[Run, State]) -> None:
    with pytest.raises(InputError, match="is no run directory"):
        run_directory.load(place / "nowhere", **QUIET)
    with pytest.raises(InputError, match="unknown language in .* 'de': .*known: a, b"):
        whole[0].language("de")


def test_measuring_writes_records_a_table_and_a_figure(
    whole: tuple[Run, State], capsys: pytest.CaptureFixture[str]
) -> None:
    run = whole[0]
    found = measure(run)
    show(found.records, found.title, found.figure)
    said = capsys.readouterr().out
    assert "word translation, P@1 % (a-b, 40 gold words)  layer 0  layer 1\n" in said
    assert "held-out perplexity" in said and found.figure == run.folder / "layers.png"
    assert found.figure.stat().st_size > 10_000
    written = json.loads((run.folder / "eval" / "translation.json").read_text())["records"]
    records = [r for r in written if r["metric"] == "word_translation"]
    assert len(records) == 2 * 2 * 2 * 2  # models, layers, raw or centred, directions
    best = [r for r in written if r["metric"] == "best_layer" and r["of"] == "word_translation"]
    assert len(best) == 2 * 2 * 2 and {r["chosen_on"] for r in best} == {"test items"}
    assert [r["chance"] for r in written] == pytest.approx([1 / 40] * len(written))
    assert {r["n"] for r in written} == {40}
    time = (run.folder / "eval" / "cka.json").stat().st_mtime_ns
    measure(run)
    assert (run.folder / "eval" / "cka.json").stat().st_mtime_ns == time
    with pytest.raises(InputError, match="unknown task 'retreival': did you mean 'retrieval'"):
        measure(run, ["retreival"])


def test_summaries_divide_sums_once() -> None:
    metrics = [
        {"loss_sum": np.array([10.0, 0.0]), "predicted": np.array([5.0, 0.0])},
        {"loss_sum": np.array([1.0, 4.0]), "predicted": np.array([1.0, 4.0])},
    ]
    rest = {"grad_norm": 2.0, "lr": 0.1}
    values = summarise(["en", "fr"], [{**m, **rest} for m in metrics])
    assert values == {"loss": 1.5, "loss/en": 11 / 6, "loss/fr": 1.0, "grad_norm": 2.0, "lr": 0.1}


def test_a_loss_that_is_not_finite_is_written_and_then_stops_the_run(place: Path) -> None:
    config = small(place, optim=Optim(lr=1e30, schedule="constant", warmup=1, clip=0.0))
    run = run_directory.start(config, place / "nan", **QUIET)
    with pytest.raises(FloatingPointError, match=r"is (nan|inf) in the steps before [48]"):
        pretrain(run, **QUIET)
    last = json.loads((run.folder / "metrics.jsonl").read_text().splitlines()[-1])
    assert not all(np.isfinite(v) for v in last.values())


def test_prefetch_keeps_the_order() -> None:
    assert list(prefetch(lambda i: i * i, range(7))) == [0, 1, 4, 9, 16, 25, 36]


def command(*arguments: str, **more: Any) -> subprocess.CompletedProcess:
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, env=environment, **more
    )


def config_file(tmp: Path, config: Config) -> Path:
    """A config file with the fields of `config`."""
    path = tmp / "small.py"
    values = json.loads(to_config_dict(config).to_json())
    path.write_text(
        "import json\n"
        "from xl_jax.config import from_dict, to_config_dict\n"
        f"VALUES = json.loads({json.dumps(values)!r})\n"
        "def get_config():\n"
        "    return to_config_dict(from_dict(VALUES))\n"
    )
    return path


def test_the_commands_train_stop_continue_and_measure(place: Path, tmp_path: Path) -> None:
    """While one trains, another may measure, but not train."""
    flags = (f"--config={config_file(tmp_path, small(place))}", f"--workdir={tmp_path / 'run'}")
    long = ("--config.steps=4000000", "--config.log_every=100", "--config.checkpoint_every=100")
    long += ("--config.eval_every=4000000",)
    process = subprocess.Popen(
        [sys.executable, "train.py", *flags, *long], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    while not list((tmp_path / "run").glob("checkpoints/*00")):  # wait for the first one
        assert process.poll() is None, process.stderr and process.stderr.read()
        time.sleep(0.1)
    second = command("train.py", *flags, *long)
    assert second.returncode == 2 and second.stderr.count("\n") == 1, second.stderr
    assert f"process {process.pid} on " in second.stderr and "trains this run" in second.stderr
    beside = command("eval.py", *flags[1:], "--task=perplexity")
    assert beside.returncode == 0 and "held-out perplexity" in beside.stdout, beside.stderr
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130 and b"saved; the same command continues" in errors
    assert list((tmp_path / "run/checkpoints").iterdir())

    wrong = command("eval.py", "--config=configs/tiny.py", f"--workdir={tmp_path}/no")
    assert wrong.returncode == 2 and wrong.stderr.startswith("error: ") and "no run" in wrong.stderr
    measured = command("eval.py", *flags[1:], "--task=translation", "--again")
    assert measured.returncode == 0, measured.stderr
    assert "word translation" in measured.stdout


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--config.steos=3"], "unknown config field 'steos': did you mean 'steps'"),
        (["--config.steps=x"], "--config.steps=x: must be a whole number"),
        (["--config=configs/tinny.py"], "unknown config file 'configs/tinny.py': did you mean"),
        (["--confg=1"], "unknown flag 'confg': did you mean 'config'"),
        (["--config.model.heads=5"], "model.heads = 5 does not divide model.width = 32"),
        (["--config.sharing=sep_l9"], "rule 'layer_9/.*' matches no parameter; near names: layer_"),
        (["--config.vocab.mode=local"], "embed/token is shared: make it private"),
        (
            ["--config.mesh.data=2"],
            "mesh.data = 2, mesh.fsdp = 1, mesh.tensor = 1: 2 devices are",
        ),
        (["--processes=here"], "--processes=here: not auto, nor HOST:PORT,NUMBER,ALL"),
        (["--config.model.positions=16"], "data.length = 32 is beyond model.positions = 16"),
    ],
)
def test_bad_flags_are_one_line_and_exit_code_2(
    flags: list[str], message: str, tmp_path: Path
) -> None:
    result = command("train.py", *flags, f"--workdir={tmp_path / 'run'}")
    assert result.returncode == 2
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: ") and message in lines[0]
    assert not (tmp_path / "run").exists()
