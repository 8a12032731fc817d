"""Rows, and the order in which steps read them."""

from pathlib import Path

import numpy as np
import pytest

from xl_jax.batches import sampler
from xl_jax.batches.sampler import Batches, Epochs, Step, language_shares, shuffled
from xl_jax.batches.windows import Lines, Stream, make_windows
from xl_jax.config import Batch
from xl_jax.errors import InputError
from xl_jax.rng import Purpose, generator
from xl_jax.tokens import shards
from xl_jax.tokens.shards import of_lines
from xl_jax.tokens.special import BOS, EOS, PAD

LINES = of_lines([np.array(x, np.int32) for x in ([10, 11], [20], [30, 31, 32, 33], [40, 41])])
KEYS = np.arange(4, dtype=np.uint64) * np.uint64(2**61 + 12345)


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


@pytest.mark.parametrize("length", [4, 5, 7, 13])
@pytest.mark.parametrize("parts", [1, 2, 9])
def test_windows_equal_the_text_in_any_number_of_parts(
    tmp_path: Path, length: int, parts: int
) -> None:
    random = np.random.default_rng(0)
    lines = [random.integers(5, 99, n).astype(np.int32) for n in random.integers(0, 9, 40)]
    edges = [0, *np.sort(random.integers(0, 40, parts - 1)), 40]
    for part, (a, b) in enumerate(zip(edges, edges[1:], strict=False)):
        shards.write(tmp_path, "en", lines[a:b], part, np.uint16)
    shard = shards.read(tmp_path, "en")

    joined = np.concatenate([np.append(line, EOS) for line in lines])
    stream = make_windows("stream", shard, length)
    assert len(stream) == len(joined) // length
    backwards = np.arange(len(stream))[::-1]
    rows = stream.rows(backwards)[::-1]
    np.testing.assert_array_equal(rows.reshape(-1), joined[: rows.size])

    one_a_row = make_windows("line", shard, length)
    rows = one_a_row.rows(np.arange(len(one_a_row))[::-1])[::-1]
    assert rows.dtype == np.int32
    for row, line in zip(rows, lines, strict=True):
        expected = [BOS, *line[: length - 2], EOS]
        assert row.tolist() == expected + [PAD] * (length - len(expected))


@pytest.mark.parametrize("n", [1, 2, 3, 17, 1000])
def test_each_epoch_is_a_permutation_of_its_own(n: int) -> None:
    def order(epoch: int, keys: np.ndarray = KEYS) -> list[int]:
        return shuffled(np.arange(n), n, np.full(n, epoch), keys).tolist()

    assert sorted(order(0)) == sorted(order(1)) == list(range(n))
    if n > 10:
        different = [order(0), order(1), order(0, KEYS + np.uint64(1)), list(range(n))]
        assert len({tuple(x) for x in different}) == 4


def test_a_place_of_a_permutation_is_found_without_the_others() -> None:
    whole = shuffled(np.arange(1000), 1000, np.full(1000, 4), KEYS)
    assert whole[321] == shuffled(np.array([321]), 1000, np.array([4]), KEYS)[0]


def test_language_shares_follow_the_exponent() -> None:
    np.testing.assert_allclose(language_shares([900, 100], 1.0), [0.9, 0.1])
    np.testing.assert_allclose(language_shares([900, 100], 0.0), [0.5, 0.5])
    np.testing.assert_allclose(
        language_shares([900, 100], 0.7), np.array([0.9**0.7, 0.1**0.7]) / (0.9**0.7 + 0.1**0.7)
    )


def corpus(n: int, offset: int) -> Lines:
    """n lines of one token; line i is `offset + i`."""
    return Lines(of_lines(np.array([[offset + i] for i in range(n)], np.int32)), 3)


def two(config: Batch, seed: int = 0, steps: int = 2000) -> Batches:
    """30 lines of language 0, which are tokens 100..., and 10 of language 1, tokens 1000..."""
    return Batches([corpus(30, 100), corpus(10, 1000)], config, seed, steps)


def assert_equal(a: Step, b: Step) -> None:
    np.testing.assert_array_equal(a.tokens, b.tokens)
    np.testing.assert_array_equal(a.language, b.language)


@pytest.mark.parametrize(
    ("draw", "rows"),
    [
        (
            "independent",
            {
                0: [[105, 112], [107, 100], [121, 111]],
                5: [[1009, 1005], [103, 120], [102, 119]],
                2999: [[108, 121], [125, 116], [1008, 1004]],
            },
        ),
        (
            "systematic",
            {
                0: [[105, 112], [107, 100], [121, 111]],
                5: [[103, 120], [102, 119], [1009, 1005]],
                2999: [[118, 110], [128, 112], [1008, 1007]],
            },
        ),
    ],
)
def test_golden_rows_stay(draw: str, rows: dict[int, list[list[int]]]) -> None:
    """Runs begun with an older version read the same rows when they go on."""
    batches = two(Batch(slots=3, rows=2, draw=draw), seed=1, steps=3000)
    assert {step: batches(step).tokens[0, :, :, 1].tolist() for step in rows} == rows


@pytest.mark.parametrize("draw", ["independent", "systematic"])
def test_slots_are_of_one_language_and_follow_the_shares(draw: str) -> None:
    batches = two(Batch(accum=2, slots=2, rows=3, alpha=1.0, draw=draw))
    step = batches.steps(0, 2000)
    assert step.tokens.shape == (2000, 2, 2, 3, 3) and step.language.shape == (2000, 2, 2)
    share = (step.language == 0).mean()
    assert abs(share - 0.75) < (0.02 if draw == "independent" else 0.005)
    of_second = step.tokens[..., 1] >= 1000
    np.testing.assert_array_equal(of_second.all(-1), step.language == 1)
    np.testing.assert_array_equal(of_second.any(-1), step.language == 1)


def test_systematic_draws_give_equal_languages_equal_slots() -> None:
    config = Batch(accum=1, slots=2, rows=1, draw="systematic")
    batches = Batches([corpus(8, 100), corpus(8, 1000)], config, seed=5, steps=50)
    assert (np.sort(batches.steps(0, 50).language, axis=-1) == [[0, 1]]).all()


def test_shares_count_lines_or_tokens() -> None:
    long_lines = Lines(of_lines(np.full((10, 9), 7, np.int32)), 3)  # 90 tokens against 30
    for by, share in (("lines", 0.75), ("tokens", 0.25)):
        config = Batch(slots=8, rows=1, alpha=1.0, by=by, draw="systematic")
        batches = Batches([corpus(30, 100), long_lines], config, seed=0, steps=10)
        assert (batches.steps(0, 10).language == 0).mean() == share


def test_a_schedule_changes_the_shares_from_phase_to_phase() -> None:
    schedule = ((0.3, (1, 3)), (0.5, (1.0, 0.0)), (1.0, (2, 2)))
    config = Batch(slots=4, rows=1, draw="systematic", schedule=schedule)
    of_second = two(config, steps=2000).steps(0, 2000).language[:, 0].sum(-1)
    assert of_second.tolist() == [3] * 600 + [0] * 400 + [2] * 1000


def test_the_schedule_of_schafer_et_al() -> None:
    """Schäfer et al. 2024, `0.1_0.9_0.5_0.5`: four equal stages in which the second language has
    10, 90, 50 and 50 % of the rows."""
    schedule = ((0.25, (0.9, 0.1)), (0.5, (0.1, 0.9)), (1.0, (0.5, 0.5)))
    config = Batch(slots=10, rows=1, draw="systematic", schedule=schedule)
    batches = Batches([corpus(30, 100), corpus(10, 1000)], config, seed=3, steps=40)
    second = [batches(step).language.sum() for step in range(40)]
    assert second == [1] * 10 + [9] * 10 + [5] * 20


def test_every_row_of_a_language_is_read_once_an_epoch_across_steps() -> None:
    batches = Batches([corpus(24, 100), corpus(16, 1000)], Batch(slots=4, rows=2), 1, steps=40)
    read: list[list[int]] = [[], []]
    for step in range(40):
        tokens, language = batches(step)
        for slot in range(4):
            read[language[0, slot]] += tokens[0, slot, :, 1].tolist()
    for offset, n, rows in ((100, 24, read[0]), (1000, 16, read[1])):
        assert len(rows) > 2 * n
        for epoch in range(len(rows) // n):
            seen = sorted(rows[epoch * n : (epoch + 1) * n])
            assert seen == list(range(offset, offset + n))


def test_epochs_take_turns_in_reading_copies_of_their_own_lengths(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sampler, "ROWS_AT_ONCE", 8)  # epochs begin and end within a look-up
    copies = [corpus(10, 100), corpus(7, 200), corpus(12, 300)]
    rows = Epochs(copies, seed=0, language=0).rows(np.arange(3 * 29))[:, 1].tolist()
    orders = []
    for epoch in range(9):
        offset, n = ((100, 10), (200, 7), (300, 12))[epoch % 3]
        order, rows = rows[:n], rows[n:]
        assert sorted(order) == list(range(offset, offset + n))
        orders.append(order)
    assert orders[0] != orders[3] != orders[6] and not rows
    batches = Batches([copies, corpus(10, 1000)], Batch(slots=2, rows=1), seed=0, steps=9)
    assert set(batches.steps(0, 40).tokens[..., 1].flat) > {100, 206, 311, 1009}


def test_steps_do_not_depend_on_what_was_read_before() -> None:
    early, resumed = (two(Batch(slots=3, rows=2), steps=5000) for _ in range(2))
    early.steps(0, 4000)
    assert_equal(early(4321), resumed(4321))


def test_a_late_step_counts_all_slots_before_it() -> None:
    """Against one draw of all languages at once."""
    steps, config = 2 * sampler.STEPS_AT_ONCE + 100, Batch(slots=3, rows=2, alpha=1.0)
    points = generator(4, Purpose.LANGUAGE).random((steps, 3))
    language = (points >= 0.75).astype(int)
    found = two(config, seed=4, steps=steps).steps(0, steps)
    np.testing.assert_array_equal(found.language[:, 0], language)
    read = found.tokens[found.language == 1][:, :, 1].ravel() - 1000
    epochs = read[: len(read) // 10 * 10].reshape(-1, 10)
    assert len(epochs) > 100 and (np.sort(epochs) == np.arange(10)).all()


def test_several_steps_are_the_single_ones_stacked() -> None:
    batches = two(Batch(accum=2, slots=3, rows=2))
    first = sampler.STEPS_AT_ONCE - 3  # languages are drawn anew within
    several = batches.steps(first, 6)
    for i in range(6):
        assert_equal(batches(first + i), Step(*(x[i] for x in several)))


class Watched(Lines):
    """Notes which rows are read."""

    read: set[int] = set()

    def rows(self, index: np.ndarray) -> np.ndarray:
        Watched.read |= set(index.tolist())
        return super().rows(index)


@pytest.mark.parametrize(
    ("slots", "rows"),
    [
        (slice(0, 4), slice(0, 2)),
        (slice(2, 3), slice(None)),
        (slice(None), slice(3, 5)),
        (slice(1, 4, 2), slice(5, 6)),
        (slice(4, 4), slice(None)),
        (slice(None), slice(0, 0)),
    ],
)
def test_a_process_reads_only_its_block_of_a_step(slots: slice, rows: slice) -> None:
    batches = two(Batch(accum=2, slots=4, rows=6))
    whole = batches.steps(20, 3)
    watched = [Watched(corpus(30, 100).shard, 3), Watched(corpus(10, 1000).shard, 3)]
    alone = Batches(watched, batches.config, 0, 2000)
    Watched.read = set()
    block = alone.steps(20, 3, slots, rows)
    assert_equal(block, Step(whole.tokens[:, :, slots, rows], whole.language[:, :, slots]))
    assert len(Watched.read) <= block.tokens[..., 0].size
    one = alone(21, slots, rows)
    assert_equal(one, Step(*(x[1] for x in block)))


def test_a_language_without_a_row_is_an_error() -> None:
    with pytest.raises(InputError, match="language 1 of the run has no row of training text"):
        Batches([Stream(LINES, 4), Stream(LINES, 14)], Batch(), seed=0, steps=1)
