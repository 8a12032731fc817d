"""Records as JSON: written whole, read with one clear error, and named by a digest."""

import hashlib
import json
from pathlib import Path
from typing import Any

from xl_jax import atomic_files
from xl_jax.errors import InputError


def write_json(path: Path, value: Any) -> None:
    """Writes `value` so that a reader sees all of it or what was there before. The bytes of a name
    that are no UTF-8 (Python's lone surrogates) are written as JSON escapes them."""
    text = json.dumps(value, indent=1, ensure_ascii=False) + "\n"
    with atomic_files.replacing(path) as file:
        file.write(text.encode("utf-8", "backslashreplace"))


def read_json(path: Path) -> Any:
    """What `write_json` wrote.

    Raises:
      InputError: there is no such file, or it is damaged.
    """
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged: {error}") from error


def plain(value: Any) -> Any:
    """`value` as it will be read: tuples are lists, keys are strings."""
    return json.loads(json.dumps(value))


def fingerprint(value: Any, digits: int = 8, sort_keys: bool = True) -> str:
    """The first hexadecimal digits of the SHA-256 of `value` as JSON; all of them are 64.

    Without `sort_keys` the order of the keys counts too: prepared corpora are named that way.
    """
    text = json.dumps(value, sort_keys=sort_keys)
    return hashlib.sha256(text.encode()).hexdigest()[:digits]
