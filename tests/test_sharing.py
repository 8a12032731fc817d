"""The sharing mask, in literal trees."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xl_jax.errors import InputError
from xl_jax.model import sharing

TEMPLATE = {
    "embed": {"token": jnp.zeros((4, 2)), "position": jnp.zeros((3, 2))},
    "layer_1": {"kernel": jnp.zeros((2, 2))},
    "layer_2": {"kernel": jnp.zeros((2, 2))},
    "mlm": {"bias": jnp.zeros(4)},
}
LANGUAGES = ("en", "fr", "zh")


def mask_of(rules: object, languages: tuple[str, ...] = LANGUAGES) -> object:
    return sharing.make_mask(rules, TEMPLATE, languages)


def random_tree(key: jax.Array) -> dict:
    leaves, structure = jax.tree.flatten(TEMPLATE)
    keys = jax.random.split(key, len(leaves))
    return structure.unflatten(
        [jax.random.normal(k, x.shape) for k, x in zip(keys, leaves, strict=True)]
    )


def test_shared_private_and_groups() -> None:
    rules = (
        ("embed/token", "private"),
        ("embed/.*", (("en", "fr"), ("zh",))),
        ("layer_1/.*", (("fr",), ("en", "zh"))),
        (".*", "shared"),
    )
    assert mask_of(rules) == {
        "embed": {"token": (0, 1, 2), "position": (0, 0, 1)},
        "layer_1": {"kernel": (1, 0, 1)},
        "layer_2": {"kernel": (0, 0, 0)},
        "mlm": {"bias": (0, 0, 0)},
    }


@pytest.mark.parametrize(
    ("name", "private"),
    [
        ("all_shared", set()),
        ("all_private", {"token", "position", "layer_1", "layer_2", "bias"}),
        ("sep_emb", {"token", "position", "bias"}),
        ("sep_emb_positions", {"token", "position", "bias"}),
        ("sep_positions", {"position"}),
        ("sep_l1", {"layer_1"}),
        ("sep_l1_2", {"layer_1", "layer_2"}),
        ("sep_emb_l1", {"token", "position", "bias", "layer_1"}),
        ("sep_positions_l2", {"position", "layer_2"}),
    ],
)
def test_presets(name: str, private: set[str]) -> None:
    mask = mask_of(name)
    found = {
        key if len(leaves) > 1 or top in ("embed", "mlm") else top
        for top, leaves in mask.items()
        for key, variants in leaves.items()
        if variants == (0, 1, 2)
    }
    assert found == private


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ("sep_embeddings", "unknown sharing preset 'sep_embeddings': did you mean 'sep_emb'"),
        ("sep_l1_3", "rule 'layer_3/.*' matches no parameter"),
        ("sep_l2_1", "layers 2 to 1 are not a range"),
        (((".*", "common"),), "unknown sharing value for '.*' 'common'.*private, shared"),
        (((".*", (("en", "fr"), ("de",))),), "unknown language in the sharing groups .* 'de'"),
        (((".*", (("en", "fr"),)),), "language 'zh' is in no group"),
        (((".*", (("en", "fr"), ("fr", "zh"))),), "language 'fr' is in more than one group"),
    ],
)
def test_bad_masks_name_what_is_wrong(rules: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        mask_of(rules)


def test_select_gives_each_language_its_variant_static_or_traced() -> None:
    mask = {"a": (0, 0, 1), "b": (0, 0, 0)}
    params = {"a": jnp.array([[10.0], [20.0]]), "b": jnp.array([[7.0]])}
    for language, expected in enumerate((10.0, 10.0, 20.0)):
        view = sharing.select(params, mask, language)
        traced = jax.jit(lambda p, i: sharing.select(p, mask, i))(params, language)
        assert view["a"].item() == traced["a"].item() == expected
        assert view["b"].item() == traced["b"].item() == 7.0


def test_a_shared_variant_gets_the_sum_of_its_languages_gradients() -> None:
    mask = {"a": (0, 0, 1)}
    params = {"a": jnp.array([[1.0], [1.0]])}

    def loss(p: dict) -> jax.Array:
        return sum((i + 1.0) * sharing.select(p, mask, i)["a"].sum() for i in range(3))

    assert jax.grad(loss)(params)["a"].tolist() == [[1.0 + 2.0], [3.0]]


def test_init_shared_leaves_start_as_the_plain_model_and_private_ones_differ() -> None:
    key = jax.random.key(0)
    mask = mask_of("sep_l1")
    params = sharing.init(random_tree, mask, key)
    plain = random_tree(jax.random.fold_in(key, 0))
    assert {p.shape[0] for p in jax.tree.leaves(params["embed"])} == {1}
    np.testing.assert_array_equal(params["embed"]["token"][0], plain["embed"]["token"])
    kernel = params["layer_1"]["kernel"]
    np.testing.assert_array_equal(kernel[0], plain["layer_1"]["kernel"])
    assert not np.allclose(kernel[0], kernel[1]) and not np.allclose(kernel[1], kernel[2])
    for v in (1, 2):
        own = random_tree(jax.random.fold_in(key, v))
        np.testing.assert_array_equal(kernel[v], own["layer_1"]["kernel"])


def test_the_program_of_the_start_does_not_grow_with_the_languages() -> None:
    """For 32 languages it took XLA minutes, one variant after the other."""

    def operations(number: int) -> int:
        names = tuple(f"l{i}" for i in range(number))
        mask = mask_of("all_private", names)
        start = jax.make_jaxpr(lambda key: sharing.init(random_tree, mask, key))
        return len(start(jax.random.key(0)).eqns)

    assert operations(2) == operations(32)


def test_private_variants_start_as_different_as_their_degree_says() -> None:
    mask, key = {"a": (0, 1), "b": (0, 1), "scale": (0, 1)}, jax.random.key(0)

    def tree(k: jax.Array) -> dict[str, jax.Array]:
        a, b = (jax.random.normal(x, (10_000,)) for x in jax.random.split(k))
        return {"a": a, "b": b, "scale": jnp.ones(3)}

    start = sharing.init(tree, mask, key, {"a": 0.0, "b": 0.25, "scale": 0.25})
    own = [tree(jax.random.fold_in(key, v)) for v in (0, 1)]
    np.testing.assert_array_equal(start["a"], np.stack([own[0]["a"]] * 2))
    np.testing.assert_array_equal(start["b"][0], own[0]["b"])
    np.testing.assert_allclose(
        start["b"][1], 0.75**0.5 * own[0]["b"] + 0.5 * own[1]["b"], rtol=1e-5, atol=1e-6
    )
    assert np.std(start["b"][1]) == pytest.approx(1, abs=0.03)
    np.testing.assert_array_equal(start["scale"], np.ones((2, 3)))


def test_presence_marks_the_variants_of_the_languages_in_a_step() -> None:
    mask = {"own": (0, 1, 2), "pair": (0, 0, 1), "all": (0, 0, 0)}
    params = {"own": jnp.zeros((3, 1)), "pair": jnp.zeros((2, 1)), "all": jnp.zeros((1, 1))}
    here = sharing.presence(params, mask, jnp.array([False, True, False]))
    assert jax.tree.map(lambda x: x.tolist(), here) == {
        "own": [False, True, False],
        "pair": [True, False],
        "all": [True],
    }


def test_trainable() -> None:
    mask = mask_of("sep_l1")
    params = sharing.init(random_tree, mask, jax.random.key(0))

    def moved(freeze: object) -> set[str]:
        tree = sharing.trainable(params, mask, freeze)
        return {top for top, leaves in tree.items() if all(x.all() for x in leaves.values())}

    assert moved("private") == {"embed", "layer_2", "mlm"}
    assert moved("none") == {"embed", "layer_1", "layer_2", "mlm"}
    assert moved("all") == set()
    assert moved("up_to:1") == {"layer_2", "mlm"}
    assert moved((("mlm/.*", "trained"), (".*", "frozen"))) == {"mlm"}
    with pytest.raises(InputError, match="unknown freeze 'upto:1'"):
        moved("upto:1")
    with pytest.raises(InputError, match="unknown sharing preset 'sep_x'"):
        moved("sep_x")


@pytest.mark.parametrize("name", ["sep_emb", "sep_tokens", "sep_l1_2", "sep_emb_l1"])
def test_a_preset_freezes_in_every_model_what_the_paper_freezes_in_its_own(name: str) -> None:
    params = sharing.init(random_tree, mask_of("all_shared"), jax.random.key(0))
    everywhere = sharing.trainable(params, mask_of("all_shared"), name)
    own = mask_of(name)
    its_own = sharing.trainable(sharing.init(random_tree, own, jax.random.key(0)), own, "private")
    assert jax.tree.map(lambda x: bool(x.all()), everywhere) == jax.tree.map(
        lambda x: bool(x.all()), its_own
    )


def test_components_are_the_languages_tied_by_anything() -> None:
    params = {"a": jnp.zeros((3, 1)), "b": jnp.zeros((2, 1))}
    languages, leaves = sharing.components(params, {"a": (0, 1, 2), "b": (0, 0, 1)}, 3)
    assert languages.tolist() == [0, 0, 1]
    assert leaves["a"].tolist() == [0, 0, 1] and leaves["b"].tolist() == [0, 1]
    chained = {"a": (0, 0, 1), "b": (0, 1, 1)}  # 0 with 1, 1 with 2
    assert sharing.components(params, chained, 3)[0].tolist() == [0, 0, 0]


def test_counts_in_closed_form() -> None:
    rules = (("embed/token", "private"), ("mlm/.*", (("en", "fr"), ("zh",))), (".*", "shared"))
    assert sharing.count(TEMPLATE, mask_of(rules), LANGUAGES) == {
        "total": 3 * 8 + 2 * 4 + 6 + 4 + 4,
        "shared": 6 + 4 + 4,
        "partly": 4,
        "private/en": 8,
        "private/fr": 8,
        "private/zh": 8 + 4,
    }


def test_the_table_says_who_shares_each_leaf() -> None:
    rules = (("embed/token", "private"), ("mlm/.*", (("en", "fr"), ("zh",))), (".*", "shared"))
    assert sharing.table(TEMPLATE, mask_of(rules), LANGUAGES).splitlines() == [
        "embed/position  [3, 2]  en+fr+zh",
        "embed/token     [4, 2]  en | fr | zh",
        "layer_1/kernel  [2, 2]  en+fr+zh",
        "layer_2/kernel  [2, 2]  en+fr+zh",
        "mlm/bias        [4]     en+fr | zh",
    ]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.integers(0, 3), min_size=4, max_size=4), min_size=1, max_size=4))
def test_any_partition_stacks_selects_and_counts_consistently(groups: list[list[int]]) -> None:
    languages = ("a", "b", "c", "d")
    template = {f"leaf_{i}": jnp.zeros(2) for i in range(len(groups))}
    rules = [
        (
            f"leaf_{i}",
            [[x for x, g in zip(languages, group, strict=True) if g == n] for n in set(group)],
        )
        for i, group in enumerate(groups)
    ]
    mask = sharing.make_mask(rules, template, languages)
    params = {
        name: jnp.arange(max(variants) + 1.0)[:, None] * jnp.ones((1, 2))
        for name, variants in mask.items()
    }
    for i in range(4):
        view = sharing.select(params, mask, i)
        assert [int(view[f"leaf_{k}"][0]) for k in range(len(groups))] == [
            mask[f"leaf_{k}"][i] for k in range(len(groups))
        ]
    sizes = sharing.count(template, mask, languages)
    assert sizes["total"] == sum(2 * len(set(group)) for group in groups)
    parts = sizes["shared"] + sizes["partly"] + sum(sizes[f"private/{x}"] for x in languages)
    assert sizes["total"] == parts
