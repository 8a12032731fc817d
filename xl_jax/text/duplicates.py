"""Lines that a corpus has twice: over the whole corpus only the first of equal lines is kept.

Three steps, each in parallel over independent pieces and with the same outcome in any order:
`write_hashes` for every part, then `mark` for every range of hashes (as many ranges as parts, so
that a range takes about the memory of a part), then `Dropped` while a part is read again.
64 bits of hash stand for a line: among 10^9 different lines the chance of a wrong match is 3 %.
"""

import glob
import hashlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from xl_jax.atomic_files import write_array
from xl_jax.file_names import file_name
from xl_jax.text.documents import Document

_HASH = np.dtype([("hash", "<u8"), ("line", "<u4")])  # line: its number in the part
_MARK = np.dtype([("part", "<u4"), ("line", "<u4")])


def write_hashes(folder: Path, language: str, part: int, documents: Iterable[Document]) -> None:
    """Writes the hashes of a part's lines, sorted, with their line numbers."""
    lines = (line.encode() for document in documents for line in document)
    digests = b"".join([hashlib.blake2b(line, digest_size=8).digest() for line in lines])
    hashes = np.frombuffer(digests, "<u8")
    order = np.argsort(hashes, kind="stable")
    result = np.empty(len(hashes), _HASH)
    result["hash"], result["line"] = hashes[order], order
    write_array(_hashes(folder, language, part), result)


def mark(folder: Path, language: str, parts: int, index: int) -> int:
    """Writes which lines of all parts repeat an earlier one, for one of `parts` ranges of hashes;
    returns how many there are."""
    low, high = (2**64 * i // parts for i in (index, index + 1))
    found = []
    for part in range(parts):
        every = np.load(_hashes(folder, language, part), mmap_mode="r")
        start = np.searchsorted(every["hash"], np.uint64(low))
        end = np.searchsorted(every["hash"], np.uint64(high - 1), side="right")
        found.append(np.array(every[start:end]))
    lines = np.concatenate(found)
    repeats = np.ones(len(lines), bool)
    repeats[np.unique(lines["hash"], return_index=True)[1]] = False  # the first of each
    marks = np.empty(len(lines), _MARK)
    marks["part"] = np.repeat(np.arange(parts), [len(x) for x in found])
    marks["line"] = lines["line"]
    write_array(_marks(folder, language, index), marks[repeats])
    return int(repeats.sum())


class Dropped:
    """Drops the marked lines from the documents of one part, called in their order."""

    def __init__(self, folder: Path, language: str, part: int) -> None:
        lines = []
        for path in sorted(folder.glob(f"{glob.escape(file_name(language))}.marks.*.npy")):
            marks = np.load(path, mmap_mode="r")
            start, end = np.searchsorted(marks["part"], [part, part + 1])
            lines.append(marks["line"][start:end])
        self._lines = set(np.concatenate(lines).tolist()) if lines else set()
        self._next = 0

    def __call__(self, document: Document, counts: Counter[str]) -> Document:
        """The lines that are kept, maybe none; the others are counted as `duplicates`."""
        first = self._next
        self._next += len(document)
        kept = [line for i, line in enumerate(document, first) if i not in self._lines]
        if len(kept) < len(document):
            counts["duplicates"] += len(document) - len(kept)
        return kept


def _hashes(folder: Path, language: str, part: int) -> Path:
    return folder / f"{file_name(language)}.hashes.{part:05d}.npy"


def _marks(folder: Path, language: str, index: int) -> Path:
    return folder / f"{file_name(language)}.marks.{index:05d}.npy"
