"""How much memory a device has."""

import os
from pathlib import Path
from typing import Any

LIMIT = Path("/sys/fs/cgroup/memory.max")  # of a container


def memory_of(device: Any) -> int | None:
    """Bytes that programs on `device` may use: an accelerator's own memory; on a CPU, the
    machine's, or the container's where that is less. None: the device does not say."""
    if device.platform != "cpu":
        stats = device.memory_stats() or {}
        return stats.get("bytes_limit")
    if not hasattr(os, "sysconf"):
        return None
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = LIMIT.read_text().strip() if LIMIT.exists() else "max"
    return min(machine, int(limit)) if limit.isdecimal() else machine
