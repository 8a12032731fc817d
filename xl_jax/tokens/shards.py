"""Token shards: lines of piece numbers on disk, in one or more parts, memory-mapped when read.

A part is two files. NAME.00000.tokens holds the lines one after the other, each closed by `</s>`:
the stream of the paper as it is (section 3), so that a window is a slice. NAME.00000.starts.npy
tells where each line starts; it is written last, so a part is there when its starts are. Tokens are
uint16 where the vocabulary allows, else int32: the sizes of the two files tell which.
"""

import errno
import glob
import mmap
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int
from numpy.typing import DTypeLike

from xl_jax.atomic_files import replacing, write_array
from xl_jax.errors import InputError
from xl_jax.file_names import file_name
from xl_jax.tokens.special import EOS, PAD

LINES_AT_ONCE = 4096  # written and iterated in blocks: fast, and memory does not grow with the text
TOKENS_AT_ONCE = 1 << 20


class Part(NamedTuple):
    """Line i is `tokens[starts[i] : starts[i + 1] - 1]`; `</s>` follows it."""

    tokens: np.ndarray  # uint16 or int32[stream]
    starts: np.ndarray  # int64[lines + 1], from 0


class Shard:
    """Lines of tokens, without special ones, over all parts. A *position* counts tokens and the
    `</s>` that close lines, from the start of the first part."""

    def __init__(self, parts: Sequence[Part]):
        self.parts = tuple(parts)
        self.first_line = _edges([len(p.starts) - 1 for p in self.parts])
        self.first_position = _edges([len(p.tokens) for p in self.parts])

    def __len__(self) -> int:
        """Number of lines."""
        return int(self.first_line[-1])

    @property
    def stream_length(self) -> int:
        """Number of tokens and of the `</s>` that close lines."""
        return int(self.first_position[-1])

    @property
    def n_tokens(self) -> int:
        return self.stream_length - len(self)

    def line(self, i: int) -> Int[np.ndarray, " tokens"]:
        """The tokens of line i, int32.

        Raises:
          IndexError: there is no such line.
        """
        if not 0 <= i < len(self):
            raise IndexError(f"line {i} of {len(self)}")
        p = int(np.searchsorted(self.first_line, i, side="right")) - 1
        tokens, starts = self.parts[p]
        i -= int(self.first_line[p])
        return tokens[starts[i] : starts[i + 1] - 1].astype(np.int32)

    def __iter__(self) -> Iterator[np.ndarray]:
        """Every line in order, int32."""
        for tokens, starts in self.parts:
            for first in range(0, len(starts) - 1, LINES_AT_ONCE):
                here = starts[first : first + LINES_AT_ONCE + 1]
                block = tokens[here[0] : here[-1]].astype(np.int32)
                edges = (here - here[0]).tolist()
                for a, b in zip(edges, edges[1:], strict=False):
                    yield block[a : b - 1]

    def counts(self, size: int) -> Int[np.ndarray, " size"]:
        """How often each of the numbers 0..size-1 occurs."""
        total = np.zeros(size, np.int64)
        for tokens, _ in self.parts:
            for first in range(0, len(tokens), TOKENS_AT_ONCE):
                total += np.bincount(tokens[first : first + TOKENS_AT_ONCE], minlength=size)
            _advise(tokens, mmap.MADV_DONTNEED)  # or the whole text would stay in this process
        total[EOS] -= len(self)
        return total

    def first_lines(self, n: int) -> "Shard":
        """A view of the first n lines (of all, where there are fewer)."""
        parts = []
        for (tokens, starts), before in zip(self.parts, self.first_line.tolist(), strict=False):
            if n > before:
                starts = starts[: n - before + 1]
                parts.append(Part(tokens[: starts[-1]], starts))
        return Shard(parts)

    def spread_lines(self, n: int) -> "Shard":
        """n lines at even distances, so from everywhere in the text, copied into memory; all lines,
        not copied, where there are no more."""
        if n >= len(self):
            return self
        first, last = self.bounds(np.arange(n) * len(self) // n)
        starts = _edges(last - first + 1)
        positions = np.arange(starts[-1]) + np.repeat(first - starts[:-1], np.diff(starts))
        return Shard([Part(self.slices(positions, 1)[:, 0], starts)])

    def bounds(
        self, index: Int[np.ndarray, " n"]
    ) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
        """Positions of the first token of lines `index`, and of the `</s>` after the last one."""
        first, last = np.empty((2, len(index)), np.int64)
        for p, here in _by_part(self.first_line, index):
            i = index[here] - self.first_line[p]
            starts, offset = self.parts[p].starts, self.first_position[p]
            first[here], last[here] = starts[i] + offset, starts[i + 1] + (offset - 1)
        return first, last

    def slices(self, first: Int[np.ndarray, " n"], length: int) -> Int[np.ndarray, "n length"]:
        """`length` positions from each of `first` on, int32; `<pad>` beyond the end of the text."""
        rows = np.full((len(first), length), PAD, np.int32)
        for p, here in _by_part(self.first_position, first):
            tokens = self.parts[p].tokens
            start = first[here] - self.first_position[p]
            inside = start + length <= len(tokens)
            if not inside.all():
                for row in here[~inside]:
                    self._across(int(first[row]), rows[row])
                here, start = here[inside], start[inside]
            if len(here):
                rows[here] = np.lib.stride_tricks.sliding_window_view(tokens, length)[start]
        return rows

    def expect_random_reads(self) -> None:
        """Tells the system that windows will be read in random order. On a cold disk it
        then fetches 4 KB a window instead of 128, at twice the windows/s; reading in order from a
        cold disk gets slower."""
        for mapped in (each for part in self.parts for each in part):
            _advise(mapped, mmap.MADV_RANDOM)

    def _across(self, position: int, row: np.ndarray) -> None:
        """Fills a row that goes on in the next part, or ends with the text."""
        done = 0
        for (tokens, _), begin in zip(self.parts, self.first_position, strict=False):
            start = position + done - int(begin)
            if 0 <= start < len(tokens) and done < len(row):
                found = tokens[start : start + len(row) - done]
                row[done : done + len(found)] = found
                done += len(found)


def _advise(array: np.ndarray, advice: int) -> None:
    """Tells the system how a memory-mapped array will be used."""
    owner: Any = array
    while isinstance(owner, np.ndarray):
        owner = owner.base
    if isinstance(owner, mmap.mmap):
        owner.madvise(advice)


def _edges(sizes: Sequence[int] | np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64)


def _by_part(edges: np.ndarray, where: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """(part, which of `where` lie in it) for each part that has any."""
    if len(edges) == 2:  # a single part
        yield 0, np.arange(len(where))
        return
    part = np.searchsorted(edges, where, side="right") - 1
    for p in sorted(set(part.tolist())):
        yield p, np.flatnonzero(part == p)


def smallest_dtype(vocab_size: int) -> type:
    """uint16 where it holds every piece number below `vocab_size`, else int32."""
    return np.uint16 if vocab_size <= 1 << 16 else np.int32


def of_lines(lines: Iterable[np.ndarray]) -> Shard:
    """A shard in memory."""
    kept = list(lines)
    return Shard([Part(_closed(kept).astype(np.int32), _edges([len(x) + 1 for x in kept]))])


class Writer:
    """Writes one part, many lines at once as they come, for use in a `with`.

    A process that is killed leaves at most a `.*.tmp` file: the part is complete or not there.
    """

    def __init__(self, folder: Path, name: str, part: int = 0, dtype: DTypeLike = np.int32):
        self._tokens, self._starts = _paths(folder, name, part)
        self._dtype, self._limits = dtype, np.iinfo(dtype)
        self._edges = array("q", [0])
        self._files = ExitStack()

    def __enter__(self) -> "Writer":
        self._starts.unlink(missing_ok=True)  # of an older part, whose tokens go now
        self._file = self._files.enter_context(replacing(self._tokens))
        return self

    def add(self, lines: Sequence[np.ndarray]) -> None:
        """Raises OverflowError: a token that the part's type cannot hold."""
        self.add_stream(_closed(lines), [len(line) + 1 for line in lines])

    def add_stream(self, stream: Int[np.ndarray, " stream"], lengths: Sequence[int]) -> None:
        """The same for lines one after the other, each closed by `</s>`, which its length counts.

        Raises:
          OverflowError: as `add`.
        """
        if not len(stream):
            return
        low, high = stream.min(), stream.max()
        if low < self._limits.min or high > self._limits.max:
            raise OverflowError(f"{self._tokens}: tokens {low} to {high} as {self._dtype}")
        self._file.write(stream.astype(self._dtype).data)
        self._edges.frombytes((self._edges[-1] + _edges(lengths)[1:]).tobytes())

    def __exit__(self, *error: Any) -> None:
        self._files.__exit__(*error)
        if error[0] is None:
            write_array(self._starts, np.frombuffer(self._edges, np.int64))


def write(
    folder: Path,
    name: str,
    lines: Iterable[np.ndarray],
    part: int = 0,
    dtype: DTypeLike = np.int32,
) -> Shard:
    """Writes one part, line by line as they come, and opens it (that part alone).

    Raises:
      OverflowError: a token that `dtype` cannot hold.
      OSError: of the disk; nothing of the part is left.
    """
    lines = iter(lines)
    with Writer(folder, name, part, dtype) as writer:
        while block := list(islice(lines, LINES_AT_ONCE)):
            writer.add(block)
    return Shard([_open(*_paths(folder, name, part))])


def exists(folder: Path, name: str, part: int = 0) -> bool:
    """Whether that part was written to its end."""
    return _paths(folder, name, part)[1].exists()


def read(folder: Path, name: str) -> Shard:
    """Opens all parts of the shard `name`, without loading them.

    Raises:
      InputError: no such shard, a missing part, a damaged one.
      RuntimeError: more files than may be open.
    """
    pattern = f"{glob.escape(stem(name))}.[0-9][0-9][0-9][0-9][0-9].starts.npy"
    n = len(list(folder.glob(pattern)))
    if not n:
        raise InputError(f"{folder}: no token shard {name!r} there")
    try:
        return Shard([_open(*_paths(folder, name, part)) for part in range(n)])
    except OSError as error:
        if error.errno == errno.EMFILE:
            raise RuntimeError(
                f"{folder}: {name!r} has {n} parts of two files, more than this process may open; "
                "raise the limit and try again: ulimit -n 65536"
            ) from error
        if isinstance(error, FileNotFoundError):
            raise InputError(f"{folder}: {name!r} lacks {Path(error.filename).name}") from error
        raise


def stem(name: str) -> str:
    """What the names of the files of the shard LANGUAGE.KIND start with."""
    language, dot, kind = name.rpartition(".")
    return f"{file_name(language)}.{kind}" if dot else name


def copy_name(name: str, copy: int) -> str:
    """The shard of a differently made copy of the same text: NAME, NAME@1, NAME@2, ..."""
    return f"{name}@{copy}" if copy else name


def read_copies(folder: Path, name: str) -> list[Shard]:
    """The shard `name` and its copies, in order."""
    return [read(folder, x) for x in copies(folder, name)]


def copies(folder: Path, name: str) -> list[str]:
    """The names of the shard `name` and of its copies, in order."""
    found = [name]
    while exists(folder, copy_name(name, len(found))):
        found.append(copy_name(name, len(found)))
    return found


def _closed(lines: Sequence[np.ndarray]) -> np.ndarray:
    """The lines one after the other, each closed by `</s>`, int64."""
    close = np.array([EOS])
    parts = [x for line in lines for x in (line, close)]
    return np.concatenate([np.zeros(0, np.int64), *parts], dtype=np.int64)


def _paths(folder: Path, name: str, part: int) -> tuple[Path, Path]:
    part_stem = f"{stem(name)}.{part:05d}"
    return folder / f"{part_stem}.tokens", folder / f"{part_stem}.starts.npy"


def _open(tokens: Path, starts: Path) -> Part:
    try:
        edges = np.asarray(np.lib.format.open_memmap(starts, mode="r"))
    except ValueError as error:  # no header, or shorter than it says
        raise InputError(f"{starts}: damaged; prepare it again") from error
    n, size = int(edges[-1]), tokens.stat().st_size
    dtype = {2 * n: np.uint16, 4 * n: np.int32}.get(size)
    if dtype is None:
        raise InputError(f"{tokens}: {size} bytes for {n} tokens: damaged; prepare it again")
    if n == 0:  # an empty file cannot be mapped
        return Part(np.zeros(0, np.uint16), edges)
    return Part(np.asarray(np.memmap(tokens, dtype, mode="r")), edges)
