"""Batches made in a thread while the device is busy with earlier ones."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def prefetch(make: Callable[[int], T], items: Iterable[int], ahead: int = 2) -> Iterator[T]:
    """`make(item)` for each item in order, up to `ahead` of them made before they are needed.

    An error of `make` is raised where its result is needed. Closing early drops what has not
    begun and waits for the item that is being made.
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix="prefetch")
    waiting: deque[Future[T]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(make, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
