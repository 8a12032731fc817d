"""What each host of a pod does for its input, without the pod: 10^9 windows of 100 languages.

    python tools/bench.py pod --json=results/pod_input.json

64 hosts of 4 chips: slots over 64, the rows of a slot over a host's 4. The text is holes in sparse
files, so that the index, the order of the windows and reading are as with text, and no disk is
needed. Told of one host, in a process of its own: memory that its sampler adds (pages of the text
do not count), seconds to start, of a step, and of the first step after a resumption.
"""

import argparse
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tools.benchmarks import record
from tools.benchmarks.torch_step import Shape
from xl_jax.batches.sampler import Batches
from xl_jax.batches.windows import Stream
from xl_jax.config import Batch
from xl_jax.tokens.shards import Part, Shard

LENGTH, HOSTS, STEPS, RESUMED = 256, 64, 50, 400_000
BATCH = Batch(slots=64, rows=96, by="tokens")


def text(path: Path, windows: int, parts: int) -> Shard:
    """`windows` windows of zeros, in parts that are mapped as those of a corpus are."""
    path.touch()
    n = windows * LENGTH // parts
    with path.open("r+b") as file:
        file.truncate(2 * n)
    starts = np.array([0, n])
    return Shard([Part(np.asarray(np.memmap(path, np.uint16, "r")), starts) for _ in range(parts)])


def resident() -> float:
    """MB of memory of this process that are its own: pages of mapped files do not count."""
    words = dict(x.split(":") for x in Path("/proc/self/status").read_text().splitlines())
    return int(words["RssAnon"].split()[0]) / 1e3


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    made = work()
    return time.perf_counter() - start, made


def measure(languages: int, windows: int) -> list[record.Record]:
    with tempfile.TemporaryDirectory() as folder:
        return of_text(Path(folder), languages, windows)


def of_text(folder: Path, languages: int, windows: int) -> list[record.Record]:
    shards = [text(folder / str(i), windows // languages, 4) for i in range(languages)]
    streams = [Stream(shard, LENGTH) for shard in shards]
    before = resident()
    start, batches = timed(lambda: Batches(streams, BATCH, 0, 1_000_000))
    own = slice(7, 8)  # of a host: one slot, whose rows its 4 chips divide
    first, _ = timed(lambda: batches(0, slots=own))
    seconds, _ = timed(lambda: [batches(step, slots=own) for step in range(1, STEPS + 1)])
    memory = resident() - before
    resumed, _ = timed(lambda: batches(RESUMED, slots=own))
    case = f"{languages} languages, 10^{len(str(windows)) - 1} windows"
    values = {
        "own memory, MB": memory,
        "start, ms": 1e3 * start,
        "first step, ms": 1e3 * first,
        "a step, ms": 1e3 * seconds / STEPS,
        f"first step after {RESUMED:,}, s": resumed,
    }
    return [{"case": case, "metric": name, "value": value} for name, value in values.items()]


def pod(args: argparse.Namespace, _: Shape) -> list[record.Record]:
    """Each case in a process of its own, so that memory is its own."""
    cases = ((2, 10**6), (100, 10**6), (100, 10**9))
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        found = sum(pool.starmap(measure, cases, chunksize=1), [])
    for one in found:
        print(f"{one['case']}: {one['metric']}: {one['value']:.1f}")
    return found
