"""Keep what was measured of a run, or tables of a study's report, as a file of results/.

    python tools/keep.py --workdir=runs/tiny --command='python train.py' --out=results/main_job.json
    python tools/keep.py --table studies/x/report/tables/{table1,masks_1}.csv \\
      --command='python tools/run_study.py --config=configs/x.py' --out=results/x.json

The records of every evaluation in the run directory, or a record a number of the tables, with the
command, the commit and this machine. To be called where and with what the run was made.
"""

if __name__ == "__main__":
    from xl_jax import stopping

    stopping.listen()  # before the imports below

import csv
from collections import Counter
from pathlib import Path
from typing import Any

from tools.benchmarks import record
from xl_jax import cli, mirror
from xl_jax.analysis.record import read_all
from xl_jax.errors import InputError


def records(workdir: str | Path) -> list[dict[str, Any]]:
    """Those of eval/*.json.

    Raises:
      InputError: nothing was measured, or a file is damaged.
    """
    paths = sorted((mirror.opened(workdir) / "eval").glob("*.json"))
    if not paths:
        raise InputError(f"{workdir}/eval has no evaluation: python eval.py --workdir={workdir}")
    return [r.to_json() for r in read_all(paths)]


def of_table(path: Path) -> list[dict[str, Any]]:
    """A record of each number of a report's table: row, metric (the column), value; its standard
    deviation and 95 % interval where there are several seeds. Cells of words are left out.

    Raises:
      InputError: its lines are not named by their row alone.
    """
    from xl_jax.report.formats.csv_files import BESIDE  # this takes a while

    with path.open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    names = [title for title in (lines or [{"row": ""}])[0] if title != "group"]
    if names[0] != "row":
        raise InputError(f"{path}: its lines are named by {names[0]!r}, not by 'row'")
    for row, times in Counter(line["row"] for line in lines).items():
        if times > 1:
            raise InputError(f"{path}: row {row!r} is there {times} times, so no record tells them")
    found = []
    for line in lines:
        for column, text in line.items():
            name, _, ending = column.rpartition(": ")
            if column in ("group", "row") or not text or (name in line and ending in BESIDE):
                continue
            try:
                value = float(text)
            except ValueError:  # an interval, the name of a data set
                continue
            given = {x: line.get(f"{column}: {x}") for x in BESIDE}
            spread = {x: float(number) for x, number in given.items() if number}
            found.append({"row": line["row"], "metric": column, "value": value, **spread})
    return found


def main() -> None:
    parser = cli.ArgumentParser(__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--workdir", help="the run directory")
    source.add_argument("--table", type=Path, nargs="+", help="tables of a report, as CSV")
    parser.add_argument("--command", required=True, help="the command that made it")
    parser.add_argument("--out", type=Path, required=True, help="the file to write")
    args = parser.parse_args()
    measurement = record.about([]) | {"command": args.command}
    found = sum(map(of_table, args.table), []) if args.table else records(args.workdir)
    record.write(args.out, measurement, found)


if __name__ == "__main__":
    with cli.one_line_errors():
        main()
