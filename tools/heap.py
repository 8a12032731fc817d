"""The heap of a command that moves a large model through memory."""

import contextlib
import ctypes

M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8  # of malloc.h


def gives_back() -> None:
    """From now on, what is freed goes back to the system. As it is, glibc's heaps, one for each of
    many threads, keep a tenth of a large model. To be called before the imports that make them."""
    with contextlib.suppress(OSError, AttributeError):  # other C libraries have no such call
        c = ctypes.CDLL(None)
        c.mallopt(M_ARENA_MAX, 1)
        c.mallopt(M_MMAP_THRESHOLD, 1 << 17)  # bytes; what is set no longer grows
