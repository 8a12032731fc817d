"""Sharing rules from a tree of languages."""

from typing import Any

import pytest

from xl_jax.errors import InputError
from xl_jax.model.language_tree import languages, tree_rules
from xl_jax.model.sharing import make_mask

TREE = {"romance": ("fr", "es"), "slavic": {"east": ("ru", "uk"), "west": ("pl",)}}
TEMPLATE = {"embed": {"token": 0}, "layer_1": {"kernel": 0}, "layer_2": {"kernel": 0}, "bias": 0}


def test_who_shares_at_each_level() -> None:
    assert languages(TREE) == ("fr", "es", "ru", "uk", "pl")
    levels = {"embed/.*": "own", "layer_1/.*": 2, "layer_2/.*": 1, ".*": 0}
    assert tree_rules(TREE, levels) == (
        ("embed/.*", (("fr",), ("es",), ("ru",), ("uk",), ("pl",))),
        ("layer_1/.*", (("fr", "es"), ("ru", "uk"), ("pl",))),
        ("layer_2/.*", (("fr", "es"), ("ru", "uk", "pl"))),
        (".*", (("fr", "es", "ru", "uk", "pl"),)),
    )
    assert make_mask(tree_rules(TREE, levels), TEMPLATE, languages(TREE)) == {
        "embed": {"token": (0, 1, 2, 3, 4)},
        "layer_1": {"kernel": (0, 0, 1, 1, 2)},
        "layer_2": {"kernel": (0, 0, 1, 1, 1)},
        "bias": (0, 0, 0, 0, 0),
    }


def test_a_tree_without_families() -> None:
    rules = tree_rules(("en", "fr"), {"embed/.*": "own", ".*": 0})
    assert rules == (("embed/.*", (("en",), ("fr",))), (".*", (("en", "fr"),)))


@pytest.mark.parametrize(
    ("tree", "levels", "message"),
    [
        ({"a": ("en", "fr"), "b": ("en",)}, {".*": 0}, "language 'en' is in the tree 2 times"),
        ({"a": ("en",), "b": ()}, {".*": 0}, "'b' is not a family: it has no languages"),
        ({"a": "en"}, {".*": 0}, "'a' is not a family: 'en' is one language"),
        ({}, {".*": 0}, "the tree is not a family: it has no languages"),
        (TREE, {".*": 3}, "unknown level of '.*' in the tree 3: known: 0, 1, 2, own"),
        (("en", "fr"), {".*": 1}, "unknown level of '.*' in the tree 1: known: 0, own"),
    ],
)
def test_a_wrong_tree(tree: Any, levels: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        tree_rules(tree, levels)
    assert str(error.value) == message


def test_a_language_of_the_run_that_the_tree_does_not_have() -> None:
    with pytest.raises(InputError, match="language 'de' is in no group"):
        make_mask(tree_rules(TREE, {".*": 1}), TEMPLATE, (*languages(TREE), "de"))
