"""What languages give one another by sharing, and the mask that it proposes."""

import ast
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toy

from tools import find_mask
from xl_jax.analysis.gradient_agreement import (
    Decrease,
    Part,
    by_gain,
    decrease,
    grouped,
    mean,
    patterns,
    products,
    propose,
    with_first,
)
from xl_jax.batches.sampler import language_shares
from xl_jax.errors import InputError
from xl_jax.evaluate.gradients import Gradients
from xl_jax.model.sharing import make_mask
from xl_jax.runs import run_directory
from xl_jax.runs.run_directory import Run
from xl_jax.tokens.shards import of_lines
from xl_jax.tokens.special import N_SPECIAL
from xl_jax.training.loss import row_losses
from xl_jax.training.step import init_state

EVEN = np.array([0.5, 0.5])


def halves(*gradients: list[float]) -> np.ndarray:
    """The same gradients over both halves: no noise."""
    return np.stack([np.array(gradients, np.float64)] * 2)


@pytest.mark.parametrize(
    ("first", "second", "gain"),
    [
        ([1, 2], [1, 2], 1.0),
        ([1, 0], [0, 5], 0.0),  # as rows of tokens that are not in common
        ([1, 2], [-1, -2], -1.0),
        ([2, 0], [1, 0], 0.8),  # 2 x 2 x 1 / (4 + 1)
    ],
)
def test_what_two_languages_give_one_another(
    first: list[float], second: list[float], gain: float
) -> None:
    found = decrease(products(halves(first, second), np.ones(2)), EVEN)
    assert found.gain == pytest.approx(gain)


def test_scale_weights_and_more_languages() -> None:
    same = products(halves([1, 2], [1, 2], [1, 2]), np.array([1.0, 3.0]))
    np.testing.assert_allclose(same, 13.0)  # 1 x 1 x 1 + 3 x 2 x 2
    found = decrease(same, np.array([0.5, 0.3, 0.2]))
    assert found.own == pytest.approx(13 * (0.25 + 0.09 + 0.04))
    assert found.own + found.others == pytest.approx(13.0)
    assert found.cosines == pytest.approx((1.0, 1.0, 1.0))
    assert np.isnan(decrease(np.array([[-1.0, 1.0], [1.0, 2.0]]), EVEN).cosines[0])
    assert np.isnan(Decrease(-1.0, 1.0).gain)


@pytest.mark.parametrize("translated", [False, True])
def test_noise_does_not_count(translated: bool) -> None:
    """Also where half 1 of a language is the translation of half 1 of the other, with its noise."""
    random = np.random.default_rng(0)
    noise = 3 * random.standard_normal((2, 1 if translated else 2, 100_000))
    found = products(halves(*np.ones((2, 100_000))) + noise, np.ones(100_000))
    np.testing.assert_allclose(found / 100_000, np.ones((2, 2)), atol=0.15)  # 10 with the noise


def test_leaves_are_grouped_and_those_that_gain_least_are_proposed() -> None:
    paths = [
        *("embed/position", "embed/token", "embed/norm/scale", "final_norm/scale", "mlm/bias"),
        *("layer_1/attention/key/kernel", "layer_1/attention/key/bias", "layer_1/ffn/up/kernel"),
    ]
    assert patterns(paths) == {
        "embed/position": ["embed/position"],
        "embed/token|mlm/bias": ["embed/token", "mlm/bias"],
        "embed/norm/.*": ["embed/norm/scale"],
        "final_norm/.*": ["final_norm/scale"],
        "layer_1/attention/.*": ["layer_1/attention/key/kernel", "layer_1/attention/key/bias"],
        "layer_1/ffn/.*": ["layer_1/ffn/up/kernel"],
    }
    leaves = [
        Part("embed/token", 100, Decrease(2.0, 0.1)),
        Part("mlm/bias", 10, Decrease(1.0, 0.2)),
        Part("embed/position", 0, Decrease(0, 0)),  # private already
        Part("layer_1/ffn/up/kernel", 50, Decrease(1.0, 0.9)),
        Part("layer_1/attention/key/bias", 5, Decrease(1.0, -0.5)),
    ]
    parts = grouped(leaves)
    assert [(x.pattern, x.size, x.decrease.gain) for x in parts] == [
        ("embed/token|mlm/bias", 110, pytest.approx(0.1)),
        ("layer_1/ffn/.*", 50, 0.9),
        ("layer_1/attention/.*", 5, -0.5),
    ]
    assert [x.size for x in propose(parts, 165)] == [5, 110, 50]
    assert [x.size for x in propose(parts, 60)] == [5, 50]  # the second does not fit
    assert propose(parts, 4) == []
    noise = Part("noise", 1, Decrease(-1.0, 2.0))
    assert propose([noise, parts[2]], 60) == [parts[2]]
    assert by_gain([parts[1], noise, parts[2]]) == [parts[2], parts[1]]
    rules = (("layer_1/ffn/up/.*", "private"), ("mlm/.*", "private"), (".*", "shared"))
    private = ("layer_1/ffn/.*", "private")
    assert with_first([private], rules, paths) == (private, *rules[1:])


def test_steps_count_alike_whatever_the_size_of_their_gradients() -> None:
    early = [Part("a", 1, Decrease(60.0, 20.0)), Part("b", 1, Decrease(20.0, 0.0))]
    late = [Part("a", 1, Decrease(0.2, 0.0)), Part("b", 1, Decrease(0.4, 0.4))]
    a, b = mean([early, late])
    assert a.decrease[:2] == pytest.approx((0.4, 0.1))
    assert b.decrease[:2] == pytest.approx((0.3, 0.2))


@pytest.fixture(scope="module")
def run() -> Run:
    """Random tokens of two languages, of which no file is needed; French has few."""
    c = toy.config("sep_emb")
    random = np.random.default_rng(0)
    lines = [random.integers(N_SPECIAL, toy.VOCAB, 8).astype(np.int32) for _ in range(100)]
    heldout = {"en": of_lines(lines), "fr": of_lines(lines[:70])}
    data = SimpleNamespace(heldout=heldout, train={"en": range(300), "fr": range(100)})
    made = object.__new__(Run)
    vars(made).update(folder=Path("runs/x"), config=c, model=toy.model(c), data=data)
    return made


@pytest.fixture(scope="module")
def gradients(run: Run) -> Gradients:
    return Gradients(run, 1024)


@pytest.mark.slow
def test_the_gradient_of_a_language_is_that_of_its_heldout_loss(
    run: Run, gradients: Gradients
) -> None:
    state = init_state(run.model)
    np.testing.assert_allclose(gradients.weights, language_shares([300, 100], 0.7))
    found = gradients.of(state.params, "en")
    view = run.model.view(state.params, 0)

    @jax.jit
    @jax.grad
    def expected(of_view: Any, rows: Any) -> jax.Array:
        losses = row_losses(run.model, of_view, rows, jnp.int32(0))
        return losses.sum() / rows.weights.sum()

    batches = list(gradients.heldout.scored(state.params, "en"))
    assert len(batches) == 2  # a half each
    for half, (_, _, rows) in enumerate(batches):
        leaves = jax.tree.leaves(expected(view, rows))
        for x, y in zip(jax.tree.leaves(found), leaves, strict=True):
            np.testing.assert_allclose(x[half], y, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_only_leaves_that_are_shared_and_have_been_trained_count(
    run: Run, gradients: Gradients
) -> None:
    step = toy.compiled_step(run.model, 8)
    assert all(x.size == 0 for x in gradients.leaves(init_state(run.model)))
    state, _ = step(init_state(run.model), toy.steps(run.config, 2))
    leaves = {x.pattern: x for x in gradients.leaves(state)}
    assert leaves["embed/token"].size == leaves["mlm/bias"].size == 0
    assert leaves["layer_1/ffn/up/kernel"].size == 16 * 32
    moments = state.moments["layer_1"]["ffn"]["up"]["kernel"]
    scale = 1 / (np.sqrt(moments.nu[0] / (1 - run.config.optim.b2**2)) + run.config.optim.eps)
    pair = [gradients.of(state.params, x)["layer_1"]["ffn"]["up"]["kernel"] for x in ("en", "fr")]
    own = sum(
        w**2 * (g[0] * scale * g[1]).sum() for w, g in zip(gradients.weights, pair, strict=True)
    )
    assert leaves["layer_1/ffn/up/kernel"].decrease.own == pytest.approx(float(own), rel=1e-4)


@pytest.mark.slow
def test_the_command_proposes_a_mask_and_keeps_what_it_is_of(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    state, _ = toy.compiled_step(run.model, 8)(init_state(run.model), toy.steps(run.config, 2))
    kept = SimpleNamespace(steps=[0, 2], at=lambda *_: state, close=lambda: None)
    monkeypatch.setattr(Run, "checkpoints", lambda *_: kept)
    monkeypatch.setattr(run_directory, "load", lambda folder: run)
    file = tmp_path / "found.json"

    def command(*flags: str) -> str:
        monkeypatch.setattr(sys, "argv", ["tools/find_mask.py", "--workdir=runs/x", *flags])
        find_mask.main()
        return capsys.readouterr().out

    said = command("--budget=1100", f"--json={file}")
    rules = ast.literal_eval(said.split("--config.sharing=")[1].strip().strip('"'))
    mask = make_mask(rules, run.model.template, run.config.languages)
    assert mask["embed"]["token"] == (0, 1)  # as it was
    private = [x for x in rules if x[1] == "private"][:-2]  # without those of sep_emb
    assert private and said.count("  private") == len(private)
    record = json.loads(file.read_text())
    assert record["mask"] == [list(x) for x in rules] and 0 < record["added"] <= 1100
    assert {x["step"] for x in record["records"] if "leaf" in x} == {2}
    assert {x["when"] for x in record["records"] if "part" in x} == {"of all", "step 2"}
    leaves = {x["leaf"] for x in record["records"] if "leaf" in x}
    assert {"layer_1/ffn/up/kernel", "layer_1/ffn_norm/scale"} <= leaves
    assert not {"embed/token", "mlm/bias"} & leaves
    with pytest.raises(InputError, match="runs/x keeps no checkpoint after step 2"):
        command("--budget=1100", "--after=2")
    with pytest.raises(InputError, match="--budget = 0: must be at least 1"):
        command("--budget=0")
    kept.steps = [0]
    with pytest.raises(InputError, match="runs/x has no checkpoint of a step after 0"):
        command("--budget=1100")
    monkeypatch.setitem(vars(run), "model", toy.model(toy.config("all_private")))
    with pytest.raises(InputError, match="runs/x: its languages share no parameter"):
        command("--budget=1100")


@pytest.mark.slow
def test_too_little_text_is_an_error(run: Run) -> None:
    gradients = Gradients(run, 64)
    with pytest.raises(InputError, match="language 'en' has too little held-out text: gradients"):
        gradients.of(init_state(run.model).params, "en")
