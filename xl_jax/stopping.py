"""Ctrl-C and SIGTERM end a command at once, also while it imports or XLA compiles.

What is on disk is whole at any moment, so that a command may end between any two lines, and the
same command continues. Python alone would hear a signal only when C++ returns. Work that has
something to save takes the signals over for that time: `runs.interrupt.CtrlC`.
"""

from __future__ import annotations  # a Python that is too old shall get as far as saying so

import atexit
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from threading import Lock, Thread, current_thread, main_thread
from types import FrameType

OLDEST = (3, 11)  # as in pyproject.toml
SAID: dict[int, str] = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
_leaving = Lock()
_taken = 0  # signals that other handlers than `leave` have had


def said(number: int) -> str:
    return f"{SAID[number]}; the same command continues"


def listen() -> None:
    """The first call of a command, before it imports anything else. Exit code 2 where Python is too
    old."""
    if sys.version_info < OLDEST:
        here, least = (".".join(map(str, x)) for x in (sys.version_info[:3], OLDEST))
        sys.stderr.write(f"error: Python {here} is too old: {least} or newer is needed\n")
        sys.exit(2)
    if signal.getsignal(signal.SIGTERM) is leave:
        return
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # nothing that was printed is lost
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)  # C writes there, whatever Python is doing
    for number in SAID:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, leave)
    Thread(target=_hear, args=(reader,), daemon=True).start()
    atexit.register(_ended)  # the first to be registered is the last to be called


def _ended() -> None:
    """Nothing is left to end. Python would give the signals back to the system while it clears up,
    and one that comes then would make a finished command look killed."""
    for number in SAID:
        if signal.getsignal(number) is leave:
            signal.signal(number, signal.SIG_IGN)


@contextmanager
def raised() -> Iterator[None]:
    """Within the context, where child processes have to end too, a command that is told to end
    gets a KeyboardInterrupt with the signal's number."""
    here = current_thread() is main_thread()
    heard = [number for number in SAID if here and signal.getsignal(number) is leave]
    for number in heard:
        signal.signal(number, _raise)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, leave)


def taken() -> None:
    """To be called by every other handler: its signal is not to end the command too."""
    global _taken
    _taken += 1


def _raise(number: int, frame: FrameType | None) -> None:
    taken()
    raise KeyboardInterrupt(number)


def leave(number: int, frame: FrameType | None) -> None:
    """Ends the process, which says that it continues."""
    if _leaving.acquire(blocking=False):
        os.write(2, f"{said(number)}\n".encode())
        os._exit(128 + number)


def _hear(reader: int) -> None:
    """Ends the process at a signal that is no other handler's: none has had it, and none will."""
    others = 0
    while heard := os.read(reader, 1):
        number = heard[0]
        if number in SAID:
            if _taken <= others and signal.getsignal(number) is leave:
                leave(number, None)
            others += 1
