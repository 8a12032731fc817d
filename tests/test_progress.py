"""What a run says of its progress: lines, speed, a trace."""

import errno
import json
import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toy

from xl_jax import progress
from xl_jax.analysis import anc, bootstrap, fasttext
from xl_jax.devices import peak
from xl_jax.devices.mesh import one_device
from xl_jax.pretrain.profile import Profile
from xl_jax.pretrain.speed import Speed
from xl_jax.progress import announced, counted
from xl_jax.runs import tracker
from xl_jax.runs.tracker import Tracker
from xl_jax.training.step import flops_per_step


def test_a_file_gets_lines_and_no_bar(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracker, "SECONDS", 0)
    now = [0.0]
    monkeypatch.setattr(tracker, "time", SimpleNamespace(monotonic=lambda: now[0]))
    with Tracker(tmp_path, 10, 4000) as shown:
        now[0] = 5
        shown.show(loss="3.210", **{"tokens/s": "12,345"})
        shown.advance(20)
        shown.say("step 20: held-out perplexity a 1.5")
        monkeypatch.setattr(tracker, "SECONDS", 1000)
        for n in (30, 40, 4000):  # the last one is shown at once
            shown.advance(n)
        shown.record(20, {"loss": 3.21})
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "step 20 of 4,000, 33:10 left, loss 3.210, tokens/s 12,345",
        "step 20: held-out perplexity a 1.5",
        "step 30 of 4,000, 16:32 left, loss 3.210, tokens/s 12,345",
        "step 4,000 of 4,000, loss 3.210, tokens/s 12,345",
    ]
    assert json.loads((tmp_path / "metrics.jsonl").read_text()) == {"step": 20, "loss": 3.21}


def test_speed_counts_training_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.setattr("xl_jax.pretrain.speed.peak_flops", lambda *_: 1e9)
    model = toy.model(toy.config())
    speed = Speed(model, one_device())
    now[0] += 2

    class StillRunning:
        def block_until_ready(self) -> None:
            now[0] += 1

    with speed.paused({"params": StillRunning()}):
        now[0] += 50
    now[0] += 1
    found = speed.since_last(8)
    assert found["seconds_per_step"] == pytest.approx(0.5)
    assert found["tokens_per_second"] == pytest.approx(2 * 4 * toy.LENGTH / 0.5)
    assert found["share_of_peak"] == pytest.approx(flops_per_step(model) / 0.5 / 1e9)
    now[0] += 2
    assert speed.since_last(1)["seconds_per_step"] == pytest.approx(2)


class Card:
    platform = "gpu"

    def __init__(self, kind: str):
        self.device_kind = kind


@pytest.mark.parametrize(
    ("kind", "dtype", "tera"),
    [
        ("NVIDIA H100 80GB HBM3", "bfloat16", 989.4),
        ("NVIDIA H100 PCIe", "float32", 378.0),
        ("NVIDIA A100-SXM4-40GB", "float32", 156.0),
        ("TPU v5 lite", "bfloat16", 197.0),
        ("TPU v5p", "bfloat16", 459.0),
        ("TPU v5", "float32", 459.0),
        ("NVIDIA L4", "bfloat16", 121.0),
        ("NVIDIA L40S", "bfloat16", None),
        ("a card of tomorrow", "float32", None),
    ],
)
def test_published_peaks(kind: str, dtype: str, tera: float | None) -> None:
    found = peak.peak_flops(Card(kind), dtype)
    assert found == (None if tera is None else pytest.approx(tera * 1e12))


def test_the_peak_of_a_cpu_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peak, "SIZE", 64)
    found = peak.peak_flops(jax.devices()[0], "float32")
    assert found is not None and 1e6 < found < 1e15


def test_a_trace_of_the_calls_after_the_first(tmp_path: Path) -> None:
    said: list[str] = []
    running = []
    with Profile(tmp_path / "profile", 9, 8, said.append) as profile:  # of 8 steps a call: two
        for _ in range(5):
            with profile.call():
                jnp.ones(3).block_until_ready()
                running.append(profile.running)
    assert running == [False, True, True, False, False]
    assert said == [f"profile: {tmp_path / 'profile'}"]
    assert list((tmp_path / "profile").rglob("*.xplane.pb"))
    with Profile(tmp_path / "none", 0, 8, said.append) as profile, profile.call():
        pass
    assert not (tmp_path / "none").exists()


def test_what_takes_long_is_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    with announced("compiling", said.append):
        pass
    assert said == []
    monkeypatch.setattr(progress, "SLOW", 0.01)
    monkeypatch.setattr(progress, "SECONDS", 0.05)
    with announced("compiling", said.append):
        time.sleep(0.2)
    assert said[:2] == ["compiling ...", "compiling ... 0 s"] and len(said) < 8
    assert said[-1] == "compiling took 0 s"


def test_counted_work_says_how_much_is_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def work(silent: bool = False) -> list[str]:
        for _ in counted(range(2000), "nearest neighbours", silent=silent):
            now[0] += 1 / 16
        return capsys.readouterr().err.splitlines()

    assert work() == [
        f"nearest neighbours: {done} of 2,000, {left} left"
        for done, left in (
            ("160", "01:55"),
            ("640", "01:25"),
            ("1,120", "00:55"),
            ("1,600", "00:25"),
        )  # fmt: skip
    ]
    assert work(silent=True) == []
    list(counted(range(10_000), "quick"))
    assert capsys.readouterr().err == ""


class FastText:
    """In place of gensim's: reads its sentences as often."""

    def __init__(self, **_: Any):
        self.wv = {"a": np.ones(2)}

    def build_vocab(self, sentences: Any) -> None:
        assert list(sentences) == [["a"], ["b"]]

    def train(self, sentences: Any, total_examples: int, epochs: int) -> None:
        for _ in range(epochs):
            assert len(list(sentences)) == total_examples


def test_measures_count_their_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "QUIET", 0)
    monkeypatch.setitem(sys.modules, "gensim.models", SimpleNamespace(FastText=FastText))
    x = np.random.default_rng(0).normal(size=(2, 5, 3))
    for work, told in (
        (lambda: bootstrap.resample(x[0], 0), "resamples: 1 of 1,000, "),
        (lambda: anc.anc(x, x), "layers correlated: 1 of 2, "),
        (lambda: fasttext.vectors([["a"], ["b"]], ["a"], 2, tmp_path / "x"), "fastText: 1 of 10, "),
    ):
        work()
        assert capsys.readouterr().err.startswith(told)


def test_a_full_disk_leaves_no_thread_of_tensorboard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would end in a traceback, after the line that tells of the disk."""
    shown = Tracker(tmp_path, 0, 1)
    writer = shown.board.file_writer.event_writer

    def full() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(writer, "flush", full)
    worker = writer._worker
    with pytest.raises(OSError, match="No space left"), shown:
        shown.record(1, {"loss": 1.0})
    assert not worker.is_alive() and shown.file.closed
