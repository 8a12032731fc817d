"""A profiler trace of a few training calls, for TensorBoard, XProf or Perfetto."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import jax


class Profile:
    """Writes a trace of `steps` steps to `folder`, in whole calls of `a_call` steps; the first call
    of the process, which warms up, is left out. With 0 steps nothing is written."""

    def __init__(self, folder: Path, steps: int, a_call: int, log: Callable[[str], None]):
        self.folder, self.log = folder, log
        self.left, self.warm, self.running = -(-steps // a_call), False, False

    def __enter__(self) -> "Profile":
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    @contextmanager
    def call(self) -> Iterator[None]:
        """Around one call of the step."""
        if self.left and self.warm and not self.running:
            jax.profiler.start_trace(str(self.folder))
            self.running = True
        yield
        if self.running:
            self.left -= 1
            if not self.left:
                self._stop()
        self.warm = True

    def _stop(self) -> None:
        if self.running:
            self.running = False
            jax.effects_barrier()
            jax.profiler.stop_trace()
            self.log(f"profile: {self.folder}")
