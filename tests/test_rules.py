"""The rule engine: full match, first match wins, nothing silent."""

import jax
import numpy as np
import pytest

from xl_jax.errors import InputError
from xl_jax.rules import apply_rules, assign, leaf_paths

TREE = {
    "embed": {"token": np.zeros(1), "position": np.zeros(1)},
    "layer_1": {"ffn": {"kernel": np.zeros(1)}},
    "layer_10": {"ffn": {"kernel": np.zeros(1)}},
}


def test_paths_are_in_the_order_of_the_leaves() -> None:
    expected = ["embed/position", "embed/token", "layer_1/ffn/kernel", "layer_10/ffn/kernel"]
    assert leaf_paths(TREE) == expected
    assert len(jax.tree.leaves(TREE)) == len(expected)


def test_the_first_match_wins_and_matches_are_full() -> None:
    rules = ((".*/token", "a"), ("embed/.*", "b"), ("layer_1/.*", "c"), (".*", "d"))
    assert apply_rules(rules, TREE) == {
        "embed": {"token": "a", "position": "b"},
        "layer_1": {"ffn": {"kernel": "c"}},
        "layer_10": {"ffn": {"kernel": "d"}},  # layer_1/.* is no prefix match
    }


def test_an_uncovered_leaf_is_an_error_that_names_it() -> None:
    with pytest.raises(InputError, match="no rule for 2 parameters: layer_1/ffn/kernel, layer_10"):
        apply_rules((("embed/.*", 1),), TREE)


def test_a_rule_without_a_leaf_is_an_error_with_near_names() -> None:
    with pytest.raises(InputError, match="'layer_3/.*' matches no parameter; near .*layer_1/"):
        apply_rules((("layer_3/.*", 1), (".*", 2)), TREE)
    with pytest.raises(InputError, match="'embed/tokens' matches no parameter; near .*embed/token"):
        apply_rules((("embed/tokens", 1), (".*", 2)), TREE)


def test_a_rule_in_the_shadow_of_an_earlier_one_is_an_error() -> None:
    with pytest.raises(InputError, match="'embed/token' never applies: 'embed/.*' comes before"):
        apply_rules((("embed/.*", 1), ("embed/token", 2), (".*", 3)), TREE)


def test_a_closing_default_may_find_nothing_left() -> None:
    assert assign((("embed/.*", 1), (".*", 2)), ["embed/token"]) == [1]


def test_a_pattern_that_is_no_regular_expression_is_an_error() -> None:
    with pytest.raises(InputError, match=r"'embed/\(' is not a regular expression"):
        apply_rules((("embed/(", 1),), TREE)
