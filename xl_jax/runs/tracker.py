"""Numbers of a run as they come: JSON lines, the same in TensorBoard, a bar on the screen."""

import json
import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

import jax
from tensorboardX import SummaryWriter
from tqdm import tqdm


class Tracker:
    """Appends to `metrics.jsonl`, writes TensorBoard events, moves the progress bar: in process 0;
    silent in others."""

    def __init__(self, folder: Path, first: int, last: int):
        silent = jax.process_index() != 0
        self.file = (Path(os.devnull) if silent else folder / "metrics.jsonl").open("a")
        self.board = SummaryWriter(str(folder / "tensorboard"), write_to_disk=not silent)
        quiet = not sys.stderr.isatty()
        self.bar = tqdm(
            total=last,
            initial=first,
            unit="step",
            disable=silent,
            dynamic_ncols=True,
            mininterval=30 if quiet else 0.2,
            maxinterval=30 if quiet else 10,
        )

    def __enter__(self) -> "Tracker":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.bar.close()
        self.board.close()
        self.file.close()

    def advance(self, step: int) -> None:
        self.bar.update(step - self.bar.n)

    def show(self, **values: str) -> None:
        """Text beside the bar."""
        self.bar.set_postfix(values, refresh=False)

    def say(self, text: str) -> None:
        """A line above the bar."""
        if not self.bar.disable:
            self.bar.write(text, file=sys.stderr)

    def record(self, step: int, values: dict[str, Any]) -> None:
        """One line of `metrics.jsonl`: {"step": ..., name: value, ...}; flushed at once."""
        self.file.write(json.dumps({"step": step, **values}) + "\n")
        self.file.flush()
        for name, value in values.items():
            self.board.add_scalar(name, value, step)
