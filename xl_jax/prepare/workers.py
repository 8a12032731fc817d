"""Work in pieces, over processes, that goes on where it was stopped.

A piece is a function call whose result is a small record, written when its work is done: a piece
with a record is never done again, one without is done from its beginning.
"""

import errno
import fcntl
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from tqdm import tqdm

from xl_jax.json_files import read_json, write_json

SECONDS_UNTIL_SHOWN = 10  # work that is quicker shows no progress bar
PIECES_A_PROCESS = 4  # fewer are not worth starting a process for


class Piece(NamedTuple):
    """`function(*arguments)`, sent to other processes by name and value; it returns what JSON can
    hold, and doing it twice does no harm."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    record: Path

    def do(self) -> None:
        write_json(self.record, self.function(*self.arguments))


Run = Callable[[Sequence[Piece], str], None]  # does the pieces, in any order; a label for people


def each(
    function: Callable[..., Any],
    arguments: Mapping[str, tuple[Any, ...]],
    records: Path,
    run: Run,
    label: str,
) -> dict[str, Any]:
    """The results of `function` for every named tuple of arguments, by name. Those that `records`
    holds already are taken from there."""
    records.mkdir(parents=True, exist_ok=True)
    pieces = {
        name: Piece(function, values, records / f"{name}.json")
        for name, values in arguments.items()
    }
    waiting = [piece for piece in pieces.values() if not piece.record.exists()]
    if waiting:
        run(waiting, label)
    return {name: read_json(piece.record) for name, piece in pieces.items()}


class Processes:
    """A `Run` over the processes of this machine, for use in a `with`.

    Args:
      most: processes; 1 = everything in this one; 0 = one for each core that this process may use,
        as far as there are several pieces for each.
    """

    def __init__(self, most: int = 0) -> None:
        self._most = most
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> "Processes":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def __call__(self, pieces: Sequence[Piece], label: str) -> None:
        """Does the pieces; when one fails, those in hand are finished first.

        Raises:
          RuntimeError: a process was killed.
        """
        show = {"desc": label, "unit": "part", "delay": SECONDS_UNTIL_SHOWN}
        with tqdm(total=len(pieces), disable=len(pieces) == 1, **show) as bar:
            if self._number(len(pieces)) <= 1:
                for piece in pieces:
                    piece.do()
                    bar.update()
                return
            if self._pool is None:
                context = multiprocessing.get_context("spawn")  # JAX's threads survive no fork
                most = self._most or cores()
                self._pool = ProcessPoolExecutor(most, context, initializer=_begin)
            futures: list[Future] = [self._pool.submit(piece.do) for piece in pieces]
            try:
                for future in as_completed(futures):
                    future.result()
                    bar.update()
            except BrokenProcessPool as error:
                raise RuntimeError(
                    f"{label}: a process was killed (out of memory?); the parts that are done are "
                    "kept, the same command continues"
                ) from error
            finally:
                for future in futures:
                    future.cancel()

    def _number(self, pieces: int) -> int:
        return min(self._most, pieces) if self._most else min(cores(), pieces // PIECES_A_PROCESS)


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def alone(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Within the context no other process is in it with the same `path`, a file that is there
    only meanwhile; `waiting` is called if another one is. A killed process holds nothing."""
    while True:
        with path.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting()
                fcntl.flock(file, fcntl.LOCK_EX)
            if not _is_at(file.fileno(), path):  # who held it has removed it
                continue
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turns a full disk into one line.

    Raises:
      RuntimeError: the disk is full.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise RuntimeError(
                f"{folder}: the disk is full; the parts that are done are kept, the same command "
                "continues when there is room"
            ) from error
        raise


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _begin() -> None:
    """A worker leaves Ctrl-C to its parent, and dies with it even if that was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
