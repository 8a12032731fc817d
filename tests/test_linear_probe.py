"""A linear classifier of frozen states: its minimum, its strength, its way into a twin."""

from collections import Counter

import numpy as np
import pytest

from xl_jax.analysis.linear_probe import FLAT, fit
from xl_jax.config import Batch, Config, Data, Model, Optim, Tuning, Vocab
from xl_jax.errors import InputError
from xl_jax.evaluate.context import Context
from xl_jax.evaluate.linear_probe import linear_probe
from xl_jax.finetune.request import resolved
from xl_jax.runs import run_directory
from xl_jax.runs.run_directory import Run
from xl_jax.tasks.tagging import read
from xl_jax.training.step import init_state

SPEC = "synthetic:a#words=100,topics=4,"
TUNING = Tuning(
    task="tagging",
    train=f"{SPEC}take=150",
    dev=f"{SPEC}skip=150,take=30",
    test={"a": f"{SPEC}skip=200,take=60"},
)


def blobs(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Three classes on a line, far apart; the second layer is noise."""
    random = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    clear = 6 * labels[:, None] * np.array([[1, 0, 0, 0]]) + random.normal(size=(n, 4))
    return np.stack([clear, random.normal(size=(n, 4))]).astype(np.float32), labels


def test_the_minimum_is_found_and_read_in_a_moved_language() -> None:
    (x, y), (dev, dev_y), (test, test_y) = (blobs(n, i) for i, n in enumerate((240, 60, 300)))
    probe = fit(x, y, dev, dev_y)
    accuracy = (probe.logits(test).argmax(-1) == test_y).mean(1)
    assert accuracy[0] > 0.97 and abs(accuracy[1] - 1 / 3) < 0.1
    np.testing.assert_allclose(probe.dev, (probe.logits(dev).argmax(-1) == dev_y).mean(1))
    moved = test + 50
    assert (probe.logits(moved).argmax(-1) == test_y)[0].mean() < 0.5
    np.testing.assert_allclose(
        probe.logits(moved, moved.mean(1)), probe.logits(test, test.mean(1)), atol=1e-3
    )
    for layer in range(2):  # the gradient of the loss, by hand
        z = (x[layer] - probe.mean[layer]) / probe.sd[layer]
        p = np.exp(z @ probe.weight[layer] + probe.bias[layer])
        error = p / p.sum(1, keepdims=True) - np.eye(3)[y]
        slope = z.T @ error / len(y) + 2 * probe.strength[layer] * probe.weight[layer]
        assert np.linalg.norm(slope) < 2 * FLAT and np.linalg.norm(error.mean(0)) < 2 * FLAT


def test_a_development_label_without_training_is_an_error() -> None:
    x, y = blobs(240, 0)
    assert fit(x, y, x, np.where(y == 2, -1, y)).dev[0] == pytest.approx(2 / 3, abs=0.02)
    with pytest.raises(InputError, match="training vectors: vector 0 of 240 holds a value"):
        fit(np.where(x == x[:, :1], np.nan, x), y, x, y)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run saved at its start: a generated language and its twin, which is read backwards, under
    the same pieces; with positions near zero the order is all that the encoder cannot see."""
    folder = tmp_path_factory.mktemp("probe")
    text = [" ".join(tree.words) for tree in read(f"{SPEC}take=300", "a", Counter())]
    (folder / "text").write_text("\n".join(text) + "\n")
    config = Config(
        languages=("a", "t"),
        corpora={"a": f"files:{folder}/text", "t": "twin:a#order=invert,shift=0,text=parallel"},
        sharing="all_shared",
        steps=2,
        log_every=2,
        vocab=Vocab(mode="disjoint", size=200),
        data=Data(windows="line", length=16, heldout=0.1),
        model=Model(
            layers=1, heads=1, width=16, ffn=16, positions=16, dropout=0.0, attention_dropout=0.0,
            init_position=1e-6,
        ),
        batch=Batch(slots=2, rows=4),
        optim=Optim(warmup=2),
    )  # fmt: skip
    made = run_directory.start(config, folder / "r", log=lambda _: None)
    checkpoints = made.checkpoints(lambda _: None, read_only=False)
    checkpoints.save(0, init_state(made.model))  # as what was imported or only started is kept
    checkpoints.close()
    return made


@pytest.mark.slow
def test_a_twin_is_read_in_its_own_order_with_its_base_s_labels(run: Run) -> None:
    """A transformer that is told no positions has the same states in any order: accuracy is equal
    if every label went with its word."""
    context = Context(run, log=lambda _: None)
    records, path = linear_probe(context, TUNING, log=lambda _: None)
    by_layer = [r for r in records if r.metric == "linear_probe"]
    here = {(r.target, r.model, r.layer, r.get("centred")): r for r in by_layer}
    for layer in (0, 1):
        a, t = (here[x, "trained", layer, False] for x in "at")
        assert a.chance + 0.2 < a.value == pytest.approx(t.value, abs=0.01)
        assert a.low <= a.value <= a.high
        assert 0.1 < a.chance < 0.5 and a.n == 60 and t.data == f"twin:{SPEC}skip=200,take=60"
        random = here["t", "untrained", layer, False]
        assert random.get("encoders") == 3 and random.chance == a.chance
    trained = {"target": "t", "model": "trained", "centred": False}
    (best,) = [r for r in records if r.has(metric="best_layer", **trained)]
    assert best.get("chosen_on") == "a dev" and best.get("of") == "linear_probe"
    assert best.value == here["t", "trained", best.layer, False].value
    before = path.stat().st_mtime_ns
    again, _ = linear_probe(context, TUNING, log=lambda _: None)
    assert again == records and path.stat().st_mtime_ns == before


@pytest.mark.slow
def test_test_data_of_a_twin(run: Run) -> None:
    def test(**given: str) -> object:
        return resolved(run, Tuning(task="tagging", train="x", dev="x", test=given), {}).test

    assert test(a="files:x") == {"a": "files:x", "t": "twin:files:x"}
    assert test(a="files:{language}", t="twin:a") == {"a": "files:a", "t": "twin:files:a"}
    assert test(a="files:x", t="files:y") == {"a": "files:x", "t": "files:y"}
    with pytest.raises(InputError, match="'twin:a': give --data.test=a=SPEC too"):
        test(t="twin:a")
    with pytest.raises(InputError, match="test data 'twin:t': a is no twin of t"):
        test(a="twin:t", t="files:x")


def test_refused_with_the_reason(run: Run) -> None:
    with pytest.raises(InputError, match="labels of tagging or ner, not of nli"):
        linear_probe(Context(run), Tuning(task="nli"))
    with pytest.raises(InputError, match="leave out --other"):
        linear_probe(Context(run, run), TUNING)
