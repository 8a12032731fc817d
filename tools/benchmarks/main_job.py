"""Where the seconds of `python train.py` go, from the command to the figure."""

import argparse
import dataclasses
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tools.benchmarks.torch_step import Shape

Record = dict[str, Any]
CALL = 2  # calls of the device, of a run that is as small as can be
IMPORTS = "import xl_jax.pretrain.loop, xl_jax.evaluate.runner, xl_jax.report.run"


def main_job(args: argparse.Namespace, shape: Shape) -> list[Record]:
    """Seconds by the clock and of all cores of each part; one record a part and clock.

    "import" is a process of its own. "text" is a part of "prepare"; "compile" and "steps" are parts
    of "train". With --smallest only a few steps are trained.
    """
    from configs.tiny import get_config
    from xl_jax.config import from_dict
    from xl_jax.devices.mesh import one_device
    from xl_jax.evaluate.runner import USUAL, measure
    from xl_jax.pretrain.heldout import Heldout
    from xl_jax.pretrain.loop import pretrain
    from xl_jax.report.run import show
    from xl_jax.runs.run_directory import first_state, start
    from xl_jax.text import docstrings
    from xl_jax.training.compiled_step import compile_step
    from xl_jax.training.step import state_shapes

    config = from_dict(get_config().to_dict())
    if args.smallest:
        few = CALL * config.steps_per_call
        config = dataclasses.replace(
            config, steps=few, log_every=few, eval_every=few, checkpoint_every=few
        )
    records: list[Record] = []

    @contextmanager
    def part(name: str) -> Iterator[None]:
        clock, cores = time.perf_counter(), _cpu()
        yield
        found = {"wall": time.perf_counter() - clock, "cores": _cpu() - cores}
        print(f"{name:<22}{found['wall']:>8.1f} s by the clock{found['cores']:>8.1f} s of cores")
        records.extend(
            {"metric": f"{kind}_seconds", "part": name, "value": value, "steps": config.steps}
            for kind, value in found.items()
        )

    with tempfile.TemporaryDirectory() as folder:
        with part("import"):
            subprocess.run([sys.executable, "-c", IMPORTS], check=True)
        with part("text"):
            list(docstrings.read())
        with part("prepare"):
            run = start(config, Path(folder) / "run", _quiet)
        with part("compile"):
            mesh = one_device()
            compile_step(run.model, mesh)
            Heldout(run, mesh=mesh).compile(state_shapes(run.model, mesh).params)
            first_state(run, mesh)
        import jax

        jax.clear_caches()
        with part("train"):
            pretrain(run, _quiet)
        for task in USUAL:
            with part(task):
                found = measure(run, [task], log=_quiet)
        with part("show"):
            found = measure(run, log=_quiet)
            show(found.records, found.title, found.figure)
    return records


def _quiet(text: str) -> None:
    """In place of the run's own lines."""


def _cpu() -> float:
    """Seconds of all cores that this process and those that it waited for have used."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
