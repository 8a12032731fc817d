"""Twins: which token stands where, which pieces are renamed, and that the two compose."""

import numpy as np
import pytest

from xl_jax.errors import InputError
from xl_jax.rng import Purpose, generator
from xl_jax.text.twins import order, shifted


def line_random(line: int) -> np.random.Generator:
    return generator(0, Purpose.TWIN_ORDER, line)


@pytest.mark.parametrize("n", [0, 1, 2, 7])
def test_kept_and_inverted_orders(n: int) -> None:
    assert order(n, "keep", 1.0, line_random(0)).tolist() == list(range(n))
    assert order(n, "invert", 1.0, line_random(0)).tolist() == list(range(n))[::-1]


@pytest.mark.parametrize("line", range(3))
def test_a_full_permutation_is_the_one_that_numpy_makes_of_the_tokens(line: int) -> None:
    ids = np.arange(100, 130, dtype=np.int32)
    expected = line_random(line).permutation(ids)
    np.testing.assert_array_equal(ids[order(30, "permute", 1.0, line_random(line))], expected)


@pytest.mark.parametrize(("p", "chosen"), [(0.0, 0), (0.05, 1), (0.25, 5), (0.5, 10), (1.0, 20)])
def test_a_share_of_the_positions_is_permuted(p: float, chosen: int) -> None:
    moved = np.zeros(20)
    for line in range(2000):
        positions = order(20, "permute", p, line_random(line))
        assert sorted(positions) == list(range(20))
        moved += positions != np.arange(20)
    # A chosen position keeps its own token once in `chosen` times.
    expected = chosen / 20 * (1 - 1 / max(chosen, 1))
    np.testing.assert_allclose(moved / 2000, expected, atol=0.05)


def test_an_unknown_order_is_an_error() -> None:
    with pytest.raises(InputError, match="unknown order of a twin 'back': .*known: invert, keep"):
        order(3, "back", 1.0, line_random(0))


def test_the_share_of_renamed_pieces() -> None:
    pieces = [f"▁w{i}" for i in range(4000)]
    assert shifted(pieces, 1.0).all() and not shifted(pieces, 0.0).any()
    assert shifted(pieces, 0.3).mean() == pytest.approx(0.3, abs=0.03)
    assert (shifted(pieces, 0.3) <= shifted(pieces, 0.6)).all()
    assert shifted([], 0.5).shape == (0,)


def test_the_choice_of_renamed_pieces_is_of_the_strings_alone() -> None:
    pieces = [f"▁w{i}" for i in range(50)]
    chosen = dict(zip(pieces, shifted(pieces, 0.5), strict=True))
    again = shifted(["▁new", *pieces[::-1]], 0.5)[1:]
    assert list(again) == [chosen[piece] for piece in pieces[::-1]]


@pytest.mark.parametrize("kind", ["keep", "invert", "permute"])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_orders_and_renaming_compose_and_the_order_aligns_the_words(
    kind: str, share: float
) -> None:
    pieces = np.array([f"▁w{i}" for i in range(40)])
    rows = np.where(shifted(list(pieces), share), 40 + np.arange(40), np.arange(40))
    base = np.random.default_rng(1).integers(0, 40, 25)
    alignment = order(25, kind, 0.6, line_random(4))
    reordered_then_renamed = rows[base[alignment]]
    renamed_then_reordered = rows[base][alignment]
    np.testing.assert_array_equal(reordered_then_renamed, renamed_then_reordered)
    for i, token in enumerate(reordered_then_renamed):
        assert pieces[token % 40] == pieces[base[alignment[i]]]
        assert (token >= 40) == shifted([str(pieces[token % 40])], share)[0]
