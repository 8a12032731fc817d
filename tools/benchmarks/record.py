"""The form of a stored measurement, results/*.json: its records, and what they depend on.

    command     as it was typed            commit      of the code; ends in + where files differed
    date        of the measurement         hardware    cpu, cores, memory, load before it, devices
    versions    of python and libraries    records     a list of flat dictionaries, see `tables`

A measurement that an earlier document only printed has `"transcribed": true` and its `source`, the
document and commit it was copied from; its hardware is what that document says.
"""

import datetime
import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xl_jax.devices.machine import commit, hardware, versions

REQUIRED = ("command", "commit", "date", "hardware", "records")

Record = dict[str, Any]


def about(command: Sequence[str], devices: Sequence[str] = ()) -> Record:
    """What the figures of a command depend on. `devices`: kinds of the accelerators that it used.

    To be called before the work: the load is that of other programs.
    """
    return {
        "command": shlex.join(command),
        "commit": commit(),
        "date": datetime.date.today().isoformat(),
        "hardware": hardware(devices),
        "versions": versions(),
    }


def write(path: Path, measurement: Record, records: Sequence[Record]) -> None:
    """One record a line, so that a change of a figure is a change of a line."""
    head = json.dumps(measurement, indent=1, ensure_ascii=False)[:-2]
    lines = ",\n  ".join(json.dumps(record, ensure_ascii=False) for record in records)
    path.write_text(f'{head},\n "records": [\n  {lines}\n ]\n}}\n', encoding="utf-8")


def read(path: Path) -> Record:
    """A stored measurement.

    Raises:
      ValueError: it does not say what it has to, or a record is not flat.
    """
    found = json.loads(path.read_text(encoding="utf-8"))
    missing = [name for name in REQUIRED if not found.get(name)]
    if found.get("transcribed") and not found.get("source"):
        missing.append("source")
    if missing:
        raise ValueError(f"{path} does not say: {', '.join(missing)}")
    for record in found["records"]:
        if any(isinstance(value, dict) for value in record.values()):
            raise ValueError(f"{path}: {record} is not flat")
    return found
