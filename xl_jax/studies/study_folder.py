"""The folder of a study: `study.json` says what is run and where each run stands.

study.json   rewritten whole at every change    runs/ROW/[PAIR/]seedN-ID/   run directories
data/        tokens, made once for all runs     runs/ROW/[PAIR/]seedN-ID.log
compiled/    programs, compiled once
"""

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xl_jax.analysis import record
from xl_jax.analysis.expected import Expected
from xl_jax.analysis.record import Record, RecordFile
from xl_jax.errors import InputError
from xl_jax.json_files import read_json, write_json

FORMAT = 1
FILE = "study.json"
STATES = ("waiting", "running", "done", "failed")


@dataclass(frozen=True)
class RunState:
    """A run as `study.json` holds it.

    Attributes:
      id: digest of what decides the training.
      flags: of `train.py`, without its folder; the command is `train.py FLAGS --workdir=FOLDER`.
      folder: the run directory, relative to the study's folder.
      state: one of `STATES`.
      stage: "train" or an evaluation's name, while the run is running or where it failed.
      seconds: of each finished stage; stages adopted from elsewhere have none.
      error: last line of the log of a run that failed.
      commit, device: of its training.
      made: names of files in eval/, without their ending, by the stage that wrote them.
      config: every field with its value.
    """

    id: str
    row: str
    pair: str
    seed: int
    flags: Sequence[str]
    folder: str
    state: str = "waiting"
    stage: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)
    error: str = ""
    commit: str = ""
    device: str = ""
    made: Mapping[str, Sequence[str]] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StudyState:
    """The content of `study.json`.

    Attributes:
      file: that defines the study, FILE or FILE:ARGUMENT; command: as it was typed.
      config, rows, pairs, seeds, evaluations, reference, expected: see `study.Study`.
      versions: of Python and of libraries; hardware: of the machine that started the runs.
    """

    title: str
    file: str
    command: str
    config: str
    rows: Mapping[str, Sequence[str]]
    pairs: Mapping[str, Sequence[str]]
    seeds: Sequence[int]
    evaluations: Mapping[str, Sequence[str]]
    reference: str
    expected: Sequence[Expected]
    versions: Mapping[str, str]
    hardware: Mapping[str, Any]
    runs: Sequence[RunState]


@dataclass(frozen=True)
class RunResults:
    """A run with what was measured of it.

    Attributes:
      files: name without its ending ("retrieval", "ner-1a2b3c4d") -> a file of eval/.
      damaged: a line for each file that cannot be read; it is left out.
    """

    run: RunState
    folder: Path
    files: Mapping[str, RecordFile]
    damaged: Sequence[str]

    @property
    def records(self) -> list[Record]:
        """Of all files, in the order of their names."""
        return [r for file in self.files.values() for r in file.records]

    def stage_of(self, file: str) -> str:
        """The stage that wrote a file: "train", or the name of an evaluation."""
        return next((name for name, made in self.run.made.items() if file in made), "train")


@dataclass(frozen=True)
class StudyResults:
    """A study with the records of its runs; those of rows without any are empty."""

    study: StudyState
    runs: Sequence[RunResults]

    def of(self, row: str, pair: str = "") -> list[RunResults]:
        """The runs of a cell, by seed."""
        return [x for x in self.runs if (x.run.row, x.run.pair) == (row, pair)]


def command(study: StudyState, run: RunState, stage: str, folder: Path) -> str:
    """What a shell would be given for a stage of a run; `folder` is the study's."""
    training = stage not in study.evaluations
    program, flags = ("train.py", run.flags) if training else ("eval.py", study.evaluations[stage])
    return shlex.join(["python", program, *flags, f"--workdir={folder / run.folder}"])


def write(folder: Path, state: StudyState) -> None:
    """Writes `study.json`, whole."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / FILE, {"format": FORMAT, **dataclasses.asdict(state)})


def read(folder: Path) -> StudyState:
    """Raises InputError: there is no study, or one that cannot be read."""
    path = folder / FILE
    if not path.exists():
        raise InputError(f"{folder} is no study: {FILE} is not there")
    found = read_json(path)
    try:
        if found["format"] != FORMAT:
            raise ValueError(f"format {found['format']}, not {FORMAT}")
        kinds: list[tuple[str, Any]] = [("runs", RunState), ("expected", Expected)]
        lists = {name: [kind(**x) for x in found[name]] for name, kind in kinds}
        fields = [f.name for f in dataclasses.fields(StudyState)]
        return StudyState(**{name: found[name] for name in fields} | lists)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is damaged or of another version: {error}") from error


def read_study(folder: Path) -> StudyResults:
    """The study with all records that can be read.

    Raises:
      InputError: see `read`; a damaged file of records is named in `damaged` instead.
    """
    study = read(folder)
    return StudyResults(study, [_results(run, folder / run.folder) for run in study.runs])


def _results(run: RunState, folder: Path) -> RunResults:
    files, damaged = {}, []
    for path in sorted((folder / "eval").glob("*.json")):
        try:
            files[path.stem] = record.read(path)
        except InputError as error:
            damaged.append(str(error))
    return RunResults(run, folder, files, damaged)
