"""Work in pieces, over processes, that goes on where it was stopped.

A piece is a function call whose result is a small record, written when its work is done: a piece
with a record is never done again, one without is done from its beginning.
"""

import errno
import fcntl
import gc
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

from xl_jax import stopping
from xl_jax.file_names import file_name
from xl_jax.json_files import read_json, write_json
from xl_jax.progress import Bar

PIECES_A_PROCESS = 4  # fewer are not worth starting a process for
SECONDS_OF_SILENCE = 3600  # of another process, until it is no longer waited for
SECONDS_BETWEEN_LOOKS = 0.2


class Piece(NamedTuple):
    """`function(*arguments)`, sent to other processes by name and value; it returns what JSON can
    hold, and doing it twice does no harm."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    record: Path

    def do(self) -> None:
        with _no_search_for_cycles():
            result = self.function(*self.arguments)
        write_json(self.record, result)


@contextmanager
def _no_search_for_cycles() -> Iterator[None]:
    """Lines and their pieces are lists by the million, none in a cycle: Python's search for cycles
    would take a tenth of the time."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


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
        name: Piece(function, values, records / f"{file_name(name)}.json")
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
        self._pool = ExitStack()
        self._started: ProcessPoolExecutor | None = None

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *error: Any) -> None:
        self._pool.__exit__(*error)

    def __call__(self, pieces: Sequence[Piece], label: str) -> None:
        """Does the pieces; when one fails, those in hand are finished first. Ctrl-C ends all.

        Raises:
          RuntimeError: a process was killed.
        """
        with Bar(label, len(pieces), "part", silent=len(pieces) == 1) as bar:
            if self._number(len(pieces)) <= 1:
                for piece in pieces:
                    piece.do()
                    bar.advance()
                return
            if self._started is None:
                self._started = self._pool.enter_context(_processes(self._most or cores()))
            futures: list[Future] = [self._started.submit(piece.do) for piece in pieces]
            try:
                for future in as_completed(futures):
                    _result(future, label)
                    bar.advance()
            except Exception:  # told to stop, the pool ends them itself, and takes no cancelled one
                for future in futures:
                    future.cancel()
                raise

    def _number(self, pieces: int) -> int:
        return min(self._most, pieces) if self._most else min(cores(), pieces // PIECES_A_PROCESS)


def apart(function: Callable[[], Any]) -> Any:
    """`function()` in a process of its own, which a signal ends at once: a long call of
    C++ in this one would first be finished.

    Raises:
      RuntimeError: the process was killed.
    """
    with _processes(1) as pool:
        return _result(pool.submit(function), "work in a process of its own")


@contextmanager
def _processes(n: int) -> Iterator[ProcessPoolExecutor]:
    """A pool that finishes what it has in hand, unless this process is told to stop."""
    context = multiprocessing.get_context("spawn")  # JAX's threads survive no fork
    pool = ProcessPoolExecutor(n, context, initializer=_begin)
    try:
        with stopping.raised():
            yield pool
    except KeyboardInterrupt:
        for process in list(pool._processes.values()):  # kill_workers() from Python 3.14 on
            process.kill()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _result(future: Future, label: str) -> Any:
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise RuntimeError(
            f"{label}: a process was killed (out of memory?); the parts that are done are kept, "
            "the same command continues"
        ) from error


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def alone(path: Path, progress: Path, what: str, log: Callable[[str], None]) -> Iterator[None]:
    """Within the context no other process is in it with the same `path`, a file that is there
    only meanwhile. A killed process holds nothing.

    Args:
      progress: folder in which the work leaves files; it is given up waiting when none of them has
        changed for SECONDS_OF_SILENCE.
      what: is done there, for messages.

    Raises:
      RuntimeError: waited in vain.
    """
    while True:
        with path.open("a+") as file:
            if not _lock(file):
                log(f"{_holder(file)} {what}: waiting for it")
                _wait(file, path, progress, what)
            if not _is_at(file.fileno(), path):  # who held it has removed it
                continue
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}")
            file.flush()
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return


def _lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(file: IO[str]) -> str:
    file.seek(0)
    return file.read(200) or "another process"


def _wait(file: IO[str], path: Path, progress: Path, what: str) -> None:
    """Until the lock is free, or nothing happens any more."""
    begin = time.time()
    while not _lock(file):
        if time.time() - max(begin, _last_change(progress)) > SECONDS_OF_SILENCE:
            raise RuntimeError(
                f"{_holder(file)} {what} (it holds {path}), but nothing has changed in {progress} "
                f"for {SECONDS_OF_SILENCE / 60:.0f} minutes: see whether it is alive, or name "
                "another folder"
            )
        time.sleep(SECONDS_BETWEEN_LOOKS)


def _last_change(folder: Path) -> float:
    """When a file below `folder` was last made, in seconds as `time.time` counts; 0 = never."""
    times = [0.0]
    for parent, _, _ in os.walk(folder):
        with suppress(FileNotFoundError):
            times.append(os.stat(parent).st_mtime)
    return max(times)


@contextmanager
def told_when_full(folder: Path) -> Iterator[None]:
    """Says in one line that work which the disk stopped goes on later.

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
