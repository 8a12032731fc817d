"""Rows and the order in which steps read them."""

import numpy as np
import pytest

from xl_jax.config import Batch
from xl_jax.data.shards import of_lines
from xl_jax.data.special import BOS, EOS, PAD
from xl_jax.data.windows import Batches, Lines, Stream, language_shares, shuffled

LINES = of_lines([np.array(x, np.int32) for x in ([10, 11], [20], [30, 31, 32, 33], [40, 41])])


def test_line_rows_are_framed_cut_and_padded() -> None:
    rows = Lines(LINES, 5).rows(np.array([0, 2, 1]))
    assert rows.tolist() == [
        [BOS, 10, 11, EOS, PAD],
        [BOS, 30, 31, 32, EOS],
        [BOS, 20, EOS, PAD, PAD],
    ]


def test_stream_windows_join_lines_and_lose_only_the_incomplete_end() -> None:
    stream = Stream(LINES, 4)  # 10 11 E 20 | E 30 31 32 | 33 E 40 41 | E
    assert len(stream) == 3
    assert stream.rows(np.arange(3)).tolist() == [
        [10, 11, EOS, 20],
        [EOS, 30, 31, 32],
        [33, EOS, 40, 41],
    ]


@pytest.mark.parametrize("length", [2, 3, 5, 7, 13])
def test_stream_windows_equal_the_joined_text(length: int) -> None:
    random = np.random.default_rng(0)
    lines = [random.integers(5, 99, n).astype(np.int32) for n in random.integers(1, 9, 40)]
    joined = np.concatenate([np.append(line, EOS) for line in lines])
    stream = Stream(of_lines(lines), length)
    assert len(stream) == len(joined) // length
    rows = stream.rows(np.arange(len(stream)))
    np.testing.assert_array_equal(rows.reshape(-1), joined[: rows.size])


@pytest.mark.parametrize("n", [1, 2, 3, 17, 1000])
def test_every_row_comes_once_an_epoch_in_an_order_of_its_own(n: int) -> None:
    first, second = (shuffled(np.arange(n) + e * n, n, seed=3, language=0) for e in range(2))
    assert sorted(first) == sorted(second) == list(range(n))
    if n > 10:
        assert not np.array_equal(first, second)
        assert not np.array_equal(first, shuffled(np.arange(n), n, seed=4, language=0))
        assert not np.array_equal(first, shuffled(np.arange(n), n, seed=3, language=1))
        assert not np.array_equal(first, np.arange(n))


def test_a_position_is_found_without_the_others() -> None:
    whole = shuffled(np.arange(5000), 1000, seed=0, language=0)
    alone = shuffled(np.array([4321]), 1000, seed=0, language=0)
    assert whole[4321] == alone[0]


def test_language_shares_follow_the_exponent() -> None:
    np.testing.assert_allclose(language_shares([900, 100], 1.0), [0.9, 0.1])
    np.testing.assert_allclose(language_shares([900, 100], 0.0), [0.5, 0.5])
    np.testing.assert_allclose(
        language_shares([900, 100], 0.7), np.array([0.9**0.7, 0.1**0.7]) / (0.9**0.7 + 0.1**0.7)
    )


def corpus(n: int, offset: int) -> Lines:
    return Lines(of_lines(np.array([[offset + i] for i in range(n)], np.int32)), 3)


@pytest.mark.parametrize("draw", ["independent", "systematic"])
def test_slots_are_of_one_language_and_follow_the_shares(draw: str) -> None:
    config = Batch(accum=2, slots=2, rows=3, alpha=1.0, draw=draw)
    batches = Batches([corpus(30, 100), corpus(10, 1000)], config, seed=0, steps=2000)
    share = (batches.language == 0).mean()
    assert abs(share - 0.75) < (0.02 if draw == "independent" else 0.005)
    step = batches(7)
    assert step.tokens.shape == (2, 2, 3, 3) and step.language.shape == (2, 2)
    of_second = step.tokens[..., 1] >= 1000
    np.testing.assert_array_equal(of_second.all(-1), step.language == 1)
    np.testing.assert_array_equal(of_second.any(-1), step.language == 1)


def test_systematic_draws_give_equal_languages_equal_slots() -> None:
    config = Batch(accum=1, slots=2, rows=1, draw="systematic")
    batches = Batches([corpus(8, 100), corpus(8, 1000)], config, seed=5, steps=50)
    assert (np.sort(batches.language, axis=1) == [[0, 1]]).all()


def test_every_row_of_a_language_is_read_once_an_epoch_across_steps() -> None:
    config = Batch(accum=1, slots=4, rows=2)
    batches = Batches([corpus(24, 100), corpus(16, 1000)], config, seed=1, steps=40)
    read: list[list[int]] = [[], []]
    for step in range(40):
        tokens, language = batches(step)
        for slot in range(4):
            read[language[0, slot]] += tokens[0, slot, :, 1].tolist()
    for offset, n, rows in ((100, 24, read[0]), (1000, 16, read[1])):
        for epoch in range(len(rows) // n):
            seen = sorted(rows[epoch * n : (epoch + 1) * n])
            assert seen == list(range(offset, offset + n))


def test_steps_do_not_depend_on_what_was_read_before() -> None:
    config = Batch(accum=1, slots=3, rows=2)
    windows = [corpus(24, 100), corpus(16, 1000)]
    early = Batches(windows, config, seed=1, steps=40)
    for step in range(30):
        early(step)
    resumed = Batches(windows, config, seed=1, steps=40)
    for a, b in zip(early(30), resumed(30), strict=True):
        np.testing.assert_array_equal(a, b)
