"""A run under another mask: variants are copied or averaged, and what that costs is measured over
the same tokens."""

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
from xl_jax.analysis.gradient_agreement import Tie, ties, with_first
from xl_jax.batches.sampler import Step
from xl_jax.errors import InputError
from xl_jax.evaluate import other_masks
from xl_jax.evaluate.gradients import Gradients
from xl_jax.evaluate.other_masks import OtherMasks, difference
from xl_jax.runs import run_directory
from xl_jax.runs.run_directory import Run
from xl_jax.tokens.shards import of_lines
from xl_jax.tokens.special import N_SPECIAL
from xl_jax.training.retied import _variants, retied
from xl_jax.training.step import State, init_state

PRIVATE = (("layer_1/ffn/.*", "private"), (".*", "shared"))


def test_variants_are_copies_of_those_that_their_languages_had_or_their_mean() -> None:
    x = jnp.asarray([[1.0, 2.0], [5.0, 4.0]])
    assert _variants(x, (0, 1, 1), (0, 1, 2)).tolist() == [[1, 2], [5, 4], [5, 4]]
    assert _variants(x, (0, 1, 1), (0, 0, 1)).tolist() == [[3, 3], [5, 4]]
    assert _variants(x, (0, 1, 0), (0, 0, 0)).tolist() == [[3, 3]]  # each variant counts once
    counts = jnp.asarray([3, 8])
    assert _variants(counts, (0, 1, 1), (0, 0, 1)).tolist() == [8, 8]


def test_difference_is_a_mean_over_languages_of_nats_a_token() -> None:
    own = [np.asarray([[10.0, 5], [20, 5]]), np.asarray([[8.0, 8]])]
    other = [np.asarray([[12.0, 5], [23, 5]]), np.asarray([[8.0, 8]])]
    cost = difference(own, other)
    assert cost.value == pytest.approx((5 / 10 + 0 / 8) / 2)
    assert cost.low == pytest.approx(0.4 / 2) and cost.high == pytest.approx(0.6 / 2)
    assert difference(own, own) == (0, 0, 0)


def test_parts_that_cost_least_to_tie_come_first() -> None:
    leaves = [
        Tie("layer_1/ffn/up/kernel", 50, 0.5),
        Tie("layer_1/ffn/up/bias", 5, 0.25),
        Tie("mlm/bias", 0, 0.0),  # shared already
        Tie("embed/position", 9, -0.1),
    ]
    assert ties(leaves) == [Tie("embed/position", 9, -0.1), Tie("layer_1/ffn/.*", 55, 0.75)]


def test_new_rules_come_first_and_leave_out_what_they_make_idle() -> None:
    given = (("embed/.*", "private"), (".*", "shared"))
    paths = ["embed/token", "final_norm/scale"]
    assert with_first([("embed/.*", "shared")], given, paths) == (("embed/.*", "shared"), given[1])
    assert with_first([("final.*", "private")], given, paths)[1:] == given[:1]


@pytest.fixture(scope="module")
def run() -> Run:
    """Random tokens of two languages, of which no file is needed."""
    c = toy.config("all_private", steps=8)
    random = np.random.default_rng(0)
    lines = [
        random.integers(N_SPECIAL, toy.VOCAB, 8).astype(np.int32) for _ in range(128)
    ]  # halves of 64
    data = SimpleNamespace(
        heldout={x: of_lines(lines) for x in c.languages},
        train={x: range(100) for x in c.languages},
    )
    made = object.__new__(Run)
    vars(made).update(folder=Path("runs/x"), config=c, model=toy.model(c), data=data)
    return made


def of(run: Run, rules: Any) -> Run:
    made = object.__new__(Run)
    c = toy.config(rules, steps=8)
    vars(made).update(folder=run.folder, config=c, model=toy.model(c), data=run.data)
    return made


def checkpoints(monkeypatch: pytest.MonkeyPatch, state: State, steps: list[int]) -> None:
    kept = SimpleNamespace(steps=steps, at=lambda *_: state, close=lambda: None)
    monkeypatch.setattr(Run, "checkpoints", lambda *_: kept)
    monkeypatch.setattr(Run, "trained", lambda *_: (8, state.params))


@pytest.mark.slow
def test_untying_costs_nothing_until_it_is_trained(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = of(run, "all_shared")
    state = init_state(shared.model)
    checkpoints(monkeypatch, state, [0, 2, 6])
    batches = toy.steps(shared.config, 1)
    monkeypatch.setattr(other_masks, "calls", lambda *_: lambda first: Step(*batches))
    at_once = OtherMasks(shared, 0, 64)
    assert at_once.start == 6 and at_once.cost(PRIVATE) == (0, 0, 0)
    later = OtherMasks(shared, 4, 64)
    assert later.start == 2
    cost = later.cost(PRIVATE)
    assert cost.value != 0 and cost.low < cost.value < cost.high
    np.testing.assert_array_equal(state.params["embed"]["token"].shape, (1, toy.VOCAB, 16))
    with pytest.raises(InputError, match="keeps no checkpoint 7 steps before its end"):
        OtherMasks(shared, 7, 64)


@pytest.mark.slow
def test_the_first_order_cost_of_tying_is_the_slope_towards_the_mean(run: Run) -> None:
    state = init_state(run.model)
    found = {x.pattern: x for x in Gradients(run, 128).of_tying(state.params)}
    path, eps = "layer_1/ffn/up/kernel", 0.05
    x = state.params["layer_1"]["ffn"]["up"]["kernel"]
    assert found[path].size == x[0].size
    heldout = Gradients(run, 128).heldout

    def loss(step: float) -> float:
        moved = jax.tree.map(jnp.copy, state.params)
        moved["layer_1"]["ffn"]["up"]["kernel"] = x + step * (x.mean(0, keepdims=True) - x)
        sums = [heldout.sums(moved, language).sum(0) for language in ("en", "fr")]
        return float(np.mean([total / tokens for total, tokens in sums]))

    slope = (loss(eps) - loss(-eps)) / (2 * eps)
    assert found[path].change == pytest.approx(slope, rel=0.05)


@pytest.mark.slow
def test_the_command_ties(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoints(monkeypatch, init_state(run.model), [8])
    monkeypatch.setattr(run_directory, "load", lambda folder: run)
    flags = ["--workdir=runs/x", "--tie", "--exact=1"]
    monkeypatch.setattr(sys, "argv", ["tools/find_mask.py", *flags])
    find_mask.main()
    said = capsys.readouterr().out
    assert "to first order" in said and "shared, 0 steps on from step 8" in said
    shared = of(run, "all_shared")
    monkeypatch.setattr(run_directory, "load", lambda folder: shared)
    with pytest.raises(InputError, match="its languages share every parameter"):
        find_mask.main()


def test_a_state_has_the_leaves_of_both() -> None:
    parts = toy.model(
        toy.config((("layer_1/ffn/up/kernel[neuron 0:4]", "private"), (".*", "shared")))
    )
    with pytest.raises(InputError, match="only where both have the same leaves"):
        retied(init_state(toy.model(toy.config())), toy.model(toy.config()), parts)
