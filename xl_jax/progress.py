"""Progress of work that may take long: a bar on a terminal, lines elsewhere; with the time left."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any, TypeVar

from tqdm import tqdm

T = TypeVar("T")
SLOW = 5.0  # seconds of work of which no part is known, after which a line says that it goes on
QUIET = 10.0  # seconds of counted work before anything is shown
SECONDS = 30.0  # between two lines


class Bar:
    """Counts `total` things, for use in a `with`; shown once they take longer than `QUIET`."""

    def __init__(self, what: str, total: int, unit: str = "", silent: bool = False):
        self.what, self.total, self.unit, self.done = what, total, unit, 0
        terminal = sys.stderr.isatty()
        self.lines = not silent and not terminal
        shown: dict[str, Any] = {"delay": QUIET, "leave": False, "dynamic_ncols": True}
        named = {"desc": what, "unit": unit or "it", "unit_scale": unit == "B"}
        self.bar = tqdm(total=total, disable=silent or not terminal, **named, **shown)
        self.start = time.monotonic()
        self.next_line = self.start + QUIET

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def advance(self, n: int = 1) -> None:
        self.done += n
        self.bar.update(n)
        now = time.monotonic()
        if self.lines and now >= self.next_line and self.done < self.total:
            self.next_line = now + SECONDS
            left = (now - self.start) / max(self.done, 1) * (self.total - self.done)
            print(f"{self.what}: {self}, {interval(left)} left", file=sys.stderr, flush=True)

    def __str__(self) -> str:
        if self.unit == "B":
            return f"{self.done / 1e6:,.0f} of {self.total / 1e6:,.0f} MB"
        return f"{self.done:,} of {self.total:,}"


def interval(seconds: float) -> str:
    """[hours:]minutes:seconds."""
    return tqdm.format_interval(seconds)


def counted(
    items: Iterable[T], what: str, total: int | None = None, silent: bool = False
) -> Iterator[T]:
    """The items, with a `Bar` of how many are done. `total` is needed where they have no length."""
    n = len(items) if total is None else total  # type: ignore[arg-type]
    with Bar(what, n, silent=silent) as bar:
        for item in items:
            yield item
            bar.advance()


@contextmanager
def announced(what: str, log: Callable[[str], None] = print) -> Iterator[None]:
    """Says that `what` goes on if it takes longer than `SLOW`, then how long it has taken so far,
    and at its end how long it took."""
    start, done = time.monotonic(), Event()

    def tell() -> None:
        if not done.wait(SLOW):
            log(f"{what} ...")
        while not done.wait(SECONDS):
            log(f"{what} ... {time.monotonic() - start:.0f} s")

    thread = Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
    thread.join()
    if (seconds := time.monotonic() - start) >= SLOW:
        log(f"{what} took {seconds:.0f} s")
