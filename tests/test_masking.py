"""What is predicted, what the model sees instead, and that both are functions of the key alone."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xl_jax.config import Masking
from xl_jax.model.masking import Predictions, make_pools, mask_rows, n_predictions, rate_at
from xl_jax.tokens.special import BOS, EOS, MASK, N_SPECIAL, PAD, UNK

V = 45
OWNED = np.zeros((2, V), bool)
OWNED[0, N_SPECIAL:25] = True  # language 0 writes with pieces 5..24,
OWNED[1, 20:40] = True  # language 1 with 20..39; 40..44 occur nowhere
OWNED[:, UNK] = True  # counted in the text, and yet special


# Compiling takes longer than running here: no optimisation.
@partial(jax.jit, static_argnums=3, compiler_options={"xla_backend_optimization_level": 0})
def jitted(tokens, language, key, config, pools):
    return mask_rows(tokens, language, key, config, pools)


def masked(tokens, key=0, language=0, pool="all", **split):
    """`Predictions` of `tokens`, as NumPy."""
    config, pools = Masking(pool=pool, **split), make_pools(OWNED, pool)
    rows = jitted(jnp.asarray(tokens), jnp.int32(language), jax.random.key(key), config, pools)
    return Predictions(*map(np.asarray, rows))


def lines(lengths, T):
    """Rows `<s> ordinary pieces </s> <pad>...`, the given numbers of ordinary pieces."""
    rows = np.full((len(lengths), T), PAD, np.int32)
    for row, n in zip(rows, lengths, strict=True):
        row[: n + 2] = [BOS, *np.random.default_rng(n).integers(N_SPECIAL, 25, n), EOS]
    return rows


def test_number_of_predictions_is_exact():
    lengths = [0, 1, 2, 9, 10, 11, 17, 30, 50, 62]
    rows = masked(lines(lengths, 64))
    # round(0.15 * length), at least 1 where there is anything to predict; halves go to even:
    assert rows.weights.sum(1).tolist() == [0, 1, 1, 1, 2, 2, 3, 4, 8, 9]
    assert rows.positions.shape == rows.targets.shape == rows.weights.shape == (10, 10)
    assert (np.diff(rows.weights, axis=1) <= 0).all()  # the predictions come first


@pytest.mark.parametrize("rate, length, number", [(0.15, 256, 38), (0.15, 4, 1), (0.5, 8, 4)])
def test_predictions_of_a_full_row(rate, length, number):
    assert n_predictions(rate, length) == number
    rows = masked(np.full((3, length), 8, np.int32), rate=rate)
    assert rows.weights.sum(1).tolist() == [number] * 3


@pytest.mark.parametrize(
    "rates, steps, expected",
    [
        ((0.3, 0.05), 6, [0.3, 0.25, 0.2, 0.15, 0.1, 0.05]),
        ((0.1, 0.5), 5, [0.1, 0.2, 0.3, 0.4, 0.5]),  # upwards
        ((0.3, 0.0), 3, [0.3, 0.3, 0.3]),  # none: the same throughout
        ((0.3, 0.05), 1, [0.3]),
    ],
)
def test_the_rate_goes_to_the_last_one_in_a_straight_line(rates, steps, expected):
    config = Masking(rate=rates[0], last_rate=rates[1])
    found = [rate_at(jnp.int32(step), steps, config) for step in range(steps)]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_rows_of_specials_are_left_alone():
    tokens = lines([62] * 10, 64)
    tokens[0], tokens[1, 1:] = PAD, EOS
    tokens[2] = np.resize([BOS, EOS, UNK, MASK, PAD], 64)
    rows = masked(tokens)
    assert rows.weights[:3].sum() == 0 and rows.weights[3:].sum() == 7 * 9
    np.testing.assert_array_equal(rows.tokens[:3], tokens[:3])


def test_only_ordinary_pieces_after_the_first_are_predicted_once_each():
    random = np.random.default_rng(0)
    tokens = random.integers(0, V, (1000, 20)).astype(np.int32)
    rows = masked(tokens, rate=0.5)
    for before, after, positions, targets, weights in zip(tokens, *rows, strict=True):
        chosen = positions[weights > 0]
        assert len(set(positions)) == len(positions) == 10
        assert (before[chosen] >= N_SPECIAL).all() and (chosen > 0).all()
        np.testing.assert_array_equal(targets[weights > 0], before[chosen])
        untouched = np.delete(np.arange(20), chosen)
        np.testing.assert_array_equal(after[untouched], before[untouched])


def test_every_position_but_the_first_is_predicted_equally_often():
    rows = masked(np.full((8000, 8), 8, np.int32), rate=0.25)
    times = np.bincount(rows.positions[rows.weights > 0], minlength=8)
    assert times[0] == 0 and times.sum() == 16000
    expected = 16000 / 7  # deviation sqrt(8000 * 2/7 * 5/7) = 40
    assert (np.abs(times[1:] - expected) < 5 * 41).all(), times


def test_shares_of_mask_keep_random():
    n = 1000 * 10
    tokens = np.full((1000, 20), 8, np.int32)
    rows = masked(tokens, rate=0.5)
    shown = np.take_along_axis(rows.tokens, rows.positions, 1)
    assert rows.weights.all() and shown.size == n
    drawn = 0.1 / 35  # a random piece of 5..39 is the old one
    for share, observed in (
        (0.8, (shown == MASK).sum()),
        (0.1 + drawn, (shown == 8).sum()),
        (0.1 - drawn, ((shown != MASK) & (shown != 8)).sum()),
    ):
        assert abs(observed - n * share) < 5 * np.sqrt(n * share * (1 - share))


@pytest.mark.parametrize(
    "split, pieces",
    [((1.0, 0.0, 0.0), {MASK}), ((0.0, 1.0, 0.0), {8}), ((0.0, 0.0, 1.0), set(range(5, 40)))],
)
def test_one_way_of_hiding_alone(split, pieces):
    mask, keep, random = split
    rows = masked(np.full((1000, 20), 8, np.int32), rate=0.5, mask=mask, keep=keep, random=random)
    assert set(np.take_along_axis(rows.tokens, rows.positions, 1).flat) == pieces


@pytest.mark.parametrize(
    "pool, language, first, last", [("own", 0, 5, 24), ("own", 1, 20, 39), ("all", 1, 5, 39)]
)
def test_random_pieces_come_evenly_from_the_pool(pool, language, first, last):
    tokens = np.full((1000, 20), 22, np.int32)
    rows = masked(tokens, language=language, pool=pool, rate=0.5, mask=0.0, keep=0.0, random=1.0)
    shown = np.take_along_axis(rows.tokens, rows.positions, 1)
    times = np.bincount(shown.flat, minlength=V)
    expected = rows.weights.sum() / (last - first + 1)
    assert times[:first].sum() == times[last + 1 :].sum() == 0
    assert (np.abs(times[first : last + 1] - expected) < 5 * np.sqrt(expected)).all()


def test_pools_leave_the_callers_table_as_it_was():
    before = OWNED.copy()
    own, every = make_pools(OWNED, "own"), make_pools(OWNED, "all")
    np.testing.assert_array_equal(OWNED, before)
    assert own.size.tolist() == [20, 20] and every.size.tolist() == [35, 35]
    assert own.pieces[1].tolist() == list(range(20, 40))


def test_the_key_decides_everything():
    tokens = np.random.default_rng(1).integers(5, 40, (1000, 20)).astype(np.int32)
    first, again, other = (masked(tokens, key, rate=0.5) for key in (1, 1, 2))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert (first.positions != other.positions).mean() > 0.5
    assert (first.positions[0] != first.positions[1]).any()  # each row draws for itself
