"""Keep what `eval.py` or `train.py` measured of a run as a file of results/.

    python tools/keep.py --workdir=runs/tiny --command='python train.py' --out=results/main_job.json

The records of every evaluation in the run directory, with the command, the commit and this machine.
To be called where and with what the run was made.
"""

if __name__ == "__main__":
    from xl_jax import stopping

    stopping.listen()  # before the imports below

import argparse
import json
from pathlib import Path
from typing import Any

from tools.benchmarks import record
from xl_jax import cli
from xl_jax.errors import InputError


def records(workdir: Path) -> list[dict[str, Any]]:
    """Those of eval/*.json.

    Raises:
      InputError: nothing was measured.
    """
    paths = sorted((workdir / "eval").glob("*.json"))
    if not paths:
        raise InputError(f"{workdir}/eval has no evaluation: python eval.py --workdir={workdir}")
    return [r for path in paths for r in json.loads(path.read_text())["records"]]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workdir", type=Path, required=True, help="the run directory")
    parser.add_argument("--command", required=True, help="the command that made the run")
    parser.add_argument("--out", type=Path, required=True, help="the file to write")
    args = parser.parse_args()
    measurement = record.about([]) | {"command": args.command}
    record.write(args.out, measurement, records(args.workdir))


if __name__ == "__main__":
    with cli.one_line_errors():
        main()
