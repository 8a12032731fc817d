"""Where the runs of a study stand, for people: a table on a terminal, lines elsewhere."""

import io
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, TextIO, cast

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from xl_jax.errors import printable
from xl_jax.studies.stages import TRAIN, read_stages
from xl_jax.studies.study_folder import RunState

TAIL = 8192  # bytes of metrics.jsonl that hold its last lines


class Progress:
    """Shows the states that it is given; as a table that stays in its place where `file` is a
    terminal, and otherwise a line whenever a run changes its state."""

    def __init__(self, folder: Path, parallel: int, file: io.TextIOBase | None = None):
        self.folder, self.parallel = folder, parallel
        self.file = cast(TextIO, file or sys.stderr)
        self.said: dict[str, str] = {}
        self.live = None
        if self.file.isatty():
            self.live = Live(console=Console(file=self.file), auto_refresh=False)

    def __enter__(self) -> "Progress":
        if self.live:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live:
            self.live.stop()

    def show(self, runs: Sequence[RunState]) -> None:
        if self.live:
            self.live.update(self.table(runs), refresh=True)
            return
        for run in runs:
            if run.state != self.said.setdefault(run.id, "waiting"):
                self.said[run.id] = run.state
                more = f": {run.error}" if run.error else ""
                more += f", log {self.log(run)}" if run.state in ("running", "failed") else ""
                line = f"{name(run)}: {run.state}{more}; {self.summary(runs)}"
                print(printable(line), file=self.file, flush=True)

    def table(self, runs: Sequence[RunState]) -> Table:
        """The runs that run or have failed, and the number of the others."""
        table = Table(box=None, pad_edge=False, caption=Text(self.summary(runs)))
        for title in ("run", "state", "where", "left", "log"):
            table.add_column(title, overflow="fold" if title == "log" else "ellipsis")
        for run in runs:
            if run.state in ("running", "failed"):
                where, left = self.where(run) if run.state == "running" else (run.error, None)
                cells = [name(run), run.state, where, duration(left), str(self.log(run))]
                table.add_row(*(Text(printable(x)) for x in cells))  # Text: no markup in names
        return table

    def summary(self, runs: Sequence[RunState]) -> str:
        """How many runs are in which state, and how long the rest will take."""
        counts = Counter(x.state for x in runs)
        text = f"{counts['done']} of {len(runs)} done"
        text += "".join(f", {counts[x]} {x}" for x in ("running", "failed", "waiting") if counts[x])
        left = time_left(runs, self.parallel, (self.where(x)[1] for x in runs))
        return text + (f", {duration(left)} left" if left else "")

    def log(self, run: RunState) -> Path:
        folder = self.folder / run.folder
        return folder.with_name(f"{folder.name}.log")

    def where(self, run: RunState) -> tuple[str, float | None]:
        """(stage and step of a run, seconds that its training still takes, if known)."""
        if run.state != "running":
            return "", None
        folder = self.folder / run.folder
        line: dict[str, Any] = {}
        for one in lines_of(folder / "metrics.jsonl", TAIL):  # held-out text has its own lines
            line |= one
        began = read_stages(folder).get("since", time.time())
        fresh = os.path.exists(folder / "metrics.jsonl") and (
            (folder / "metrics.jsonl").stat().st_mtime >= began
        )
        if run.stage != TRAIN or not fresh or "step" not in line:
            return run.stage or "starts", None
        step, steps = line["step"], run.config["steps"]
        left = (steps - step) * line["seconds_per_step"] if "seconds_per_step" in line else None
        return f"{run.stage}, step {step:,} of {steps:,}", left


def name(run: RunState) -> str:
    return ", ".join(filter(None, [run.row, run.pair, f"seed {run.seed}"]))


def time_left(
    runs: Sequence[RunState], parallel: int, training: Iterable[float | None]
) -> float | None:
    """Seconds until all runs are done: finished ones say what one takes, running ones what their
    training still needs. None while no run is finished."""
    finished = [sum(x.seconds.values()) for x in runs if x.state == "done" and TRAIN in x.seconds]
    if not finished:
        return None
    one = fmean(finished)
    left = 0.0
    for run, known in zip(runs, training, strict=True):
        if run.state == "waiting":
            left += one
        elif run.state == "running":
            left += one if known is None and run.stage == TRAIN else known or 0
    return left / parallel


def duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def lines_of(path: Path, tail: int | None = None) -> list[dict[str, Any]]:
    """The numbers of training, line by line, of the whole file or its last bytes; empty: none."""
    try:
        with path.open("rb") as file:
            if tail:
                file.seek(max(0, path.stat().st_size - tail))
            lines = file.read().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            found.append(json.loads(line))
        except ValueError:  # the first may be half a line, the last in the making
            continue
    return found
