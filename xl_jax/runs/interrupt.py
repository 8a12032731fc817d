"""Stopping a long computation: Ctrl-C, SIGTERM, a loss that is not finite."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from types import FrameType
from typing import Any

import jax
import numpy as np

from xl_jax import cli
from xl_jax.devices import multihost

SAID: dict[int, str] = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
END = b"\0"  # no signal has this number


class Interrupted(Exception):
    """The run was told to stop, and the state is saved."""

    def __init__(self, text: str, code: int = 130):
        super().__init__(text)
        self.code = code  # for sys.exit: 130 after Ctrl-C, 0 after SIGTERM


def check_finite(step: int, values: dict[str, float]) -> None:
    for name, value in values.items():
        if not np.isfinite(value):
            raise FloatingPointError(f"{name} is {value} in the steps before {step}")


@contextmanager
def heard_at_once() -> Iterator[None]:
    """Within the context, where nothing has to be saved, Ctrl-C or SIGTERM ends a command at once,
    also while XLA compiles: Python's own handlers wait for that. No command: nothing changes."""
    command = signal.getsignal(signal.SIGTERM) is cli.terminate
    if not command or jax.process_count() > 1:
        yield
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    listening = Thread(target=_leave, args=(reader,), daemon=True)
    listening.start()
    descriptor = signal.set_wakeup_fd(writer)
    heard = [number for number in SAID if signal.getsignal(number) is not signal.SIG_IGN]
    handlers = {number: signal.signal(number, lambda *_: None) for number in heard}
    try:
        yield
    finally:
        signal.set_wakeup_fd(descriptor)
        os.write(writer, END)
        listening.join()
        for number, handler in handlers.items():
            signal.signal(number, handler)
        os.close(writer)
        os.close(reader)


def _leave(reader: int) -> None:
    """Ends the process at the first signal; returns when the context ends."""
    while (heard := os.read(reader, 1)) != END:
        if said := SAID.get(heard[0]):
            print(f"{said}; the same command continues", file=sys.stderr, flush=True)
            os._exit(128 + heard[0])


class CtrlC:
    """Within the context the first Ctrl-C or SIGTERM only sets `pressed`; a second one stops at
    once. Of several processes any may be told, and all stop after the same call."""

    def __enter__(self) -> "CtrlC":
        self.pressed = self.terminated = False
        self.previous: dict[int, Any] = {}
        several = jax.process_count() > 1

        def note(number: int, frame: FrameType | None) -> None:
            if several:  # JAX listens to SIGTERM, and tells the others
                os.kill(os.getpid(), signal.SIGTERM)
            self.pressed, self.terminated = not several, number == signal.SIGTERM
            signal.signal(number, self.previous[number])

        try:
            for number in (signal.SIGINT,) if several else (signal.SIGINT, signal.SIGTERM):
                self.previous[number] = signal.signal(number, note)
        except ValueError:  # not the main thread: nobody can press anything
            pass
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.previous.items():
            signal.signal(number, handler)

    def stops(self, call: int) -> bool:
        """Whether training ends after this call of the step, counted one by one; the same answer in
        every process."""
        if multihost.stop_agreed(call):
            self.terminated = True
            return True
        return self.pressed
