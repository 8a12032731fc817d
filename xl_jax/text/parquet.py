"""Parquet files as a corpus: a record is a document, row groups are the parts.

pyarrow is imported where it is used: it takes a quarter of a second.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import IO, Any

from xl_jax.errors import InputError, unknown
from xl_jax.text.documents import Document, Part, State, text_lines
from xl_jax.text.wiki40b import without_marks

AT_ONCE = 64  # records decoded at a time
BUFFER = 1 << 20  # bytes of a column read at a time

Open = Callable[[str], Any]  # the file of a name, for reading bytes anywhere in it


def open_file(path: str) -> IO[bytes]:
    return open(path, "rb")


@dataclass(frozen=True)
class Group:
    """A row group of a file."""

    file: str
    number: int
    bytes: int  # of the text, unpacked; where texts repeat it is stored once, so it may be less


class Parquet:
    """The records of parquet files, in order.

    Args:
      where: what messages call it.
      files: gives their names, in order.
      field: the column of text, nested ones as `a/b`; "" = `text`, or else the only one.
      stop: a record without text, or whose text is not UTF-8, is an error; otherwise it is counted.
      state: what tells whether the text has changed, see `Source`.
      open: opens a file by its name.

    Wiki-40B's structure marks are dropped, see `wiki40b`. Nothing is read before it is needed.

    Raises:
      InputError: at the first use: no such column of text; a damaged file.
    """

    def __init__(
        self,
        where: str,
        files: Callable[[], Sequence[str]],
        field: str = "",
        stop: bool = False,
        state: Callable[[], State] = dict,
        open: Open = open_file,
    ) -> None:
        self._where, self._files, self._field, self._stop = where, files, field, stop
        self._open, self.state = open, state

    def parts(self, size: int) -> list[Part]:
        """A part is row groups (file, number), never a piece of one."""
        parts: list[list[tuple[str, int]]] = [[]]
        filled = 0
        for group in self._groups:
            if parts[-1] and filled + group.bytes > size:
                parts.append([])
                filled = 0
            parts[-1].append((group.file, group.number))
            filled += group.bytes
        return [tuple(part) for part in parts]

    def size(self) -> int:
        return sum(group.bytes for group in self._groups)

    def documents(self, part: Part, counts: Counter[str]) -> Iterator[Document]:
        for file, number in part:
            named: set[str] = set()
            for row, raw in enumerate(self._texts(file, number)):
                try:
                    text = (raw or b"").decode()
                    reason = "" if raw is not None else "bad_records"
                except UnicodeDecodeError:
                    text, reason = "", "invalid_utf8"
                if reason:
                    where = f"{file}: row group {number}, row {row}"
                    if self._stop:
                        why = "no text" if raw is None else "not UTF-8 text"
                        raise InputError(f"{where}: {why} in {self.column!r}")
                    counts[reason] += 1
                    if reason not in named:
                        counts[f"{reason} first in {where}"] = 1
                        named.add(reason)
                counts["bytes"] += len(raw or b"")
                if document := text_lines(without_marks(text)):
                    yield document

    @cached_property
    def column(self) -> str:
        """The path of the column of text, with dots."""
        with opened(self._files()[0], self._open) as file:
            return text_column(self._where, file.schema, self._field)

    @cached_property
    def _groups(self) -> list[Group]:
        groups = []
        for name in self._files():
            with opened(name, self._open) as file:
                index = _index(file.schema, self.column)
                if index is None:
                    raise InputError(f"{name}: no column {self.column!r}; the first file has it")
                for number in range(file.num_row_groups):
                    chunk = file.metadata.row_group(number).column(index)
                    groups.append(Group(name, number, chunk.total_uncompressed_size))
        return groups

    def _texts(self, name: str, group: int) -> Iterator[bytes | None]:
        import pyarrow

        with opened(name, self._open) as file:
            for batch in file.iter_batches(
                AT_ONCE, row_groups=[group], columns=[self.column], use_threads=False
            ):
                array = batch.column(0)
                for key in self.column.split(".")[1:]:
                    names = [x.name for x in array.type]
                    array = array.flatten()[names.index(key)]  # empty where the struct is
                if isinstance(array, pyarrow.DictionaryArray):
                    array = array.dictionary_decode()
                yield from array.cast(pyarrow.large_binary()).to_pylist()


class opened:
    """A parquet file for a `with`; what is wrong with it is one line, here and while it is read."""

    def __init__(self, name: str, open: Open = open_file) -> None:
        self._name, self._open = name, open

    def __enter__(self) -> Any:
        import pyarrow.parquet

        self._file = self._open(self._name)
        try:
            return pyarrow.parquet.ParquetFile(self._file, buffer_size=BUFFER, pre_buffer=False)
        except (pyarrow.ArrowException, OSError) as error:
            self._file.close()
            raise self._damaged(error) from error

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        import pyarrow

        self._file.close()
        if isinstance(error, (pyarrow.ArrowException, OSError, UnicodeDecodeError)):
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> InputError:
        return InputError(f"{self._name}: cannot be read as parquet ({error})")


def rows(name: str, open: Open = open_file) -> Iterator[dict[str, Any]]:
    """The records of a file."""
    with opened(name, open) as file:
        for batch in file.iter_batches(AT_ONCE, use_threads=False):
            yield from batch.to_pylist()


def text_column(where: str, schema: Any, field: str) -> str:
    """The path of the requested column of text; "" = `text`, or else the only one.

    Raises:
      InputError: there is none of that name, or several and none is requested.
    """
    columns = [schema.column(i) for i in range(len(schema))]
    known = [
        x.path.replace(".", "/")
        for x in columns
        if x.logical_type.type == "STRING" and not x.max_repetition_level
    ]
    if not field and "text" not in known and len(known) != 1:
        raise InputError(f"{where}: field = which column? texts: {', '.join(known) or 'none'}")
    field = field or ("text" if "text" in known else known[0])
    if field not in known:
        raise unknown(f"column of text in {where}", field, known)
    return field.replace("/", ".")


def _index(schema: Any, column: str) -> int | None:
    return next((i for i in range(len(schema)) if schema.column(i).path == column), None)


def class_names(metadata: Mapping[bytes, bytes] | None, column: str) -> list[str]:
    """The names of the classes of a column of numbers, or of lists of them, by the metadata that
    `datasets` writes into a file's schema; [] = none."""
    found = (metadata or {}).get(b"huggingface")
    feature = json.loads(found)["info"]["features"].get(column) if found else None
    while isinstance(feature, list) or (isinstance(feature, dict) and "feature" in feature):
        feature = feature[0] if isinstance(feature, list) else feature["feature"]
    return list(feature.get("names", ())) if isinstance(feature, dict) else []
