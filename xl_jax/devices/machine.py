"""What a measurement depends on beside its command: commit, libraries, machine."""

import importlib.metadata
import os
import platform
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = (
    *("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "scipy", "sentencepiece"),
    *("torch", "transformers", "faiss-cpu"),
)


def commit(root: Path = ROOT) -> str:
    """The short name of the checked out commit, with a + where tracked files differ from it; ""
    without git."""

    def git(*arguments: str) -> str:
        call = ["git", "-C", str(root), *arguments]
        done = subprocess.run(call, capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "--short", "HEAD") + "+" * bool(changed)
    except FileNotFoundError:
        return ""


def hardware(devices: Sequence[str] = ()) -> dict[str, Any]:
    """Processor, cores that this process may use, memory, load of the last minute, accelerators."""
    cpuinfo = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.+)", cpuinfo.read_text() if cpuinfo.exists() else "")
    affinity = getattr(os, "sched_getaffinity", None)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": model[1] if model else platform.processor(),
        "cores": len(affinity(0)) if affinity else os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "load_average": round(os.getloadavg()[0], 2),
        "devices": list(devices),
    }


def versions() -> dict[str, str]:
    """Of Python and of those `LIBRARIES` that are installed."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
