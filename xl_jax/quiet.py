"""Orbax and TensorStore without what they print beside what they raise.

That is every step they take, and of a failure the traceback of each thread and task that had a part
in it. The flag --traceback shows it.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from logging import getLogger
from typing import Any

from absl import logging


def quieten() -> None:
    """For the rest of the program."""
    if "--traceback" in sys.argv:
        return
    for logger in _loggers():
        logger.disabled = True
    _quieten_threads()


@contextmanager
def quiet() -> Iterator[None]:
    """While something is read; threads of it that end later stay quiet, too."""
    if "--traceback" in sys.argv:
        yield
        return
    before = [logger.disabled for logger in _loggers()]
    quieten()
    try:
        yield
    finally:
        for logger, disabled in zip(_loggers(), before, strict=True):
            logger.disabled = disabled


def _loggers() -> tuple[Any, Any]:
    return logging.get_absl_logger(), getLogger("asyncio")  # this one tells of failed tasks


def _quieten_threads() -> None:
    shown = sys.unraisablehook
    if isinstance(shown, _Hook):
        return
    sys.unraisablehook = _Hook(shown)


class _Hook:
    """Python's hook for what nobody can catch, silent of threads of TensorStore: no object."""

    def __init__(self, shown: Any):
        self.shown = shown

    def __call__(self, error: Any) -> None:
        if error.object is not None:
            self.shown(error)
