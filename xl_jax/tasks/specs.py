"""Labelled data sets by a short spec, as corpora are named (see `corpora`):

files:GLOB#key=value,key=value              text files, in the order of their names; or parquet
hf:REPO[/CONFIG]:SPLIT#revision=COMMIT      a set of the Hugging Face Hub, see `text.hub`
tfds:NAME/CONFIG[:VERSION]:SPLIT#key=value  a set of TensorFlow Datasets, read without TensorFlow
synthetic:SIDE#key=value                    a generated language (tagging, NER; see `generated`)

Keys of every spec: skip = N, without the first N items; take = N, only the first N of the rest.
Readers add theirs.
"""

import glob
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar

from xl_jax.errors import InputError, unknown

T = TypeVar("T")
SCHEMES = ("files", "hf", "tfds")  # of every task
PARTS = ("skip", "take")


@dataclass(frozen=True)
class Spec:
    """A parsed spec; `text` is the whole of it, for messages."""

    text: str
    scheme: str
    path: str
    keys: dict[str, str]

    @property
    def has_records(self) -> bool:
        """The data are records with named columns (see `records`), not lines of text."""
        return self.scheme in ("hf", "tfds") or self.path.endswith(".parquet")

    def take(self, items: Iterable[T]) -> list[T]:
        """The items that are asked for.

        Raises:
          InputError: there is none.
        """
        for name in PARTS:
            if not self.keys.get(name, "0").isdigit():
                raise InputError(f"{self.text}: {name} = {self.keys[name]!r} is not a number")
        first = int(self.keys.get("skip", 0))
        end = first + int(self.keys["take"]) if "take" in self.keys else None
        kept = list(islice(items, first, end))
        if not kept:
            raise InputError(f"{self.text}: no item")
        return kept


def parse(
    text: str, keys: Sequence[str] = (), further: Mapping[str, Sequence[str]] | None = None
) -> Spec:
    """A spec in its parts.

    Args:
      keys: of this reader's `SCHEMES`, beside `PARTS`.
      further: schemes that only this reader knows, and their keys.

    Raises:
      InputError: an unknown scheme or key.
    """
    scheme, found, rest = text.partition(":")
    schemes = dict.fromkeys(SCHEMES, keys) | {"hf": ("revision",)} | dict(further or {})
    if not found or scheme not in schemes:
        raise unknown(f"scheme of the data {text!r}", scheme, schemes)
    keys = schemes[scheme]
    path, _, tail = rest.partition("#")
    values = {}
    for item in filter(None, tail.split(",")):
        name, found, value = item.partition("=")
        if not found or name not in (*PARTS, *keys):
            raise unknown(f"key in the data {text!r}", name, (*PARTS, *keys))
        values[name] = value
    return Spec(text, scheme, path, values)


def files(spec: Spec) -> list[Path]:
    """Raises InputError: no file matches."""
    paths = sorted(map(Path, glob.glob(os.path.expanduser(spec.path), recursive=True)))
    if not paths:
        raise InputError(f"{spec.text}: no file matches {spec.path!r}")
    return paths


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """(number from 1, text without its end) of every line of a UTF-8 file.

    Raises:
      InputError: a line that is not UTF-8 (file:line).
    """
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            try:
                text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise InputError(f"{path}:{number}: not UTF-8 ({error.reason})") from error
            yield number, text.rstrip("\r\n")


Names = Callable[[str], list[str]]  # the names of the classes of a column of numbers; [] = none


def records(spec: Spec) -> tuple[Names, Iterator[dict[str, Any]]]:
    """(names of classes, records) of data that have them (`Spec.has_records`).

    Raises:
      InputError: no split named; see `hub.HubSet`, `tfds.Examples`.
    """
    # Each takes its time to import: not for data of plain text.
    if spec.scheme == "files":
        from xl_jax.text import parquet

        paths = [str(path) for path in files(spec)]
        with parquet.opened(paths[0]) as file:
            metadata = file.schema_arrow.metadata
        return partial(parquet.class_names, metadata), chain.from_iterable(map(parquet.rows, paths))
    if not re.search(r":\D", spec.path):
        raise InputError(f"{spec.text}: which split? name it as in {spec.scheme}:{spec.path}:test")
    if spec.scheme == "hf":
        found = hub_set(spec.path, spec.keys.get("revision", ""))
        return found.class_names, found.rows()
    from xl_jax.text.tfds import Examples, class_names

    examples = Examples(spec.path)
    decode = examples.features.deserialize_example_np
    return partial(class_names, examples.features), map(decode, examples.records(0, len(examples)))


@lru_cache(maxsize=64)
def hub_set(path: str, revision: str) -> Any:
    """A set of the Hub, looked up once in a process."""
    from xl_jax.text.hub import HubSet

    return HubSet(path, revision)


def version(text: str) -> str:
    """What follows the spec of a set of the Hub in a log: the commit; "" for other data."""
    if not text.startswith("hf:"):
        return ""
    spec = parse(text)
    return f" at {hub_set(spec.path, spec.keys.get('revision', '')).commit}"


def column(spec: Spec, row: Mapping[str, Any], *names: str) -> Any:
    """What a record has under the first of the names that it has.

    Raises:
      InputError: it has none of them.
    """
    for name in names:
        if row.get(name) is not None:
            return row[name]
    raise unknown(f"column in {spec.text}, wanted", " or ".join(names), row)


def label(value: Any, names: Sequence[str]) -> str:
    """The class of a record: a number among the names, or a text; "-" = no gold label."""
    if isinstance(value, (str, bytes)):
        return text(value)
    return names[int(value)] if 0 <= int(value) < len(names) else "-"


def text(value: Any) -> str:
    """A string out of what a record has: bytes of TFDS, or a string."""
    return value.decode() if isinstance(value, bytes) else str(value)
