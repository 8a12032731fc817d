"""Numbers of a run as they come: JSON lines, the same in TensorBoard, progress on the screen."""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import jax
from tqdm import tqdm

from xl_jax.runs.loggers import Logger

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
    in others. Progress is a bar on a terminal, and lines in a file; both say how long it will take.

    Args:
      first, last: of the counted things, where this process begins and where the work ends.
      loggers: opens further trackers that get the same numbers, by name. One that fails is told of
        and gets no more.
    """

    def __init__(
        self,
        folder: Path,
        first: int,
        last: int,
        unit: str = "step",
        loggers: Callable[[], Mapping[str, Logger]] = dict,
    ):
        silent = jax.process_index() != 0
        terminal = sys.stderr.isatty()
        self.n, self.first, self.last, self.unit = first, first, last, unit
        self.loggers = {} if silent else dict(loggers())
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
        self.start = time.monotonic()
        self.next_line = self.start + SECONDS

    def __enter__(self) -> "Tracker":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.bar.close()
        for name in list(self.loggers):
            self._tell(name, "close", kind is not None)
        try:
            self.board.close()
        except OSError:  # tensorboardX leaves its thread running, which would end in a traceback
            worker = self.board.file_writer.event_writer._worker
            if worker.is_alive():
                worker.stop()
            raise
        finally:
            self.file.close()

    def advance(self, n: int) -> None:
        """So many are done."""
        self.bar.update(n - self.n)
        self.n = n
        if self.lines and (time.monotonic() >= self.next_line or n == self.last):
            beside = "".join(f", {name} {text}" for name, text in self.shown.items())
            now = time.monotonic()
            left = (now - self.start) / max(n - self.first, 1) * (self.last - n)
            when = f", {tqdm.format_interval(left)} left" if n < self.last else ""
            self.say(f"{self.unit} {n:,} of {self.last:,}{when}{beside}")
            self.next_line = now + SECONDS

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
        for name in list(self.loggers):
            self._tell(name, "record", step, values)

    def _tell(self, name: str, what: str, *arguments: Any) -> None:
        """A tracker of others must not end a run."""
        try:
            getattr(self.loggers[name], what)(*arguments)
        except Exception as error:
            del self.loggers[name]
            reason = str(error).strip().split("\n")[0]
            self.say(f"{name} gets no more numbers: {type(error).__name__}: {reason}")
