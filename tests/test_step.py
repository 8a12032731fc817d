"""The training step: everything shared is one plain model, nothing shared is independent ones."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import toy

from xl_jax.batches.placement import step_shardings
from xl_jax.batches.sampler import Step
from xl_jax.config import Batch, Masking, Mesh, Model, Optim
from xl_jax.devices.mesh import make_mesh
from xl_jax.errors import InputError
from xl_jax.model import sharing
from xl_jax.model.masking import mask_rows
from xl_jax.model.predictions import Predictions
from xl_jax.model.shared_model import SharedModel
from xl_jax.rng import Purpose, key
from xl_jax.rules import leaf_paths
from xl_jax.tokens.special import N_SPECIAL, PAD
from xl_jax.training.step import State, init_state, make_step

pytestmark = pytest.mark.slow


def train(model: SharedModel, batches: Step, n: int = 8) -> State:
    return toy.compiled_step(model, n)(init_state(model), batches)[0]


def assert_close(a: Any, b: Any, tolerance: float = 2e-6) -> None:
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=tolerance, rtol=0), a, b)


def plain_training(model: SharedModel, batches: Step, params: Any, slots: list[int]) -> Any:
    """An ordinary trainer of one ordinary model on some slots of each step: optax, mean loss."""
    tx, update = plain_update(model)
    state = jax.jit(tx.init)(params)
    for step in range(len(batches.tokens)):
        rows = batches.tokens[step, 0, slots], batches.language[step, 0, slots]
        numbers = np.asarray([step * model.config.batch.slots + slot for slot in slots])
        params, state = update(params, state, *rows, numbers)
    return params


@functools.cache
def plain_update(model: SharedModel) -> Any:
    """(optax's transformation, jitted update): the same program for every slot."""
    c = model.config
    tx = optax.chain(
        optax.clip_by_global_norm(c.optim.clip),
        optax.adamw(
            lambda n: c.optim.lr * jnp.minimum((n + 1) / c.optim.warmup, 1),
            c.optim.b1,
            c.optim.b2,
            c.optim.eps,
            weight_decay=c.optim.decay,
            mask=lambda p: jax.tree.map_with_path(
                lambda path, _: path[-1].key not in ("bias", "scale"), p
            ),
        ),
    )

    def loss(p: Any, tokens: Any, languages: Any, numbers: Any) -> jax.Array:
        total = n = 0.0
        for tokens_slot, language, number in zip(tokens, languages, numbers, strict=True):
            draw = jax.random.fold_in(key(c.seed, Purpose.MASKING), number)
            if c.model.causal:
                at = jnp.tile(jnp.arange(tokens_slot.shape[1] - 1), (len(tokens_slot), 1))
                targets = jnp.roll(tokens_slot, -1, axis=1)[:, :-1]
                rows = Predictions(tokens_slot, at, targets, 1.0 * (targets >= N_SPECIAL))
            else:
                rows = mask_rows(tokens_slot, language, draw, c.masking, model.pools)
            logits = model.module.apply(
                {"params": p},
                rows.tokens,
                rows.tokens != PAD,
                rows.positions,
                jnp.asarray(model.allowed[0]),
            )
            chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), rows.targets[..., None], -1)
            total -= jnp.sum(chosen[..., 0] * rows.weights)
            n += jnp.sum(rows.weights)
        return total / n

    @jax.jit
    def update(p: Any, s: Any, tokens: Any, languages: Any, numbers: Any) -> Any:
        updates, s = tx.update(jax.grad(loss)(p, tokens, languages, numbers), s, p)
        return optax.apply_updates(p, updates), s

    return tx, update


def all_shared_is_plain(form: Model, masking: Masking | None = None) -> None:
    masking = masking or toy.config().masking
    model = toy.model(toy.config("all_shared", model=form, masking=masking))
    batches = toy.steps(model.config, 4)
    start = sharing.select(init_state(model).params, model.mask, 0)
    expected = plain_training(model, batches, start, slots=[0, 1])
    params = train(model, batches).params
    assert_close(sharing.select(params, model.mask, 0), expected)
    assert_close(sharing.select(params, model.mask, 1), expected)


def test_everything_shared_is_one_plain_model() -> None:
    all_shared_is_plain(toy.config().model)


def test_a_modern_encoder_that_is_shared_is_a_plain_one() -> None:
    form = {"norm": "pre", "norm_kind": "rms", "activation": "geglu", "position_encoding": "rope"}
    more = {"bias": False, "layers": 2, "window": 4, "global_every": 2}
    all_shared_is_plain(dataclasses.replace(toy.config().model, **form, **more))


def test_training_learns_and_without_updates_it_does_not() -> None:
    """Every token is one of two: what is left to learn is log 2 of log 27."""
    model = toy.model(toy.config())
    batches, step = toy.steps(model.config, 4), toy.compiled_step(model, 8)
    batches.tokens[..., 1:-1] = N_SPECIAL + batches.tokens[..., 1:-1] % 2

    def last_loss(updates: bool) -> float:
        state = init_state(model)
        for _ in range(10):
            state, metrics = step(state if updates else init_state(model), batches)
        return float(metrics["loss_sum"].sum() / metrics["predicted"].sum())

    assert last_loss(updates=True) < 1.0 < 2.5 < last_loss(updates=False)


@pytest.mark.parametrize("clip", [5.0, 0.05])
def test_nothing_shared_is_independent_models(clip: float) -> None:
    c = toy.config("all_private")
    model = toy.model(dataclasses.replace(c, optim=dataclasses.replace(c.optim, clip=clip)))
    batches = toy.steps(model.config, 4)
    params = train(model, batches).params
    for language in (0, 1):
        start = sharing.select(init_state(model).params, model.mask, language)
        expected = plain_training(model, batches, start, slots=[language])
        assert_close(sharing.select(params, model.mask, language), expected)


def test_starts_are_chosen_leaf_by_leaf_and_equal_rows_of_equal_pieces_are_told() -> None:
    rules = (("embed/token", "equal"), ("embed/.*", 0.5), (".*", "different"))
    model = toy.model(toy.config("all_private", private_init=rules))
    start = init_state(model).params
    table, position = start["embed"]["token"], start["embed"]["position"]
    assert (table[0] == table[1]).all() and not (position[0] == position[1]).any()
    assert "start the same for 27 pieces of en and fr" in model.equal_rows
    for sharing_rules, private_init in (("all_private", "different"), ("all_shared", "equal")):
        assert not toy.model(toy.config(sharing_rules, private_init=private_init)).equal_rows
    with pytest.raises(InputError, match="private_init: no rule for"):
        SharedModel.abstract(toy.config(private_init=(("embed/token", 0.5),)))
    with pytest.raises(InputError, match="private_init"):
        toy.config(private_init=((".*", 1.5),))


def test_the_two_limits_differ() -> None:
    batches = toy.steps(toy.config(), 4)
    views = []
    for name in ("all_shared", "all_private"):
        model = toy.model(toy.config(name, private_init="equal"))
        views.append(sharing.select(train(model, batches).params, model.mask, 0))
    for path in (("embed", "token"), ("layer_1", "ffn", "up", "kernel"), ("mlm", "bias")):
        a, b = (functools.reduce(lambda tree, name: tree[name], path, view) for view in views)
        assert float(jnp.abs(a - b).max()) > 1e-3


def test_an_absent_language_is_left_untouched_to_the_bit() -> None:
    model = toy.model(toy.config("sep_emb_l1"))
    step = toy.compiled_step(model, 8)
    both = toy.steps(model.config, 2)
    only_en = toy.steps(model.config, 2, languages=[[0, 0]], seed=1)
    before = jax.device_get(step(init_state(model), both)[0])
    after = jax.device_get(step(jax.device_put(before), only_en)[0])

    structure = jax.tree.structure(before.params)
    paths, masks = leaf_paths(before.params), structure.flatten_up_to(model.mask)
    for old, new in ((before.params, after.params), (before.moments, after.moments)):
        leaves = (structure.flatten_up_to(old), structure.flatten_up_to(new))
        for path, variants, a, b in zip(paths, masks, *leaves, strict=True):
            for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
                if len(set(variants)) == 2:
                    assert np.array_equal(x[1], y[1]), path
                if not path.endswith("key/bias"):  # attention ignores it: its gradient is rounding
                    assert not np.array_equal(x[0], y[0]), path


def test_accumulation_is_the_large_batch_also_with_unequal_token_counts() -> None:
    parallel = toy.config(batch=Batch(accum=1, slots=4, rows=4))
    sequential = toy.config(batch=Batch(accum=4, slots=1, rows=4))
    batches = toy.steps(parallel, 2, languages=[[0, 1, 1, 0]])
    batches.tokens[:, :, 2, :, 3:] = PAD  # one slot has far fewer predictions
    n, _, _, rows, length = batches.tokens.shape
    split = Step(batches.tokens.reshape(n, 4, 1, rows, length), batches.language.reshape(n, 4, 1))
    assert_close(
        train(toy.model(parallel), batches).params, train(toy.model(sequential), split).params
    )


@pytest.mark.parametrize("sizes", [(8, 1, 1), (2, 2, 2)])
def test_a_mesh_of_eight_devices_gives_the_single_device_result(sizes: tuple[int, ...]) -> None:
    c = toy.config("sep_emb", batch=Batch(accum=1, slots=8, rows=4), mesh=Mesh(*sizes))
    model, batches, mesh = toy.model(c), toy.steps(c, 2), make_mesh(c)
    start = init_state(model, mesh)
    table = start.params["embed"]["token"]
    assert len(table.devices()) == 8
    part = (2, toy.VOCAB // sizes[2], 16 // sizes[1])  # both variants, never divided
    assert table.addressable_shards[0].data.shape == part
    assert_close(start, init_state(model), 0)
    state, _ = toy.compiled_step(model, 8, mesh)(
        start, jax.device_put(batches, step_shardings(mesh))
    )
    assert_close(state.params, train(model, batches).params, 5e-6)


def test_a_step_that_is_not_finite_is_skipped_and_counted() -> None:
    model = toy.model(toy.config("all_private", skip_nonfinite=True))
    batches, step = toy.steps(model.config, 2), toy.compiled_step(model, 8)
    whole, _ = step(init_state(model), batches)
    state = init_state(model)
    state.params["mlm"]["bias"] = state.params["mlm"]["bias"].at[0].set(jnp.nan)
    before = jax.device_get(state)
    after, metrics = step(state, batches)

    def of(tree: Any, language: int) -> Any:
        return jax.tree.map(lambda x: np.asarray(x[language]), (tree.params, tree.moments))

    jax.tree.map(np.testing.assert_array_equal, of(after, 0), of(before, 0))
    jax.tree.map(np.testing.assert_array_equal, of(after, 1), of(whole, 1))
    assert int(after.step) == int(metrics["skipped"]) == 2
    assert metrics["predicted"][0] == metrics["loss_sum"][0] == 0 < metrics["predicted"][1]
    assert np.isfinite(metrics["grad_norm"])


def test_metrics_are_sums_by_language_and_the_state_is_donated() -> None:
    model = toy.model(toy.config())
    state = init_state(model)
    buffer = state.params["embed"]["token"]
    batches = toy.steps(model.config, 4)
    _, metrics = toy.compiled_step(model, 8)(state, batches)
    assert buffer.is_deleted()
    per_row = round(0.3 * (toy.LENGTH - 2))
    assert metrics["predicted"].tolist() == [4 * 4 * per_row] * 2
    mean = metrics["loss_sum"] / metrics["predicted"]
    assert np.all(np.abs(np.asarray(mean) - np.log(toy.VOCAB)) < 1.5)


def test_norms_by_part_of_the_tree() -> None:
    """Of what all languages share and of what each has alone; one that is absent does not move."""
    model = toy.model(toy.config("sep_emb"))
    step = toy.compiled_step(model, 8)
    before = jax.device_get(init_state(model).params)
    state, metrics = step(init_state(model), toy.steps(model.config, 1, languages=[[0, 0]]))
    assert model.parts[0] == ["shared", "private/en", "private/fr"]

    structure: Any = jax.tree.structure(before)
    masks = structure.flatten_up_to(model.mask)
    new, old = (structure.flatten_up_to(tree) for tree in (jax.device_get(state.params), before))

    def norm(language: int | None, leaves: Any) -> float:
        chosen = [
            np.ravel(x[language or 0])
            for x, variants in zip(leaves, masks, strict=True)
            if (len(set(variants)) == 1) == (language is None)
        ]
        return float(np.linalg.norm(np.concatenate(chosen)))

    updates = [a - b for a, b in zip(new, old, strict=True)]
    for i, language in enumerate((None, 0, 1)):
        assert metrics["param_norms"][i] == pytest.approx(norm(language, new), rel=1e-5)
        assert metrics["update_norms"][i] == pytest.approx(norm(language, updates), rel=1e-4)
    grad_norms = np.asarray(metrics["grad_norms"], np.float64)
    assert (grad_norms > 0).tolist() == [True, True, False]
    assert np.sqrt((grad_norms**2).sum()) == pytest.approx(float(metrics["grad_norm"]), rel=1e-5)


def test_norms_are_measured_at_the_steps_that_are_logged() -> None:
    """At every second one here; what is trained is the same to the bit."""
    found = []
    for every in (1, 2):
        model = toy.model(toy.config("sep_emb", log_every=every))
        step, state, norms = toy.compiled_step(model, 8), init_state(model), []
        for _ in range(2):
            state, metrics = step(state, toy.steps(model.config, 1))
            norms.append([metrics[f"{x}_norms"].tolist() for x in ("grad", "update", "param")])
        found.append((norms, jax.device_get(state.params)))
    (always, params), (second, same) = found
    assert np.all(np.array(always) > 0)
    assert second == [[[0, 0, 0]] * 3, always[1]]
    jax.tree.map(np.testing.assert_array_equal, same, params)


def test_k_steps_in_one_call_are_k_calls() -> None:
    model = toy.model(toy.config("sep_emb"))
    batches = toy.steps(model.config, 4)
    step = toy.compiled_step(model, 8)
    state = init_state(model)
    for i in range(4):
        state, _ = step(state, Step(*(x[i : i + 1] for x in batches)))
    once = train(model, batches)
    assert int(state.step) == int(once.step) == 4
    assert_close(state.params, once.params)


def test_the_rate_of_masking_is_a_function_of_the_step() -> None:
    """10 ordinary tokens in each of 8 rows; of 5 steps the first predicts 50 %, the last 10 %."""
    c = toy.config(masking=Masking(rate=0.5, last_rate=0.1))
    batches, step = toy.steps(c, 1), toy.compiled_step(toy.model(c), 5)
    for order in ([0, 1, 2, 3, 4], [3, 0]):
        for number in order:
            state = init_state(toy.model(c))._replace(step=jnp.int32(number))
            assert float(step(state, batches)[1]["predicted"].sum()) == 8 * (5 - number)


@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_a_batch_without_a_single_prediction_changes_nothing_but_decay(decay: float) -> None:
    lr = 1e-2
    c = toy.config(optim=Optim(lr=lr, schedule="constant", warmup=1, decay=decay))
    model = toy.model(c)
    batches = toy.steps(c, 1)
    batches.tokens[:] = PAD
    before = jax.device_get(init_state(model).params)
    after = jax.device_get(train(model, batches).params)
    for path, old, new in zip(
        leaf_paths(before), *map(jax.tree.leaves, (before, after)), strict=True
    ):
        decays = not path.endswith(("bias", "scale"))
        expected = old * np.float32(1 - lr * decay) if decays else old
        np.testing.assert_allclose(new, expected, rtol=1e-6 if decays and decay else 0, atol=0)
        assert np.array_equal(new, old) == (not decays or not decay or not old.any()), path


def test_golden_first_steps() -> None:
    """Changes with any change to initialisation, masking, model or optimiser: if that was meant,
    put in the new numbers and say so in the commit."""
    c = toy.config("sep_emb")
    model = toy.model(dataclasses.replace(c, model=dataclasses.replace(c.model, layers=2)))
    step, state = toy.compiled_step(model, 8), init_state(model)
    batches = toy.steps(c, 3)
    losses = []
    for i in range(3):
        state, metrics = step(state, Step(*(x[i : i + 1] for x in batches)))
        losses.append(float(metrics["loss_sum"].sum() / metrics["predicted"].sum()))
    assert losses == pytest.approx(GOLDEN, abs=5e-5)


GOLDEN = [3.930314, 3.540527, 3.484456]


def test_private_special_tokens_stand_in_the_first_rows_of_their_language():
    own = range(toy.VOCAB - N_SPECIAL, toy.VOCAB)
    model = dataclasses.replace(toy.model(toy.config()), special_offset=(0, own[0]))
    params = init_state(model).params
    table = params["embed"]["token"][0]

    def first_rows(params, language):
        return model.view(params, language)["embed"]["token"][:N_SPECIAL]

    np.testing.assert_array_equal(first_rows(params, 0), table[:N_SPECIAL])
    np.testing.assert_array_equal(jax.jit(first_rows)(params, 1), table[own[0] :])
    grads = jax.jit(jax.grad(lambda p: first_rows(p, 1).sum()))(params)["embed"]["token"][0]
    assert sorted({int(row) for row in np.nonzero(grads)[0]}) == list(own)


def test_frozen_leaves_stay_to_the_bit_and_have_no_optimiser_state() -> None:
    model = toy.model(toy.config(freeze=(("embed/.*", "frozen"), (".*", "trained"))))
    start = init_state(model)
    before = jax.device_get(start.params)
    state = toy.compiled_step(model, 8)(start, toy.steps(model.config, 2))[0]
    for path, old, new in zip(
        leaf_paths(before), jax.tree.leaves(before), jax.tree.leaves(state.params), strict=True
    ):
        same = (np.asarray(old) == np.asarray(new)).all()
        if not path.endswith("key/bias"):  # its gradient is 0 but for rounding
            assert same == path.startswith("embed/"), path
    assert not jax.tree.leaves(state.moments["embed"]) and jax.tree.leaves(state.moments["mlm"])


def test_freezing_everything_leaves_nothing_to_train() -> None:
    with pytest.raises(InputError, match="freeze = 'all' leaves nothing to train"):
        make_step(toy.model(toy.config(freeze="all")), 8)
