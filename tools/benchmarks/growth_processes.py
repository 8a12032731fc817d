"""Growth of what is a process of its own at every point: its seconds, those of the cores that it
and its children took, and the highest memory of the process itself."""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tools.benchmarks import record
from tools.benchmarks.floor import bytes_per_second
from tools.benchmarks.prepare import lines_of, specs, write
from tools.benchmarks.torch_step import Shape

Record = dict[str, Any]
ROOT = Path(__file__).resolve().parents[2]
STEPS = 1000  # of a run of the study

_MEASURED = """
import json, os, re, sys, time
from pathlib import Path

def tell(start, cores):
    # Not getrusage's peak, which begins with the memory of the process that started this one.
    peak = int(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1])
    seconds, cores = time.perf_counter() - start, sum(os.times()[:4]) - cores
    print(json.dumps({"seconds": seconds, "cores_seconds": cores, "megabytes": peak * 1.024e-3}))

start, cores = time.perf_counter(), sum(os.times()[:4])
"""
_PREPARE = """
from tools.benchmarks.prepare import config
from xl_jax.prepare.pipeline import prepare
from xl_jax.prepare.workers import Processes

with Processes(int(sys.argv[4])) as run:
    prepare(config(sys.argv[1], int(sys.argv[3])), Path(sys.argv[2]), lambda _: None, run)
tell(start, cores)
"""
_STUDY = """
from xl_jax.studies.study import Study

STEPS = "--config.steps={steps}"
STUDY = Study(
    title="Growth",
    config="configs/tiny.py",
    rows={{"shared": [STEPS, "--config.eval_every={steps}", "--config.checkpoint_every={steps}"]}},
    seeds=tuple(range({runs})),
)
"""
_RUN_STUDY = """
import subprocess
subprocess.run([sys.executable, "tools/run_study.py", *sys.argv[1:]], check=True, stdout=2)
tell(start, cores)
"""


def text(args: argparse.Namespace, shape: Shape, points: Sequence[int]) -> list[Record]:
    """Preparing so many MB whole, vocabulary and report included, by one process and by two; the
    memory is that of the one. The lines of the first text again and again."""
    lines = lines_of(next(iter(specs(args.text).values())))
    rate, records = bytes_per_second(), []
    for megabytes in points:
        with tempfile.TemporaryDirectory() as place:
            write(Path(place) / "text", lines, megabytes)
            for processes, series in ((1, "1 process"), (2, "2 processes")):
                arguments = [f"{place}/text", f"{place}/data{processes}", str(shape.vocab)]
                found = _measure(_PREPARE, [*arguments, str(processes)])
                found["floor_seconds"] = 2e6 * megabytes / rate  # read and written once
                if processes > 1:
                    del found["megabytes"]
                records += _records("text", series, megabytes, found)
    return sorted(records, key=lambda x: x["series"])


def candidates(args: argparse.Namespace, shape: Shape, points: Sequence[int]) -> list[Record]:
    """Retrieval among so many sentences, as `analysis` measures it: of one core, and the floor that
    of searching alone."""
    records = []
    for number in points:
        with tempfile.TemporaryDirectory() as place:
            file = Path(place) / "candidates.json"
            sizes = [f"--words={number}", f"--width={shape.width}", f"--matmul={args.matmul}"]
            flags = ["--parts=candidates", "--threads=1", *sizes, f"--json={file}"]
            command = [sys.executable, "tools/bench.py", "analysis", *flags]
            subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
            values = {x["metric"]: x["value"] for x in record.read(file)["records"]}
        parts = {name: values[f"{name}_cores_seconds"] for name in ("encoding", "searching")}
        found = {**parts, "seconds": sum(parts.values()), "megabytes": values["candidates_peak_mb"]}
        floor = {"floor_seconds": values["floor_seconds"]}
        records += _records("candidates", "", number, found | floor)
    return records


def study(args: argparse.Namespace, shape: Shape, points: Sequence[int]) -> list[Record]:
    """A study of so many runs of configs/tiny.py, 1,000 steps each, two at a time, from nothing:
    text, training and measuring. The memory is not told: the runs are processes of their own."""
    records = []
    for number in points:
        with tempfile.TemporaryDirectory() as place:
            file = Path(place) / "growth.py"
            steps = 20 if args.smallest else STEPS
            file.write_text(_STUDY.format(steps=steps, runs=number))
            found = _measure(
                _RUN_STUDY, [f"--config={file}", f"--out={place}/study", "--parallel=2"]
            )
        del found["megabytes"]
        records += _records("runs", "", number, found)
    return records


def _measure(code: str, arguments: Sequence[str]) -> dict[str, float]:
    """What a new process with this code tells of itself.

    Raises:
      subprocess.CalledProcessError: it failed.
    """
    command = [sys.executable, "-c", _MEASURED + code, *arguments]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _records(axis: str, series: str, x: int, found: dict[str, float]) -> list[Record]:
    print(f"{axis}: {series} {x:,}: {found['seconds']:.1f} s", flush=True)
    about = {"axis": axis, "series": series, "x": x}
    return [{**about, "metric": metric, "value": value} for metric, value in found.items()]
