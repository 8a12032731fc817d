"""A measured value and all that it depends on, flat, as the files in eval/ hold it."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from xl_jax.errors import InputError
from xl_jax.json_files import fingerprint, plain, read_json, write_json


@dataclasses.dataclass(frozen=True)
class Record:
    """One value. Rates are in 0..1. None or "": does not apply.

    Attributes:
      metric: what was measured.
      source, target: languages.
      layer: 0 is the embeddings.
      low, high: the value's 95 % interval over test items.
      chance: what a guess would score.
      n: number of test items.
      data: the test items' name.
      model: trained, untrained, or untrained target (a trained source beside random encoders).
      seed, step: of the run.
      extras: what the metric's task adds, under names of its own.
    """

    metric: str
    value: float
    source: str = ""
    target: str = ""
    layer: int | None = None
    low: float | None = None
    high: float | None = None
    chance: float | None = None
    n: int | None = None
    data: str = ""
    model: str = ""
    seed: int | None = None
    step: int | None = None
    extras: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def get(self, name: str, default: Any = None) -> Any:
        """A field or an extra by its name; `default` where it does not apply."""
        value = getattr(self, name) if name in _FIELDS else self.extras.get(name)
        return default if value is None or value == "" else value

    def has(self, **wanted: Any) -> bool:
        """Whether all these fields and extras have these values; None: does not apply."""
        return all(self.get(name) == value for name, value in wanted.items())

    def to_json(self) -> dict[str, Any]:
        """Flat, without what does not apply."""
        fields = {name: self.get(name) for name in _FIELDS}
        return {k: v for k, v in fields.items() if v is not None} | dict(self.extras)

    @classmethod
    def from_json(cls, flat: Mapping[str, Any]) -> "Record":
        """Raises ValueError: not a record."""
        if not isinstance(flat, Mapping) or not {"metric", "value"} <= flat.keys():
            raise ValueError("a record needs metric and value")
        fields = {k: v for k, v in flat.items() if k in _FIELDS}
        for name, value in fields.items():
            kind = str if name in _TEXTS else (int, float)
            if not isinstance(value, kind) and not (value is None and name != "value"):
                raise ValueError(f"{name} = {value!r}")
        return cls(**fields, extras={k: v for k, v in flat.items() if k not in _FIELDS})


DIGEST = "digest"  # of all else in a file of records
CONTENT = "content"  # in its request: digests of data, which may change under the same name
_TEXTS = ("metric", "source", "target", "data", "model")
_FIELDS = tuple(f.name for f in dataclasses.fields(Record) if f.name != "extras")


class RecordFile(NamedTuple):
    """The content of one eval/*.json: whose records, and what they depend on."""

    run: str
    task: str
    request: Mapping[str, Any]
    records: list[Record]


def write(path: Path, file: RecordFile) -> None:
    """Writes it whole or not at all, with a digest of its content, and makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    head = {"run": file.run, "task": file.task, "asked": file.request}
    content = plain({**head, "records": [r.to_json() for r in file.records]})
    write_json(path, {**content, DIGEST: fingerprint(content, 64)})


def read(path: Path) -> RecordFile:
    """A file of records.

    Raises:
      InputError: it is missing or damaged. Files of earlier versions have no digest.
    """
    flat = read_json(path)
    try:
        digest = flat.pop(DIGEST, None)
        if digest not in (None, fingerprint(flat, 64)):
            raise ValueError("its content is not what was written (digests differ)")
        records = [Record.from_json(r) for r in flat["records"]]
        return RecordFile(flat["run"], flat["task"], flat.get("asked", {}), records)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is damaged: {error}") from error


def finished(
    path: Path,
    request: Mapping[str, Any],
    log: Callable[[str], None],
    content: Mapping[str, Any] | None = None,
) -> list[Record]:
    """The records of an earlier evaluation; none where there is no file, it is damaged (which is
    logged), or it answers another request.

    Args:
      content: digests of the data, where `CONTENT` of the request tells them. Data that have
        changed since are logged, and there are no records; files of earlier versions do not tell.
    """
    if not path.exists():
        return []
    try:
        file = read(path)
    except InputError as error:
        log(f"{error}: measured again")
        return []
    earlier = dict(file.request)
    there = earlier.pop(CONTENT, None)
    if earlier != plain(request):
        return []
    if content is not None and there not in (None, plain(content)):
        log(f"{path}: the data have changed since: measured again")
        return []
    return file.records


def read_all(paths: Iterable[Path]) -> list[Record]:
    """The records of several files, in their order. Raises InputError: see `read`."""
    return [record for path in paths for record in read(path).records]
