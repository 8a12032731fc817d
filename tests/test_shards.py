"""Token shards on disk: what was written is read, in any number of parts, or refused by name."""

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from xl_jax.errors import InputError
from xl_jax.tokens import shards
from xl_jax.tokens.shards import Shard
from xl_jax.tokens.special import EOS, PAD

LINES = [np.array(x, np.int32) for x in ([10, 11], [], [30, 31, 32, 33], [40, 65535], [10])]


def in_parts(folder: Path, sizes: list[int], dtype: type = np.uint16) -> Shard:
    """LINES in parts of so many lines."""
    edges = np.cumsum([0, *sizes])
    for part, (a, b) in enumerate(zip(edges, edges[1:], strict=False)):
        shards.write(folder, "en.train", LINES[a:b], part, dtype)
    return shards.read(folder, "en.train")


@pytest.mark.parametrize("sizes", [[5], [2, 3], [0, 1, 1, 0, 3, 0]])
@pytest.mark.parametrize("dtype", [np.uint16, np.int32])
def test_what_was_written_is_read_in_any_number_of_parts(
    tmp_path: Path, sizes: list[int], dtype: type
) -> None:
    shard = in_parts(tmp_path, sizes, dtype)
    assert (len(shard), shard.n_tokens, shard.stream_length) == (5, 9, 14)
    assert [line.tolist() for line in shard] == [line.tolist() for line in LINES]
    for i, line in enumerate(LINES):
        np.testing.assert_array_equal(shard.line(i), line)
        assert shard.line(i).dtype == np.int32
    counts = shard.counts(65536)
    assert counts[[10, 11, 30, 65535, EOS]].tolist() == [2, 1, 1, 1, 0] and counts.sum() == 9
    joined = [t for line in LINES for t in (*line, EOS)]
    assert shard.slices(np.arange(14), 1)[:, 0].tolist() == joined
    assert shard.slices(np.array([0, 3, 11]), 5).tolist() == [
        joined[:5],
        joined[3:8],
        [*joined[11:], PAD, PAD],
    ]
    size = sum(path.stat().st_size for path in tmp_path.glob("*.tokens"))
    assert size == 14 * np.dtype(dtype).itemsize
    assert all(len(p.tokens) == 0 or isinstance(p.tokens.base, np.memmap) for p in shard.parts)


@pytest.mark.parametrize(("i", "message"), [(5, "line 5 of 5"), (-1, "line -1 of 5")])
def test_lines_outside_are_errors(i: int, message: str) -> None:
    with pytest.raises(IndexError, match=message):
        shards.of_lines(LINES).line(i)


@pytest.mark.parametrize("sizes", [[5], [2, 3], [1, 0, 1, 1, 2]])
@pytest.mark.parametrize(
    ("n", "expected"),
    [(0, []), (1, [0]), (2, [0, 2]), (3, [0, 1, 3]), (5, [0, 1, 2, 3, 4]), (9, [0, 1, 2, 3, 4])],
)
def test_lines_are_spread_over_the_text(
    tmp_path: Path, sizes: list[int], n: int, expected: list[int]
) -> None:
    spread = in_parts(tmp_path, sizes).spread_lines(n)
    assert [line.tolist() for line in spread] == [LINES[i].tolist() for i in expected]
    assert spread.n_tokens == sum(len(LINES[i]) for i in expected)


def test_the_smallest_dtype_holds_every_piece() -> None:
    assert [shards.smallest_dtype(n) for n in (500, 65536, 65537)] == [
        np.uint16,
        np.uint16,
        np.int32,
    ]


def test_a_token_that_does_not_fit_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    for token in (65536, -1):
        with pytest.raises(OverflowError, match=str(token)):
            shards.write(tmp_path, "en", [np.array([10, token])], dtype=np.uint16)
    assert not list(tmp_path.iterdir())


def test_a_part_is_whole_or_not_there(tmp_path: Path) -> None:
    in_parts(tmp_path, [2, 3])

    def lines(fail: bool) -> Iterator[np.ndarray]:
        for _ in range(shards.LINES_AT_ONCE + 1):  # some are on the disk already
            yield np.array([7])
        assert not shards.exists(tmp_path, "en.train", 1)  # while its tokens are replaced
        if fail:
            raise RuntimeError("no more text")

    with pytest.raises(RuntimeError):
        shards.write(tmp_path, "en.train", lines(fail=True), 1)
    assert shards.exists(tmp_path, "en.train", 0) and not shards.exists(tmp_path, "en.train", 1)
    assert not list(tmp_path.glob(".*"))
    assert len(shards.write(tmp_path, "en.train", lines(fail=False), 1)) == 4097
    assert len(shards.read(tmp_path, "en.train")) == 2 + 4097


def test_missing_and_damaged_shards_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no token shard 'fr.train' there"):
        shards.read(tmp_path, "fr.train")
    in_parts(tmp_path, [1, 1, 3])
    tokens = tmp_path / "en.train.00001.tokens"
    whole = tokens.read_bytes() + tokens.with_suffix(".starts.npy").read_bytes()
    tokens.write_bytes(whole[:1])
    with pytest.raises(InputError, match=r"en.train.00001.tokens: 1 bytes for 1 tokens: damaged"):
        shards.read(tmp_path, "en.train")
    tokens.unlink()
    with pytest.raises(InputError, match="'en.train' lacks en.train.00001.tokens"):
        shards.read(tmp_path, "en.train")
    starts = tokens.with_suffix(".starts.npy")
    for left in (starts.stat().st_size - 1, 7, 0):
        os.truncate(starts, left)
        with pytest.raises(InputError, match=r"en.train.00001.starts.npy: damaged"):
            shards.read(tmp_path, "en.train")
    starts.unlink()
    with pytest.raises(InputError, match="'en.train' lacks en.train.00001.starts.npy"):
        shards.read(tmp_path, "en.train")


def test_more_parts_than_files_may_be_open(tmp_path: Path) -> None:
    for part in range(200):
        shards.write(tmp_path, "en", LINES[:1], part)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/dev/fd")) + 50, hard))
    try:
        with pytest.raises(RuntimeError, match="'en' has 200 parts of two files.*: ulimit -n"):
            shards.read(tmp_path, "en")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_copies_are_found_by_name(tmp_path: Path) -> None:
    for copy in range(3):
        shards.write(tmp_path, shards.copy_name("en.train", copy), LINES[copy:])
    assert [len(shard) for shard in shards.read_copies(tmp_path, "en.train")] == [5, 4, 3]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_counting_a_large_text_does_not_keep_it_in_memory(tmp_path: Path) -> None:
    def mapped_kb() -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(x for x in lines if x.startswith("RssFile")).split()[1])

    for part in range(4):
        shards.write(tmp_path, "en", [np.full(4_000_000, 7)], part, np.uint16)  # 8 MB
    shard = shards.read(tmp_path, "en")
    before = mapped_kb()
    assert shard.counts(8).tolist() == [0] * 7 + [16_000_000]
    assert mapped_kb() - before < 12_000
