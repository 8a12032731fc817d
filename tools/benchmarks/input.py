"""Windows that the data path delivers: beside the step that they feed, and by size of the text."""

import argparse
import os
import re
import tempfile
import time
import tracemalloc
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

from tools.benchmarks.racing import race, spread
from tools.benchmarks.step import shared_model
from tools.benchmarks.torch_step import Arm, Shape
from xl_jax.tokens.special import N_SPECIAL


def tiny_model() -> Any:
    """The model of configs/tiny.py, without its text."""
    from configs import tiny
    from xl_jax.config import from_dict
    from xl_jax.model.shared_model import SharedModel

    config = from_dict(tiny.get_config())
    return SharedModel.abstract(config, 1024)


def write_text(folder: Path, name: str, megabytes: int, vocab: int) -> Any:
    """A shard of about so many MB in parts of at most 100: lines of 8 to 49 pieces, repeated."""
    from xl_jax.tokens import shards

    random = np.random.default_rng(0)
    lengths = random.integers(8, 50, 4096)
    lines = [random.integers(N_SPECIAL, vocab, n, dtype=np.int32) for n in lengths]
    dtype = shards.smallest_dtype(vocab)
    per_line = (lengths.mean() + 1) * np.dtype(dtype).itemsize / 1e6
    for part, first in enumerate(range(0, megabytes, 100)):
        n = round(min(100, megabytes - first) / per_line)
        shards.write(folder, name, islice(cycle(lines), n), part, dtype)
    return shards.read(folder, name)


def input_arms(model: Any, batches: Any) -> dict[str, Arm]:
    """Calls of the device on one batch again and again; making the batches; both, as in training.
    An arm's "step" is a call, `steps_per_call` steps."""
    from xl_jax.batches.prefetch import prefetch
    from xl_jax.training.step import init_state, make_step

    config = model.config
    train, state, at = make_step(model, config.steps), init_state(model), 0
    same = batches.steps(0, config.steps_per_call)

    def make(first: int) -> Any:
        return batches.steps(first, config.steps_per_call)

    def call(batch: Any) -> dict[str, Any]:
        nonlocal state
        state, metrics = train(state, batch)
        return metrics

    def calls(n: int) -> range:
        nonlocal at
        at += n * config.steps_per_call
        return range(at - n * config.steps_per_call, at, config.steps_per_call)

    def wait(metrics: list[dict[str, Any]]) -> float:
        return float(metrics[-1]["loss_sum"].sum() / metrics[-1]["predicted"].sum())

    return {
        "step": lambda n: wait([call(same) for _ in range(n)]),
        "input": lambda n: float(max(make(first).language.max() for first in calls(n))),
        "step_with_input": lambda n: wait([call(x) for x in prefetch(make, calls(n))]),
    }


def input_pipeline(args: argparse.Namespace, shape: Shape) -> list[dict[str, Any]]:
    """Windows/s that the data path delivers: over what a step consumes, and by size of the text."""
    models = {"tiny": tiny_model(), "shape": shared_model(shape, ("en", "fr"))}
    return [*input_beside_step(args, models), *input_by_size(args)]


def input_beside_step(args: argparse.Namespace, models: dict[str, Any]) -> list[dict[str, Any]]:
    """Windows/s of a step, of its input, and what the input adds to a step; records by round."""
    from xl_jax.batches.sampler import Batches
    from xl_jax.batches.windows import make_windows

    records: list[dict[str, Any]] = []
    print(
        f"{'model':<7}{'step: windows/s':<24}{'input: windows/s':<36}{'input / step':<18}"
        f"{'step with input / step'}"
    )
    for name, model in models.items():
        c = model.config
        with tempfile.TemporaryDirectory() as place:
            shard = write_text(Path(place), "text", 2, model.vocab_size)
            windows = make_windows(c.data.windows, shard, c.data.length)
            arms = input_arms(model, Batches([windows, windows], c.batch, c.seed, c.steps))
            for arm in arms.values():
                arm(1)
            seconds = race(arms, args.rounds, args.steps)
        n = c.steps_per_call * c.batch.accum * c.batch.slots * c.batch.rows
        step, delivered, both = (np.array(values) / n for values in seconds.values())
        found = {
            "step_windows_per_second": 1 / step,
            "input_windows_per_second": 1 / delivered,
            "input_over_step": step / delivered,
            "step_with_input_over_step": both / step,
        }
        for metric, values in found.items():
            for r, value in enumerate(values.tolist()):
                records.append({"metric": metric, "model": name, "round": r, "value": value})
        consumed, made, over, cost = found.values()
        print(
            f"{name:<7}{spread(consumed, 0):<24}{spread(made, 0):<36}{spread(over, 0):<18}"
            f"{spread(cost, 3)}"
        )
    return records


def input_by_size(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Windows/s and memory from a small and a large text; one record a figure.

    Own memory is the peak of what Python and NumPy hold from opening the text on. Mapped pages are
    the system's: it takes them back when it needs them.
    """
    from xl_jax.batches.sampler import Batches
    from xl_jax.batches.windows import make_windows
    from xl_jax.config import Batch
    from xl_jax.tokens import shards

    steps, batch = args.rounds * args.steps, Batch()

    def deliver(folder: Path) -> float:
        windows = make_windows("stream", shards.read(folder, "text"), 256)
        batches = Batches([windows], batch, 0, steps)
        start = time.perf_counter()
        for i in range(steps):
            batches(i)
        return steps * batch.slots * batch.rows / (time.perf_counter() - start)

    records: list[dict[str, Any]] = []
    print(f"\nwindows of 256 tokens, {batch.slots} x {batch.rows} a step, {steps} steps, twice")
    print(
        f"{'text, MB':>8}{'disk: windows/s':>17}{'memory: windows/s':>19}{'own MB':>8}"
        f"{'mapped MB':>11}"
    )
    for megabytes in (max(1, args.corpus_mb // 100), args.corpus_mb):
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            write_text(folder, "text", megabytes, 1 << 16)
            forget_cached(folder)
            mapped_before = mapped_mb()
            disk = deliver(folder)
            mapped = mapped_mb() - mapped_before
            again = deliver(folder)
            tracemalloc.start()
            deliver(folder)
            own = tracemalloc.get_traced_memory()[1] / 1e6
            tracemalloc.stop()
        found = {"cold_windows_per_second": disk, "warm_windows_per_second": again}
        found |= {"own_mb": own, "mapped_mb": mapped}
        for metric, value in found.items():
            records.append({"metric": metric, "corpus_mb": megabytes, "value": value})
        print(f"{megabytes:>8,}{disk:>17,.0f}{again:>19,.0f}{own:>8.1f}{mapped:>11.1f}")
    return records


def mapped_mb() -> float:
    """Pages of mapped files that this process holds, 0 where /proc does not tell."""
    status = Path("/proc/self/status")
    found = re.search(r"RssFile:\s*(\d+) kB", status.read_text() if status.exists() else "")
    return int(found[1]) / 1e3 if found else 0.0


def forget_cached(folder: Path) -> None:
    """Files of `folder` will be read from the disk again."""
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
