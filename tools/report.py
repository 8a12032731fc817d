"""Write the report of a study, or of runs: a page, Markdown, LaTeX, CSV, and every figure.

    python tools/report.py --study=studies/table1-tiny
    python tools/report.py --runs=runs/shared,runs/private --out=report

It reads study.json and what the folders of the runs hold, computes no measure and starts nothing.
What is missing is shown as missing. What it writes: docs/report.md.
"""

if __name__ == "__main__":
    from xl_jax import stopping

    stopping.listen()  # before the imports below

import dataclasses
import json
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from xl_jax import cli, mirror
from xl_jax.errors import InputError, printable

if TYPE_CHECKING:
    from xl_jax.analysis.record import Record, RecordFile
    from xl_jax.report.study_records import RunRecords, StudyRecords
    from xl_jax.studies.study_folder import RunResults

cli.define_folder("study", "Folder of a study: the one that holds study.json.")
RUNS = flags.DEFINE_list("runs", [], "Run directories, in place of a study.")
REFERENCE = flags.DEFINE_string(
    "reference",
    None,
    "Row that differences are taken from (default: the study's; none for --runs).",
)
TITLE = flags.DEFINE_string("title", None, "Title of the report (default: the study's).")
cli.define_folder("out", "Where to write (default: report/ in the study's folder, or ./report).")


def main() -> None:
    study = flags.FLAGS.study
    if bool(study) == bool(RUNS.value):
        raise InputError("give --study=FOLDER or --runs=FOLDER,FOLDER")
    out = Path(flags.FLAGS.out or (Path(study) / "report" if study else "report"))
    cli.check_folder("out", out)
    found = of_study(Path(study)) if study else of_runs([mirror.opened(x) for x in RUNS.value])
    if TITLE.value is not None:
        found = dataclasses.replace(found, title=TITLE.value)
    if REFERENCE.value is not None:
        names = [row.name for row in found.rows]
        if REFERENCE.value not in names:
            raise InputError(f"--reference={REFERENCE.value!r}: rows are {', '.join(names)}")
        found = dataclasses.replace(found, reference=REFERENCE.value)
    command = shlex.join(["python", *sys.argv])
    found = dataclasses.replace(found, report_command=command)
    if not any(run.records for run in found.runs):
        raise InputError(f"{study or ', '.join(RUNS.value)}: nothing has been measured yet")
    for note in [*found.notes, *(f"{run.name}: {n}" for run in found.runs for n in run.notes)]:
        print(printable(note), file=sys.stderr)

    from xl_jax.report import study_report

    for path in study_report.write(found, out):
        print(path)


def of_study(folder: Path) -> "StudyRecords":
    """Raises InputError: there is no study."""
    from xl_jax.report.study_records import Row, StudyRecords
    from xl_jax.studies import study_folder
    from xl_jax.studies.published import TITLES

    results = study_folder.read_study(folder)
    study = results.study
    return StudyRecords(
        study.title,
        [
            Row(name, TITLES.get(name, ""), group, tuple(study.rows[name]))
            for name, group in groups_of(study.rows).items()
        ],
        [_run(x, study_folder.command(study, x.run, "train", folder)) for x in results.runs],
        study.reference or next(iter(study.rows)),
        expected=study.expected,
        command=study.command,
        facts=_facts(
            {
                "study": study.file,
                "commit": sorted({x.run.commit for x in results.runs if x.run.commit}),
                "hardware": study.hardware,
                "versions": study.versions,
            }
        ),
    )


def groups_of(rows: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """row -> the group that its flags put it in, "" for all where they are of one group."""
    found = {}
    for row, given in rows.items():
        last = dict(flag.partition("=")[::2] for flag in given)
        shared = last.get("--config.sharing", "all_shared") == "all_shared"
        equal = last.get("--config.private_init") == "equal"
        private = "private parts, equal starting values" if equal else "private parts"
        found[row] = "everything shared" if shared else private
    return found if len(set(found.values())) > 1 else dict.fromkeys(found, "")


def _run(results: "RunResults", command: str) -> "RunRecords":
    from xl_jax.report.study_records import RunRecords

    run = results.run
    training, cut = training_of(results.folder)
    failed = [f"failed: {run.error}"] if run.state == "failed" and run.error else []
    damaged = [f"{line}; left out" for line in results.damaged]
    return RunRecords(
        run.row,
        run.seed,
        run.pair,
        str(results.folder),
        run.state,
        [
            record
            for name, file in results.files.items()
            for record in tagged(file, "" if _is_curve(name) else results.stage_of(name))
        ],
        training,
        command,
        [*failed, *damaged, *cut],
    )


def _is_curve(name: str) -> bool:
    """Whether a file of eval/ holds every checkpoint: its last one was measured as training did,
    and a name of its own would part it from those."""
    return name.startswith("steps-")


def _facts(given: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    for name, value in given.items():
        if isinstance(value, Mapping):
            value = [f"{k} {', '.join(v) if isinstance(v, list) else v}" for k, v in value.items()]
        found[name] = value if isinstance(value, str) else ", ".join(map(str, value))
    return {name: text for name, text in found.items() if text}


def of_runs(folders: Sequence[Path]) -> "StudyRecords":
    """Rows are named by what their configs differ in.

    Raises:
      InputError: no run directory; two of one row and seed.
    """
    from xl_jax.json_files import read_json

    configs = {}
    for folder in folders:
        if not (folder / "config.json").exists():
            raise InputError(f"{folder} is no run directory: it has no config.json")
        configs[folder] = read_json(folder / "config.json")

    from xl_jax.report.study_records import Row, StudyRecords
    from xl_jax.studies.grid import decisive

    decided = {folder: dict(_flat(decisive(config))) for folder, config in configs.items()}
    names = dict.fromkeys(n for fields in decided.values() for n in fields if n != "seed")
    varying = [n for n in names if len({repr(fields.get(n)) for fields in decided.values()}) > 1]
    rows: dict[str, Row] = {}
    runs, taken = [], dict[tuple[str, int], Path]()
    for folder, fields in decided.items():
        row = row_name(fields, varying)
        rows.setdefault(row, Row(row))
        seed = int(configs[folder].get("seed", 0))
        other = taken.setdefault((row, seed), folder)
        if other != folder:
            raise InputError(f"{other} and {folder} train the same model: leave out one")
        runs.append(_loose(folder, row, seed))
    return StudyRecords("Runs", list(rows.values()), runs)


def _flat(fields: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in fields.items():
        if isinstance(value, Mapping):
            yield from _flat({f"{name}.{k}": x for k, x in value.items()})
        else:
            yield name, value


def row_name(fields: Mapping[str, Any], varying: Iterable[str]) -> str:
    """The mask, and the other fields that differ between runs where they are not at their
    defaults."""
    parts = [_text(fields.get("sharing", "all_shared"))]
    parts += [f"{n}={_text(fields[n])}" for n in varying if n in fields and n != "sharing"]
    return ", ".join(parts)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _loose(folder: Path, row: str, seed: int) -> "RunRecords":
    from xl_jax.analysis import record
    from xl_jax.report.study_records import RunRecords

    records, notes = [], []
    for path in sorted((folder / "eval").glob("*.json")):
        try:
            records += tagged(record.read(path))
        except InputError as error:
            notes.append(f"{error}; left out")
    training, cut = training_of(folder)
    state = "done" if records else "not measured"
    return RunRecords(row, seed, "", str(folder), state, records, training, "", [*notes, *cut])


def tagged(file: "RecordFile", evaluation: str = "") -> list["Record"]:
    """The records of a file; those of a trained task with its name, for many have one metric, and
    with that of the study's evaluation."""
    found = []
    for record in file.records:
        more = {"evaluation": evaluation} if evaluation not in ("", "train") else {}
        if record.get("kind"):
            more["task"] = file.task if record.layer is None else f"{file.task}, frozen layers"
        found.append(dataclasses.replace(record, extras={**record.extras, **more}))
    return found


def training_of(folder: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """The lines of metrics.jsonl, and a note if some cannot be read."""
    path = folder / "metrics.jsonl"
    if not path.exists():
        return [], []
    found, cut = [], 0
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            line = json.loads(text)
            found.append({**line, "step": int(line["step"])})
        except (ValueError, KeyError, TypeError):
            cut += 1
    return found, [f"{path}: {cut} damaged lines; left out"] if cut else []


if __name__ == "__main__":
    cli.run(main, __doc__)
