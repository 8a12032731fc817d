"""Stopping a long computation: Ctrl-C, SIGTERM, a loss that is not finite."""

import os
import signal
from types import FrameType
from typing import Any

import jax
import numpy as np

from xl_jax import stopping
from xl_jax.devices import multihost


class Interrupted(Exception):
    """The run was told to stop, and the state is saved."""

    def __init__(self, text: str, code: int = 130):
        super().__init__(text)
        self.code = code  # for sys.exit: 130 after Ctrl-C, 0 after SIGTERM


def check_finite(step: int, values: dict[str, float]) -> None:
    for name, value in values.items():
        if not np.isfinite(value):
            raise FloatingPointError(f"{name} is {value} in the steps before {step}")


class CtrlC:
    """Within the context, where nothing should compile, the first Ctrl-C or SIGTERM only sets
    `pressed`; a second one does what the first did before. Of several processes any may be told,
    and all stop after the same call."""

    def __enter__(self) -> "CtrlC":
        self.pressed = self.terminated = False
        self.previous: dict[int, Any] = {}
        several = jax.process_count() > 1

        def note(number: int, frame: FrameType | None) -> None:
            stopping.taken()
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
