"""Which programs are compiled while a signal would have to wait for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import jax.monitoring
import pytest

from xl_jax.runs.interrupt import CtrlC

LOWERED = "/jax/core/compile/jaxpr_to_mlir_module_duration"


class Compiled(NamedTuple):
    at_once: set[str]  # while a signal ends the command
    saving: set[str]  # while it has to wait until the state is saved


@contextmanager
def compiled_programs() -> Iterator[Compiled]:
    """Within the context, the names of the functions that are compiled."""
    found = Compiled(set(), set())
    depth = 0

    def listen(event: str, _: float, **more: str) -> None:
        if event == LOWERED:
            name = more["fun_name"].removeprefix("jit(").removesuffix(")")
            (found.saving if depth else found.at_once).add(name)

    def counted(change: int, method):
        def run(self: CtrlC, *arguments: object):
            nonlocal depth
            depth += change
            return method(self, *arguments)

        return run

    jax.monitoring.register_event_duration_secs_listener(listen)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CtrlC, "__enter__", counted(1, CtrlC.__enter__))
        patch.setattr(CtrlC, "__exit__", counted(-1, CtrlC.__exit__))
        try:
            yield found
        finally:
            jax.monitoring.unregister_event_duration_listener(listen)
