"""Digests of the files of a prepared corpus, so that damage is noticed before it is trained on.

digests.json holds the SHA-256 of every file. Reading all of them at every opening would take long:
verified.json holds the size and time that a file had when its digest was last found right, and only
a file with another size or time is read again.
"""

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from xl_jax.errors import InputError
from xl_jax.json_files import fingerprint, read_json, write_json

DIGESTS, VERIFIED = "digests.json", "verified.json"
SOURCE = "source.json"  # what the text was; another machine's copy of it has other times
REQUEST = "request.json"  # of work that is not finished
WITHOUT_DIGEST = {DIGESTS, VERIFIED, SOURCE, REQUEST}


def record(folder: Path) -> None:
    """Writes the digests of the files that are there, which count as intact from now on."""
    names = _files(folder)
    stamps = _stamps(folder, names)
    digests = _digests(folder, names)
    write_json(folder / DIGESTS, {"files": digests, "digest": fingerprint(digests, 64)})
    write_json(folder / VERIFIED, stamps)


def damaged(folder: Path, full: bool = False) -> list[str]:
    """Names of the files that are missing or not as they were written. A corpus without digests,
    of an earlier version, gets them; lost digests are made again if no file has changed since the
    last verification.

    Args:
      full: read every file, also those whose size and time are those of the last verification.

    Raises:
      InputError: it cannot be told.
    """
    path, known = folder / DIGESTS, _verified(folder)
    try:
        digests = _recorded(path)
    except InputError:
        if not (folder / "header.json").exists():
            raise InputError(
                f"{folder} has no header.json: it is not complete; remove it, and it is prepared "
                "again"
            ) from None
        earlier = not known and not path.exists()
        if not earlier and known != _stamps(folder, _files(folder)):
            raise
        with suppress(OSError):  # a folder that is only read
            record(folder)
        return []
    stamps = _stamps(folder, digests)
    unknown = [x for x in digests if x in stamps and (full or stamps[x] != known.get(x))]
    found = _digests(folder, unknown)
    wrong = [x for x in digests if x not in stamps or (x in found and found[x] != digests[x])]
    if unknown:
        with suppress(OSError):
            write_json(folder / VERIFIED, {x: stamps[x] for x in digests if x not in wrong})
    return wrong


def replace(folder: Path, made: Path, names: Iterable[str]) -> None:
    """Moves the files `names` of the folder `made` into `folder`, if they equal the lost ones.

    Raises:
      InputError: one has another digest than the lost one.
    """
    names = list(names)
    digests, found = _recorded(folder / DIGESTS), _digests(made, names)
    for name in names:
        if found.get(name) != digests[name]:
            raise InputError(
                f"{folder / name} is damaged, and its text (or this program) is no longer what it "
                f"was made from: remove {folder}, and the text is prepared as it is now"
            )
    for name in names:
        (made / name).replace(folder / name)


def _recorded(path: Path) -> dict[str, str]:
    """The digests by name of the file."""
    found: Any = read_json(path)
    files: Any = found.get("files", "") if isinstance(found, dict) else ""
    intact = isinstance(files, dict) and fingerprint(files, 64) == found.get("digest")
    if not intact or any(Path(x).name != x for x in files):
        raise InputError(
            f"{path} is damaged: remove {path.parent} to prepare the text again, or this file if "
            "the others are known to be intact"
        )
    return files


def _files(folder: Path) -> list[str]:
    """Names of the files that have digests."""
    names = sorted(x.name for x in folder.iterdir() if x.is_file() and x.name[0] != ".")
    return [x for x in names if x not in WITHOUT_DIGEST]


def _verified(folder: Path) -> dict[str, list[int]]:
    try:
        found = read_json(folder / VERIFIED)
    except InputError:  # then every file is read
        return {}
    return found if isinstance(found, dict) else {}


def _stamps(folder: Path, names: Iterable[str]) -> dict[str, list[int]]:
    """[size, nanoseconds of the last change] of each file that is there."""
    stamps = {}
    for name in names:
        with suppress(FileNotFoundError):
            status = (folder / name).stat()
            stamps[name] = [status.st_size, status.st_mtime_ns]
    return stamps


def _digests(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """SHA-256 of each file that is there, over the cores of this machine."""
    names = [x for x in names if (folder / x).is_file()]
    with ThreadPoolExecutor() as pool:
        return dict(zip(names, pool.map(lambda x: _sha256(folder / x), names), strict=True))


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:  # a bad block, say: as good as another content
        return f"unreadable: {error.strerror}"
