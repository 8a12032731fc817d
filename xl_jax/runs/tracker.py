"""Numbers of a run as they come: JSON lines, the same in TensorBoard, progress on the screen."""

import json
import os
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import jax
from tqdm import tqdm

if "torch" in sys.modules:
    from tensorboardX import SummaryWriter
else:
    # tensorboardX imports PyTorch where it is installed: seconds, for types that it only annotates.
    sys.modules["torch"] = None  # type: ignore[assignment]
    from tensorboardX import SummaryWriter

    del sys.modules["torch"]

SECONDS = 30  # between two lines of progress where there is no terminal


class Tracker:
    """Appends to `metrics.jsonl`, writes TensorBoard events, shows progress: in process 0; silent
    in others. Progress is a bar on a terminal, and lines in a file.

    Args:
      first, last: of the counted things, where this process begins and where the work ends.
    """

    def __init__(self, folder: Path, first: int, last: int, unit: str = "step"):
        silent = jax.process_index() != 0
        terminal = sys.stderr.isatty()
        self.n, self.last, self.unit = first, last, unit
        self.file = (Path(os.devnull) if silent else folder / "metrics.jsonl").open("a")
        self.board = SummaryWriter(str(folder / "tensorboard"), write_to_disk=not silent)
        self.bar = tqdm(
            total=last,
            initial=first,
            unit=unit,
            disable=silent or not terminal,
            dynamic_ncols=True,
            mininterval=0.2,
        )
        self.lines = not silent and not terminal
        self.shown: dict[str, str] = {}
        self.next_line = time.monotonic() + SECONDS

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

    def advance(self, n: int) -> None:
        """So many are done."""
        self.bar.update(n - self.n)
        self.n = n
        if self.lines and (time.monotonic() >= self.next_line or n == self.last):
            beside = "".join(f", {name} {text}" for name, text in self.shown.items())
            self.say(f"{self.unit} {n:,} of {self.last:,}{beside}")
            self.next_line = time.monotonic() + SECONDS

    def show(self, **values: str) -> None:
        """Text beside the progress."""
        self.shown = values
        self.bar.set_postfix(values, refresh=False)

    def say(self, text: str) -> None:
        """A line of its own."""
        if self.lines:
            print(text, file=sys.stderr, flush=True)
        elif not self.bar.disable:
            self.bar.write(text, file=sys.stderr)

    def record(self, step: int, values: dict[str, Any]) -> None:
        """One line of `metrics.jsonl`: {"step": ..., name: value, ...}; flushed at once."""
        self.file.write(json.dumps({"step": step, **values}) + "\n")
        self.file.flush()
        for name, value in values.items():
            self.board.add_scalar(name, value, step)
