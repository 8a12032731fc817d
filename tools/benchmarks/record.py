"""The form of a stored measurement, results/*.json: its records, and what they depend on.

    command     as it was typed            commit      of the code; ends in + where files differed
    date        of the measurement         hardware    cpu, cores, memory, load before it, devices
    versions    of python and libraries    records     a list of flat dictionaries, see `tables`

A measurement that an earlier document only printed has `"transcribed": true` and its `source`, the
document and commit it was copied from; its hardware is what that document says.
"""

import datetime
import importlib.metadata
import json
import os
import platform
import re
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = ("jax", "jaxlib", "flax", "optax", "numpy", "torch", "transformers", "faiss-cpu")
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


def commit(root: Path = ROOT) -> str:
    """The short name of the checked out commit, with a + where tracked files differ from it; ""
    without git."""

    def git(*arguments: str) -> str:
        call = ["git", "-C", str(root), *arguments]
        done = subprocess.run(call, capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "--short", "HEAD") + "+" * bool(changed)
    except FileNotFoundError:
        return ""


def hardware(devices: Sequence[str] = ()) -> Record:
    """Processor, cores that this process may use, memory, load of the last minute, accelerators."""
    cpuinfo = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.+)", cpuinfo.read_text() if cpuinfo.exists() else "")
    affinity = getattr(os, "sched_getaffinity", None)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": model[1] if model else platform.processor(),
        "cores": len(affinity(0)) if affinity else os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "load_average": round(os.getloadavg()[0], 2),
        "devices": list(devices),
    }


def versions() -> dict[str, str]:
    """Of Python and of those `LIBRARIES` that are installed."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


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
