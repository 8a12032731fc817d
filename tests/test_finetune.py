"""The fine-tuning loop: what moves and what does not, how often it is compiled, how it resumes."""

import random
import shutil
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from tests.compiling import Compiled
from tests.task_toy import FRAMING, Silent, Words, pretrained, tuner
from xl_jax.config.finetune import Setting, Tuning
from xl_jax.finetune.model import Leaves
from xl_jax.finetune.trainer import Fit, Hyper, Tuner, fit_all, schedule
from xl_jax.runs.checkpoint import leaf_digests
from xl_jax.runs.interrupt import CtrlC, Interrupted
from xl_jax.tasks.ner import NER, Sentence
from xl_jax.tasks.rows import Rows

TUNING = Tuning(
    task="ner", epochs=2, batch=(4,), lr=(1e-3, 4e-3), head_lr=(1e-2,), dropout=0.1,
    steps_per_call=4,
)  # fmt: skip
FROZEN = ("embed/token", "embed/position")
ONE, TWO = TUNING.settings


def sentences() -> list[Sentence]:
    """32 short and 8 long ones: two buckets."""
    chance = random.Random(0)
    made = []
    for n in [3] * 32 + [20] * 8:
        words = [f"w{chance.randrange(60)}" for _ in range(n)]
        tags = ["B-X" if int(x[1:]) % 3 == 0 else "O" for x in words]
        made.append(Sentence(words, tags, [True] * n))
    return made


ITEMS = sentences()


@pytest.fixture(scope="module")
def made() -> tuple[Tuner, Rows, Leaves, list[int]]:
    """A tuner, its rows, an encoder, and a list that grows whenever the loss is traced."""
    task = NER.learn(ITEMS, TUNING)
    traced: list[int] = []

    class Counted(NER):
        def loss(self, outputs: Any, labels: Any) -> Any:
            traced.append(len(labels["tag"]))
            return super().loss(outputs, labels)

    counted = Counted(task.tags, task.dropout, task.how)
    rows = task.rows(ITEMS, Words(), "en", FRAMING)
    found = tuner(counted, [rows], TUNING)
    return found, rows, jax.device_get(pretrained(found)), traced


def fit(made: Any, folder: Path, *settings: Setting) -> list[Fit]:
    found, rows, leaves, _ = made
    frozen = {p: leaves[p] for p in FROZEN}
    moved = {p: x for p, x in leaves.items() if p not in FROZEN}
    fits = [Fit(found, s, moved, folder / s.name) for s in settings]
    fit_all(found, fits, frozen, ITEMS, rows, Silent())
    return fits


@pytest.fixture(scope="module")
def whole(made: Any, compiled: Compiled, tmp_path_factory: pytest.TempPathFactory) -> Fit:
    """One setting, uninterrupted."""
    return fit(made, tmp_path_factory.mktemp("whole"), ONE)[0]


@pytest.mark.slow
def test_no_signal_waits_for_the_compiler(whole: Fit, compiled: Compiled) -> None:
    assert {"_run", "_outputs"} <= compiled.at_once
    assert compiled.saving.isdisjoint({"_run", "_outputs"}), compiled.saving


@pytest.mark.slow
def test_one_trace_a_bucket_for_all_settings_and_epochs(
    made: Any, whole: Fit, tmp_path: Path
) -> None:
    found, _, _, traced = made
    assert len(found.buckets) == 2
    fit(made, tmp_path, TWO)
    assert len(traced) == 2 and len(found._compiled) == 1


@pytest.mark.slow
def test_frozen_leaves_stay_to_the_bit_and_the_others_move(made: Any, whole: Fit) -> None:
    leaves = made[2]
    before = leaf_digests(leaves)
    assert not any(path in whole.state.leaves for path in FROZEN)
    assert all(path.startswith(("layer_1/", "head/", "final_norm/")) for path in whole.state.leaves)
    still = [p for p, x in whole.state.leaves.items() if p in leaves and (x == leaves[p]).all()]
    assert still == []
    assert leaf_digests(leaves) == before


@pytest.mark.slow
def test_resumed_is_uninterrupted_to_the_bit(
    made: Any, whole: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped in the middle of the second epoch, and at the very end."""
    for call in (4, 6):
        calls = iter(range(1, 100))
        pressed = property(lambda _, n=call, c=calls: next(c) >= n, lambda *_: None)
        with monkeypatch.context() as patch:
            patch.setattr(CtrlC, "pressed", pressed, raising=False)
            with pytest.raises(Interrupted, match="stopped at step .*, saved; the same command"):
                fit(made, tmp_path / str(call), ONE)
        (resumed,) = fit(made, tmp_path / str(call), ONE)
        assert leaf_digests(resumed.state) == leaf_digests(whole.state)
        assert leaf_digests(resumed.best) == leaf_digests(whole.best)
        assert (resumed.best_score, resumed.best_epoch) == (whole.best_score, whole.best_epoch)


@pytest.mark.slow
def test_a_damaged_save_is_named_and_the_setting_starts_again(
    made: Any, whole: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Flips in the arrays, in their digests, and in what the checkpoint says of itself."""
    calls = iter(range(1, 100))
    with monkeypatch.context() as patch:
        pressed = property(lambda _: next(calls) >= 4, lambda *_: None)
        patch.setattr(CtrlC, "pressed", pressed, raising=False)
        with pytest.raises(Interrupted):
            fit(made, tmp_path / "saved", ONE)
    saved = tmp_path / "saved" / ONE.name / "progress"
    files = [max(saved.rglob("d/*"), key=lambda x: x.stat().st_size)]
    files += [*saved.glob("*/digests/metadata"), *saved.glob("*/_CHECKPOINT_METADATA")]
    assert len(files) == 3
    for i, file in enumerate(files):
        folder = tmp_path / str(i)
        shutil.copytree(tmp_path / "saved", folder)
        copy = folder / file.relative_to(tmp_path / "saved")
        content = bytearray(copy.read_bytes())
        content[len(content) // 2] ^= 4
        copy.write_bytes(content)
        found, _, leaves, _ = made
        moved = {p: x for p, x in leaves.items() if p not in FROZEN}
        said: list[str] = []
        again = Fit(found, ONE, moved, folder / ONE.name, said.append)
        if file.name != "_CHECKPOINT_METADATA":  # which only tells times
            assert int(again.state.step) == 0 and said[-1].endswith(f"{ONE.name} starts again")
        again.checkpoints.close()
    (after,) = fit(made, tmp_path / "0", ONE)
    assert leaf_digests(after.best) == leaf_digests(whole.best)


@pytest.mark.slow
def test_settings_at_once_are_those_one_by_one(made: Any, whole: Fit, tmp_path: Path) -> None:
    """And each keeps its own learning rate."""
    one, two = fit(made, tmp_path, ONE, TWO)
    for path, leaf in whole.state.leaves.items():
        if path.endswith("key/bias"):  # its gradient is rounding, which Adam makes a step of
            continue
        np.testing.assert_allclose(one.state.leaves[path], leaf, rtol=0, atol=2e-5, err_msg=path)
    path = "layer_1/ffn/up/kernel"
    assert np.abs(two.state.leaves[path] - one.state.leaves[path]).max() > 1e-3


@pytest.mark.slow
def test_each_part_has_its_learning_rate(made: Any) -> None:
    """Adam's first step is the rate itself, whatever the gradient."""
    found, _, leaves, _ = made
    frozen = {p: leaves[p] for p in FROZEN}
    moved = {p: x for p, x in leaves.items() if p not in FROZEN}
    state = found.start(found.leaves(moved, 0))
    before = jax.device_get(state.leaves)
    plan = found.plan(0, 0)
    one = np.concatenate([plan.examples[:1], np.full_like(plan.examples[1:], -1)])
    rates = Hyper(np.float32(1e-3), np.float32(1e-2), np.int32(0))
    (after,), losses = found.run([state], frozen, plan._replace(examples=one), [rates])
    assert int(after.step) == 1 and np.isfinite(losses).all()
    share = float(schedule(TUNING, found.steps)(0))
    for path, rate in (("layer_1/ffn/up/kernel", 1e-3), ("head/out/kernel", 1e-2)):
        moved = np.abs(np.asarray(after.leaves[path]) - before[path]).max()
        assert moved == pytest.approx(share * rate, rel=1e-2)


@pytest.mark.parametrize(
    ("kind", "warmup", "expected"),
    [
        ("linear", 0.2, [0.5, 1.0, 1.0, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8]),
        ("linear", 0.4, [0.25, 0.5, 0.75, 1.0, 1.0, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6]),
        ("linear", 0.99, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]),
        ("linear", 0.0, [1.0, 1.0, 8 / 9, 7 / 9, 6 / 9, 5 / 9, 4 / 9, 3 / 9, 2 / 9, 1 / 9]),
        ("constant", 0.2, [0.5] + [1.0] * 9),
        ("constant", 0.0, [1.0] * 10),
    ],
)
def test_schedules(kind: str, warmup: float, expected: list[float]) -> None:
    share = schedule(Tuning(schedule=kind, warmup=warmup), steps=10)
    assert [float(share(i)) for i in range(10)] == pytest.approx(expected, abs=1e-7)


@pytest.mark.slow
def test_a_loss_that_is_not_finite_stops_and_names_the_setting(made: Any, tmp_path: Path) -> None:
    wild = Setting("trained", 4, 1e30, 1e30, 0)
    with pytest.raises(FloatingPointError, match=r"loss/trained-batch4-lr1e\+30-seed0 is nan"):
        fit(made, tmp_path, wild)
