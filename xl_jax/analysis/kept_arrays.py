"""Arrays that took long to compute, kept in a file."""

import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from xl_jax.atomic_files import replacing

# What reading a damaged .npz raises: RuntimeError of a member that seems to be encrypted.
DAMAGE = (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)


def read(path: Path, log: Callable[[str], None] = print) -> dict[str, np.ndarray] | None:
    """The arrays by name, checked by the file's checksums; None where it is missing, or damaged,
    which `log` is told."""
    if not path.exists():
        return None
    try:
        with path.open("rb") as file, np.load(file) as found:
            return {name: found[name] for name in found.files}
    except DAMAGE as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        log(f"{path} is damaged: {reason}: computed again")
        return None


def write(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes them whole or not at all, and makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        np.savez(file, allow_pickle=False, **arrays)
