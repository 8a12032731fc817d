"""Parts of leaves: heads, neurons, rows of the vocabulary."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toy

from xl_jax.config import Vocab
from xl_jax.config.finetune import Tuning
from xl_jax.errors import InputError
from xl_jax.finetune.language_view import run_views, trainable
from xl_jax.finetune.model import unflatten
from xl_jax.model import leaf_parts
from xl_jax.model.shared_model import SharedModel
from xl_jax.model.sharing import by_path
from xl_jax.rules import assign, leaf_paths
from xl_jax.runs.checkpoint import Checkpoints
from xl_jax.runs.run_directory import Run
from xl_jax.tokens.vocabulary import Vocabulary
from xl_jax.training.step import init_state

HEADS = (("layer_1/attention/.*[head 0:1]", "shared"), ("layer_1/attention/.*", "private"))
REST = (".*", "shared")


def shapes(**leaves: tuple[int, ...]) -> dict[str, Any]:
    return {name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in leaves.items()}


LAYER = {
    "attention": {
        "query": shapes(kernel=(6, 3, 2), bias=(3, 2)),
        "output": shapes(kernel=(3, 2, 6), bias=(6,)),
    },
    "ffn": {"up": shapes(kernel=(6, 8), bias=(8,)), "down": shapes(kernel=(8, 6), bias=(6,))},
}
TEMPLATE = {"embed": shapes(token=(20, 6)), "layer_1": LAYER, "mlm": shapes(bias=(20,))}


def test_a_leaf_is_cut_at_the_borders_that_rules_name() -> None:
    rules = [
        ("layer_1/attention/.*[head 0:2]", "shared"),
        ("layer_1/attention/query/.*[head 1:3]", "private"),
        ("layer_1/ffn/.*[neuron 2:8]", "private"),
        ("embed/token[row 5:20]", "private"),
        (".*", "shared"),
    ]
    found = leaf_parts.cuts(TEMPLATE, {"sharing": rules})
    assert {path: (kind, list(borders)) for path, (kind, borders) in found.items()} == {
        "layer_1/attention/query/kernel": ("head", [0, 1, 2, 3]),
        "layer_1/attention/query/bias": ("head", [0, 1, 2, 3]),
        "layer_1/attention/output/kernel": ("head", [0, 2, 3]),  # its bias has no heads
        "layer_1/ffn/up/kernel": ("neuron", [0, 2, 8]),
        "layer_1/ffn/up/bias": ("neuron", [0, 2, 8]),
        "layer_1/ffn/down/kernel": ("neuron", [0, 2, 8]),
        "embed/token": ("row", [0, 5, 20]),
    }
    random = np.random.default_rng(0)
    tree = jax.tree.map(lambda x: random.standard_normal(x.shape, np.float32), TEMPLATE)
    parts = leaf_parts.split(tree, found)
    query = parts["layer_1"]["attention"]["query"]
    np.testing.assert_array_equal(
        query["kernel[head 1:2]"], tree["layer_1"]["attention"]["query"]["kernel"][:, 1:2]
    )
    assert parts["embed"]["token[row 5:20]"].shape == (15, 6)
    assert parts["layer_1"]["ffn"]["down"]["kernel[neuron 0:2]"].shape == (2, 6)
    jax.tree.map(np.testing.assert_array_equal, leaf_parts.join(parts), tree)
    assert assign(rules, ["embed/token[row 0:5]", "embed/token[row 5:20]"][:2] + [
        "layer_1/attention/query/bias[head 0:1]", "layer_1/attention/query/bias[head 1:2]",
        "layer_1/attention/query/bias[head 2:3]", "layer_1/ffn/up/bias[neuron 2:8]",
    ]) == ["shared", "private", "shared", "shared", "private", "private"]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("layer_1/attention/query/kernel[head 0:4]", "kernel has heads 0:3"),
        ("layer_1/attention/query/kernel[head 2:2]", "kernel has heads 0:3"),
        ("layer_1/ffn/.*[head 0:1]", "matches no leaf that has heads"),
        ("layer_9/.*[head 0:1]", "matches no leaf that has heads"),
        ("layer_1/.*[column 0:1]", "unknown part .* 'column': known: head, neuron, row"),
        ("layer_1/(.*[head 0:1]", "is not a regular expression"),
    ],
)
def test_a_wrong_part(rule: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        leaf_parts.cuts(TEMPLATE, {"sharing": [(rule, "shared"), REST]})
    assert str(error.value).startswith(("sharing: ", "unknown part of a leaf in sharing"))


def test_private_rows_that_start_equal_are_told() -> None:
    rules = (("embed/token[row 10:20]", "private"), (".*", "shared"))
    assert not toy.model(toy.config(rules)).equal_rows
    told = toy.model(toy.config(rules, private_init="equal")).equal_rows
    assert "start the same for 10 pieces of en and fr" in told


def test_private_special_tokens_are_rows_already() -> None:
    config = toy.config((("embed/token[row 0:9]", "private"), (".*", "shared")))
    config = dataclasses.replace(config, vocab=Vocab(specials="private"))
    with pytest.raises(InputError, match="vocab.specials = 'private' keeps rows of embed/token"):
        SharedModel.abstract(config, toy.VOCAB)


def test_the_mask_has_parts_as_leaves_and_counts_them() -> None:
    model = toy.model(toy.config((*HEADS, REST)))
    mask = dict(by_path(model.template, model.mask))
    prefix = "layer_1/attention/query/kernel"
    assert mask[f"{prefix}[head 0:1]"] == (0, 0) and mask[f"{prefix}[head 1:2]"] == (0, 1)
    assert mask["layer_1/attention/output/bias"] == (0, 1)  # without heads: the second rule's
    assert prefix not in mask
    assert "private/en 552" in model.totals()  # 3 x (16 x 8 + 8) + 8 x 16 of a head, and 16
    other = toy.config(freeze=(("layer_1/ffn/.*[neuron 0:3]", "frozen"), (".*", "trained")))
    frozen = toy.model(other).frozen
    of_leaf = zip(leaf_paths(frozen), jax.tree.leaves(frozen), strict=True)
    assert [path for path, is_frozen in of_leaf if is_frozen] == [
        "layer_1/ffn/down/kernel[neuron 0:3]",
        "layer_1/ffn/up/bias[neuron 0:3]",
        "layer_1/ffn/up/kernel[neuron 0:3]",
    ]


@pytest.mark.slow
def test_a_model_in_parts_is_the_plain_model_and_a_private_head_is_its_language_s() -> None:
    """Trained on English alone, English is the plain model: at the start to the bit, after two
    steps up to rounding. Of French the private head stays, and the shared one moves."""
    views: dict[str, list[Any]] = {}
    plain, heads = toy.model(toy.config()), toy.model(toy.config((*HEADS, REST)))
    for name, model in (("plain", plain), ("heads", heads)):
        state = init_state(model)
        before = [model.view(state.params, language) for language in (0, 1)]
        state, _ = toy.compiled_step(model, 8)(state, toy.steps(model.config, 2, [[0, 0]]))
        views[name] = [*before, *(model.view(state.params, language) for language in (0, 1))]
    jax.tree.map(np.testing.assert_array_equal, views["plain"][0], views["heads"][0])
    for x, y in zip(*(jax.tree.leaves(views[n][2]) for n in views), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6)
    of = [view["layer_1"]["attention"]["query"]["kernel"] for view in views["heads"]]
    np.testing.assert_array_equal(of[1][:, 1], of[3][:, 1])
    np.testing.assert_array_equal(of[2][:, 0], of[3][:, 0])
    assert (of[0] != of[2]).mean() > 0.9 and (of[1][:, 0] != of[3][:, 0]).mean() > 0.9
    assert (of[2][:, 1] != of[3][:, 1]).all()


@pytest.mark.slow
def test_parts_are_kept_and_restored(tmp_path: Path) -> None:
    model = toy.model(toy.config((*HEADS, REST)))
    state, _ = toy.compiled_step(model, 8)(init_state(model), toy.steps(model.config, 2))
    kept = Checkpoints(tmp_path, keep=1, log=lambda _: None)
    kept.save(2, state)
    kept.wait()
    found = kept.restore(state)
    kept.close()
    assert found is not None and found[0] == 2
    jax.tree.map(np.testing.assert_array_equal, found[1].params, state.params)
    assert "layer_1/attention/key/bias[head 1:2]" in leaf_paths(found[1].params)


@pytest.mark.slow
def test_fine_tuning_freezes_and_hands_on_parts() -> None:
    """The default freezes what is private, here a head of two; French gets the shared one."""
    model = toy.model(toy.config((*HEADS, REST)))
    run = object.__new__(Run)
    vocabulary = object.__new__(Vocabulary)
    vars(vocabulary)["specials"] = "shared"
    data = SimpleNamespace(vocabulary=vocabulary)
    vars(run).update(config=model.config, model=model, data=data)
    params = init_state(model).params
    tuning = Tuning(task="ner", source="en", train="", dev="")
    head = "layer_1/attention/query/kernel[head {}]".format
    free = trainable(run, tuning, params)
    assert head("0:1") in free and head("1:2") not in free
    views = run_views(run, tuning, params)
    english = views["en"].leaves
    whole = model.view(params, 0)
    jax.tree.map(
        np.testing.assert_array_equal, unflatten(english), {k: whole[k] for k in unflatten(english)}
    )
    tuned = {p: x + 1 for p, x in english.items() if p in free}
    french = views["fr"].after(tuned)
    np.testing.assert_array_equal(french[head("0:1")], english[head("0:1")] + 1)
    np.testing.assert_array_equal(french[head("1:2")], views["fr"].leaves[head("1:2")])
