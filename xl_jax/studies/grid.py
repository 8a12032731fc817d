"""The runs of a study: their ids and folders.

An id is a digest of what decides the training: the fields of the resolved config that differ from
their defaults, without those that only say where things lie or how often something is written. So a
field that is added to the code later changes no id, and a row with other flags gets another folder.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from xl_jax.config import Config, options, to_dict
from xl_jax.errors import InputError
from xl_jax.file_names import file_name
from xl_jax.json_files import fingerprint, plain
from xl_jax.runs.run_directory import RESUMABLE_FIELDS
from xl_jax.studies.study import Study

DATA = "data"  # folder of tokens, made once for all runs


@dataclasses.dataclass(frozen=True)
class StudyRun:
    """A cell of the study with one seed.

    Attributes:
      flags: of `train.py`, without its folder.
      folder: the run directory.
    """

    row: str
    pair: str
    seed: int
    id: str
    flags: tuple[str, ...]
    config: Config
    folder: Path

    @property
    def name(self) -> str:
        return ", ".join(filter(None, [self.row, self.pair, f"seed {self.seed}"]))

    @property
    def log(self) -> Path:
        """Beside the run directory."""
        return self.folder.with_name(f"{self.folder.name}.log")


def runs(study: Study, folder: Path) -> list[StudyRun]:
    """Every run, seed by seed, so that an early look has all rows.

    Raises:
      InputError: two rows that train the same.
    """
    cells = [(row, pair) for row in study.rows for pair in study.names_of_pairs]
    configs = {cell: study.config_of(*cell) for cell in cells}
    data = folder / DATA
    found, names = [], dict[str, str]()
    for seed in study.seeds:
        for row, pair in cells:
            config = configs[row, pair]
            config = dataclasses.replace(
                config, seed=seed, data=dataclasses.replace(config.data, dir=str(data))
            )
            parts = filter(None, (row, pair))
            run = StudyRun(
                row,
                pair,
                seed,
                run_id(to_dict(config)),
                (*study.flags_of(row, pair), f"--config.seed={seed}", f"--config.data.dir={data}"),
                config,
                folder.joinpath("runs", *map(file_name, parts)),
            )
            run = dataclasses.replace(run, folder=run.folder / f"seed{seed}-{run.id}")
            other = names.setdefault(run.id, run.name)
            if other != run.name:
                raise InputError(f"{other!r} and {run.name!r} train the same model: leave out one")
            found.append(run)
    return found


def run_id(config: Mapping[str, Any]) -> str:
    """Of a config as JSON, of a study or of any run directory."""
    return fingerprint(plain(decisive(config)))


def decisive(config: Mapping[str, Any]) -> dict[str, Any]:
    """The fields, by their dotted names, that decide what is trained and are not at their
    defaults."""
    defaults = {name: _default(field) for name, field in options(Config)}
    return {
        name: value
        for name, value in _flat(config, defaults)
        if not RESUMABLE_FIELDS.match(f"{name}:") and plain(value) != plain(defaults[name])
    }


def _default(field: Any) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _flat(config: Mapping[str, Any], known: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name in known:
        value: Any = config
        for part in name.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        if value is not None:
            yield name, value
