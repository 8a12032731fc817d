"""Text files as a corpus: plain text and JSON lines, compressed or not, read in byte ranges.

A range of an uncompressed file owns the lines that begin in it, so that any number of processes can
read one large file and any cut gives the same documents.
"""

import bz2
import glob
import gzip
import itertools
import json
import lzma
import os
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

from xl_jax.errors import InputError, unknown
from xl_jax.text.documents import Document, Part, State, text_lines

BLOCK = 1 << 20  # bytes read at a time
LONGEST_LINE = 8 << 20  # bytes; a longer line is damage rather than text: dropped and counted
LONGEST_DOCUMENT = 8 << 20  # characters; a longer document is cut between two lines and counted

_RATIO = 4  # bytes of text in a byte of a compressed file, about: for parts of one size
_BLANK = " \t\r\v\f"  # what a line between two documents may hold
_DROPPED = "\u2028"  # stands for a dropped line: without text, but no blank line either


class Files:
    """The files that match a pattern, sorted by name.

    Args:
      pattern: a path with `*`, `?`, `[]` and `**`. Compressed by the ending: .gz, .bz2, .xz, .zst.
      documents: where a document ends: `line` (at every line), `blank` (at a blank line) or `file`.
      field: the text of a JSON record; one record a line is a document, its text may have several
        lines. "" reads the field `text` of .jsonl files and the other files as plain text.
      errors: what is done with a line that is not UTF-8 or not such a record, and with an empty
        file: `drop` and count, or `stop`. A line of more than LONGEST_LINE bytes is always dropped.

    Raises:
      InputError: nothing matches, all files are empty, the first record does not have the field;
        while reading, a damaged compressed file and, with `stop`, a bad line.
    """

    def __init__(
        self, pattern: str, documents: str = "line", field: str = "", errors: str = "drop"
    ) -> None:
        self._sizes = matching(pattern)
        self._by, self._field, self._stop = documents, field, errors == "stop"
        empty = [path for path, size in self._sizes.items() if not size]
        if empty and (self._stop or len(empty) == len(self._sizes)):
            raise InputError(f"corpus 'files:{pattern}': {empty[0]} is empty")
        records = [path for path, size in self._sizes.items() if size and self._is_json(path)]
        if records and documents != "line":
            raise InputError(f"{records[0]}: a record is a document: leave documents=line")
        if records:
            self._check_field(records[0])

    def parts(self, size: int) -> list[Part]:
        """A part is ranges (path, first byte, end) of files; a compressed file is one range, and so
        is any file with documents=file."""
        parts: list[list[tuple[str, int, int]]] = [[]]
        filled = 0
        for path, length in self._sizes.items():
            packed = _ending(path) in _OPENERS
            step = max(length, 1) if packed or self._by == "file" else size
            for start in range(0, max(length, 1), step):
                weight = min(step, length - start) * (_RATIO if packed else 1)
                if parts[-1] and filled + weight > size:
                    parts.append([])
                    filled = 0
                parts[-1].append((path, start, sys.maxsize if packed else start + step))
                filled += weight
        return [tuple(part) for part in parts]

    def size(self) -> int:
        return sum(n * (_RATIO if _ending(p) in _OPENERS else 1) for p, n in self._sizes.items())

    def state(self) -> State:
        return state_of(self._sizes)

    def documents(self, part: Part, counts: Counter[str]) -> Iterator[Document]:
        for path, start, end in part:
            if not self._sizes.get(path, 1):
                counts["empty_files"] += 1
                counts[f"empty_files first {path}"] = 1
            try:
                with open_bytes(path) as file:
                    reader = _Reader(path, file, start, end, self._stop, counts)
                    if self._is_json(path):
                        yield from self._records(reader, end)
                    elif self._by == "line":
                        for lines in reader.blocks(end):
                            for line in lines:
                                if line := line.strip():
                                    yield [line]
                    else:
                        yield from _gather(reader, start, end, self._by == "blank", counts)
            except _READ_ERRORS as error:
                raise InputError(f"{path}: cannot be read ({error})") from error

    def _is_json(self, path: str) -> bool:
        plain = path.removesuffix(_ending(path)) if _ending(path) in _OPENERS else path
        return bool(self._field) or _ending(plain) == ".jsonl"

    def _records(self, reader: "_Reader", end: int) -> Iterator[Document]:
        field = self._field or "text"
        for lines in reader.blocks(end):
            for number, line in enumerate(lines):
                if not line.strip():
                    continue
                try:
                    record = json.loads(line)
                except ValueError as error:
                    reader.drop("bad_records", number, f"not a JSON record ({error})")
                    continue
                text = record.get(field) if isinstance(record, dict) else None
                if not isinstance(text, str):
                    reader.drop("bad_records", number, f"no text in the field {field!r}")
                    continue
                try:
                    text.encode()  # an escape \\ud83d without its other half is no character
                except UnicodeEncodeError as error:
                    reader.drop("invalid_utf8", number, f"not UTF-8 text ({error.reason})")
                    continue
                if document := text_lines(text):
                    yield document

    def _check_field(self, path: str) -> None:
        """The first record tells a wrong field before any work is done."""
        field = self._field or "text"
        with open_bytes(path) as file:
            for lines in _Reader(path, file, 0, BLOCK, True, Counter()).blocks(BLOCK):
                for number, line in enumerate(lines, 1):
                    if line.strip():
                        try:
                            record = json.loads(line)
                        except ValueError:
                            record = None
                        if not isinstance(record, dict):
                            raise InputError(f"{path}: line {number}: not a JSON record")
                        if field not in record:
                            raise unknown(f"field in {path}: line {number}", field, record)
                        return


def matching(pattern: str) -> dict[str, int]:
    """The files that match a pattern, sorted by name, and their sizes in bytes.

    Raises:
      InputError: there is none.
    """
    paths = sorted(glob.glob(os.path.expanduser(pattern), recursive=True))
    sizes = {path: os.path.getsize(path) for path in paths if os.path.isfile(path)}
    if not sizes:
        raise InputError(f"corpus 'files:{pattern}': no file matches {pattern!r}")
    return sizes


def state_of(sizes: Mapping[str, int]) -> State:
    """What tells whether files have changed: size, and time of the last change."""
    return {path: [size, os.stat(path).st_mtime_ns] for path, size in sizes.items()}


_READ_ERRORS = (EOFError, OSError, lzma.LZMAError, zlib.error, zstd.ZstdError)

_OPENERS: dict[str, Callable[..., Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
    ".zst": zstd.open,
}


def read_lines(path: str) -> list[str]:
    """The lines of a UTF-8 text file of which every line counts, as of one of two parallel files;
    compressed or not, by its ending.

    Raises:
      InputError: it cannot be read, or a line is in another encoding (file:line).
    """
    try:
        with open_bytes(path) as file:
            content: bytes = file.read()
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except _READ_ERRORS as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    try:
        text = content.decode("utf-8-sig")  # some editors begin a file with a byte order mark
    except UnicodeDecodeError as error:
        if content.startswith(b"\x1f\x8b"):
            raise InputError(f"{path}: compressed by gzip; its name has to end in .gz") from error
        number = content.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path}:{number}: not UTF-8 text ({error.reason}); to convert it: "
            f"iconv -f ENCODING -t UTF-8 {path}"
        ) from error
    return text.removesuffix("\n").split("\n")


def _ending(path: str) -> str:
    return os.path.splitext(path)[1]


def open_bytes(path: str) -> Any:
    """The file at `path` for reading bytes, decompressed if its ending says so."""
    return _OPENERS.get(_ending(path), open)(path, "rb")


def _gather(
    reader: "_Reader", start: int, end: int, blank: bool, counts: Counter[str]
) -> Iterator[Document]:
    """Documents of several lines. Between blank lines, a range owns what lies from the first blank
    line that begins in it (or the start of the file) to the first that begins after it."""
    document: Document = []
    length = 0
    owned = not (blank and start)
    for beyond, line in itertools.chain(
        ((False, line) for lines in reader.blocks(end) for line in lines),
        ((True, line) for line in reader.beyond()),
    ):
        ends = blank and not line.strip(_BLANK)
        if beyond and (ends or not owned):
            break
        line = line.strip()
        long = length + len(line) > LONGEST_DOCUMENT
        if document and (ends or long):
            if not ends:
                counts["cut_documents"] += 1
            yield document
            document, length = [], 0
        owned = owned or ends
        if owned and line:
            document.append(line)
            length += len(line)
    if document:
        yield document


class _Reader:
    """The lines that begin in a range of an open file, decoded block by block; what it drops is
    counted and named."""

    def __init__(
        self, path: str, file: Any, start: int, end: int, stop: bool, counts: Counter[str]
    ) -> None:
        self._path, self._file, self._stop, self._counts = path, file, stop, counts
        self._line = 0  # lines read before this block
        self._named: set[str] = set()
        if start:  # at the first line that begins here or later
            file.seek(start - 1)
            start += self._skip_line(end) - 1
        self._start = self._position = start

    def blocks(self, end: int, size: int = 0) -> Iterator[list[str]]:
        """The lines that begin before byte `end`, about `size` bytes of them at a time (0 = BLOCK);
        they are whole, and those dropped leave a mark that is neither text nor blank."""
        while self._position < end:
            data = self._file.read(min(size or BLOCK, end - self._position))
            if not data:
                return
            if data[-1:] != b"\n":
                data += self._file.readline(LONGEST_LINE)
            last = data.rfind(b"\n", 0, -1) + 1
            long = len(data) - last > LONGEST_LINE
            rest = self._skip_line(sys.maxsize) if long and data[-1:] != b"\n" else 0
            self._counts["bytes"] += len(data) + rest
            self._position += len(data) + rest
            if long:
                self.drop("long_lines", data.count(b"\n", 0, last), "longer than 8 MiB", False)
                data = data[:last] + _DROPPED.encode()
            lines = self._decode(data)
            yield lines
            self._line += len(lines)

    def beyond(self) -> Iterator[str]:
        """What follows the range, line by line; counted by the range that it begins in."""
        self._counts = Counter()
        for lines in self.blocks(sys.maxsize, 1):
            yield from lines

    def drop(self, reason: str, number: int, why: str, stop: bool = True) -> None:
        """Counts a line of this block by its number in it, or raises."""
        where = f"{self._path}: line {self._line + number + 1}"
        if self._start:
            where += f" after byte {self._start}"
        if self._stop and stop:
            raise InputError(f"{where}: {why} (errors=drop leaves such lines out)")
        self._counts[reason] += 1
        if reason not in self._named:
            self._named.add(reason)
            self._counts[f"{reason} first in {where}"] = 1

    def _skip_line(self, end: int) -> int:
        """Reads to the end of a line, or over byte `end`; the number of bytes read."""
        skipped = 0
        while True:
            data = self._file.readline(BLOCK)
            skipped += len(data)
            if not data or data[-1:] == b"\n" or self._file.tell() >= end:
                return skipped

    def _decode(self, data: bytes) -> list[str]:
        data = data.removesuffix(b"\n")
        try:
            lines = data.decode().split("\n")
        except UnicodeDecodeError:
            lines = []
            for number, line in enumerate(data.split(b"\n")):
                try:
                    lines.append(line.decode())
                except UnicodeDecodeError as error:
                    self.drop("invalid_utf8", number, f"not UTF-8 text ({error.reason})")
                    lines.append(_DROPPED)
        if not self._start and not self._line:
            lines[0] = lines[0].removeprefix("\ufeff")  # some editors begin a file with it
        return lines
