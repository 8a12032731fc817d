"""A run directory in a bucket: a folder of this machine that is kept equal to it.

    gs://BUCKET/runs/x   <->   CACHE/gs/BUCKET/runs/x   CACHE: $XL_JAX_CACHE, or ~/.cache/xl_jax

All work reads and writes the folder. `pull` makes it equal to the bucket before the work begins;
`kept` copies what has changed to the bucket, every minute and at the end. Objects are whole or not
there. What consists of several (`UNITS`) counts as there when its last file has arrived, and old
objects are removed after new ones have: at any moment the bucket holds a run that continues.
"""

import fcntl
import os
import secrets
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from xl_jax.bucket import Bucket
from xl_jax.errors import InputError, first_line
from xl_jax.json_files import read_json, write_json
from xl_jax.progress import Bar

Log = Callable[[str], None]
Names = Collection[str]  # of what stands at the top of a run directory; none: all

CACHE = "XL_JAX_CACHE"
KNOWN = ".bucket.json"  # in the folder: the bucket, and what was last seen of its objects
USERS, COPYING = ".users", ".copying"  # locks: processes that work in the folder, that copy
UNITS = ("data", "checkpoints", "best")  # their folders are there as a whole or not at all
OWN = ("trainer.lock",)  # of each machine; the bucket has its own, see `runs.lock`
UNFINISHED = ".orbax-checkpoint-tmp"  # in the name of a checkpoint that is being written
EVERY = 60.0  # seconds between two copies of what has changed


class Seen(NamedTuple):
    """A file and an object when they were equal."""

    size: int
    changed: int  # nanoseconds; of the file
    version: str  # of the object


def here(name: str | Path) -> Path:
    """The folder of this machine for a run directory that a user named, in a bucket or not.

    Raises:
      InputError: no bucket, an unknown kind, or one whose package is missing.
    """
    scheme, found, rest = str(name).partition("://")
    if not found:
        return Path(name)
    inside, url = rest.strip("/"), str(name).rstrip("/")
    if not inside or ".." in inside.split("/") or rest.startswith("/") != (scheme == "file"):
        raise InputError(f"{name} names no folder of a bucket")
    Bucket(url)
    folder = Path(os.environ.get(CACHE) or Path.home() / ".cache" / "xl_jax") / scheme / inside
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / KNOWN).exists():
        write_json(folder / KNOWN, {"bucket": url, "id": secrets.token_hex(8), "files": {}})
    return folder


def opened(name: str | Path) -> Path:
    """`here`, with what the bucket holds; for those who read files without opening a run."""
    folder = here(name)
    pull(folder)
    return folder


def of(folder: Path) -> "Mirror | None":
    """The mirror whose folder it is; None: it is no bucket's."""
    return Mirror(folder) if (folder / KNOWN).exists() else None


def name(folder: Path) -> str:
    """What a user calls it."""
    mirror = of(folder)
    return mirror.bucket.url if mirror else str(folder)


def pull(folder: Path, names: Names = ()) -> None:
    """See `Mirror.pull`; nothing happens where the folder is no bucket's."""
    if mirror := of(folder):
        mirror.pull(names)


def push(folder: Path) -> None:
    """See `Mirror.push`; nothing happens where the folder is no bucket's."""
    if mirror := of(folder):
        mirror.push()


@contextmanager
def kept(folder: Path, log: Log = print) -> Iterator[None]:
    """Within the context the bucket gets what changes in its folder; nothing happens where that is
    no bucket's.

    Raises:
      InputError: the bucket cannot be written.
      RuntimeError: at the end not all is there; the folder has it.
    """
    mirror = of(folder)
    if mirror is None:
        yield
        return
    mirror.bucket.check_writable()
    done = threading.Event()
    pushing = threading.Thread(target=mirror.push_again, args=(done, log), daemon=True)
    with _locked(folder / USERS, shared=True):
        pushing.start()
        try:
            yield
        finally:
            done.set()
            pushing.join()
            mirror.push()


class Mirror:
    """A folder and its bucket."""

    def __init__(self, folder: Path):
        found = read_json(folder / KNOWN)
        self.folder, self.bucket = folder, Bucket(str(found["bucket"]))
        self.id = str(found["id"])  # of this folder among all that mirror the bucket

    def pull(self, names: Names = ()) -> None:
        """Makes the folder equal to the bucket, except that prepared text which is not in the
        bucket stays. A folder stays as it is where nobody else has changed the bucket since this
        machine last did, or where a process of this machine works in it: it is ahead then.

        Raises:
          InputError: the bucket cannot be read.
        """
        with (
            suppress(BlockingIOError),
            _locked(self.folder / COPYING, wait=True),
            _locked(self.folder / USERS),
        ):
            self._pull(names)

    def push(self) -> None:
        """Copies what has changed in the folder to the bucket.

        Raises:
          RuntimeError: it cannot be written.
        """
        with _locked(self.folder / COPYING, wait=True):
            known = self._known()
            try:
                self._push(known)
            except (RuntimeError, InputError) as error:
                raise RuntimeError(f"{error}; {self.folder} has all of it") from error
            finally:
                self._keep(known)

    def push_again(self, done: threading.Event, log: Log) -> None:
        """Pushes every `EVERY` seconds until `done`; what fails is told of once and tried again."""
        told = False
        while not done.wait(EVERY):
            try:
                self.push()
                told = False
            except (RuntimeError, OSError) as error:
                if not told:
                    log(f"{first_line(error)}; tried again every {EVERY:.0f} s")
                told = True

    def _pull(self, names: Names) -> None:
        there = {x: y for x, y in self.bucket.objects().items() if _belongs(x) and _is(x, names)}
        known = self._known()
        seen = {x: y.version for x, y in known.items() if _is(x, names)}
        if seen == {x: y.version for x, y in there.items()}:
            return
        wanted = _whole(there)
        stale = [x for x in wanted if known.get(x) != (*self._stamp(x), there[x].version)]
        copying = f"copying from {self.bucket.url}"
        try:
            for x in _told(stale, [there[x].size for x in stale], copying):
                known.pop(x, None)
                self._download(x)
                known[x] = Seen(*self._stamp(x), there[x].version)
        except RuntimeError as error:
            raise InputError(str(error)) from error
        finally:
            self._keep({x: y for x, y in known.items() if x in there or not _is(x, names)})
        for x in self._files():
            if _is(x, names) and x not in wanted and not x.startswith("data/"):
                (self.folder / x).unlink()
        _remove_empty(self.folder)

    def _push(self, known: dict[str, Seen]) -> None:
        stamps = {x: self._stamp(x) for x in _whole(self._files())}
        changed = [x for x, stamp in stamps.items() if known.get(x, ())[:2] != stamp]
        changed.sort(key=lambda x: (x.startswith(UNITS[1:]), _is_last(x), x))
        copying = f"copying to {self.bucket.url}"
        for x in _told(changed, [stamps[x][0] for x in changed], copying):
            try:
                self.bucket.put(self.folder / x, x)
            except RuntimeError:
                if (self.folder / x).exists():  # else it was removed meanwhile
                    raise
        there = self.bucket.objects() if changed else {}
        known |= {x: Seen(*stamps[x], there[x].version) for x in changed if x in there}
        gone = [x for x in known if not (self.folder / x).exists()]
        for x in sorted(gone, key=lambda x: not _is_last(x)):
            self.bucket.remove(x)
            del known[x]

    def _files(self) -> list[str]:
        """What belongs to the run directory in the folder."""
        found = []
        for parent, folders, files in os.walk(self.folder):
            folders[:] = [x for x in folders if _belongs(x)]
            paths = [Path(parent, x) for x in files if _belongs(x)]
            found += [x.relative_to(self.folder).as_posix() for x in paths if not x.is_symlink()]
        return sorted(found)

    def _stamp(self, name: str) -> tuple[int, int]:
        try:
            status = (self.folder / name).stat()
        except FileNotFoundError:
            return -1, -1
        return status.st_size, status.st_mtime_ns

    def _download(self, name: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        half = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            self.bucket.get(name, half)
            half.replace(path)
        finally:
            half.unlink(missing_ok=True)

    def _known(self) -> dict[str, Seen]:
        return {x: Seen(*y) for x, y in read_json(self.folder / KNOWN)["files"].items()}

    def _keep(self, known: dict[str, Seen]) -> None:
        about = {"bucket": self.bucket.url, "id": self.id, "files": known}
        write_json(self.folder / KNOWN, about)


def _told(names: list[str], sizes: list[int], what: str) -> Iterator[str]:
    """The names; what takes long is told of."""
    with Bar(what, sum(sizes), "B") as bar:
        for name, size in zip(names, sizes, strict=True):
            yield name
            bar.advance(size)


def _belongs(name: str) -> bool:
    """Whether it is part of a run directory, and not of how a machine makes one."""
    parts = name.split("/")
    return not any(x.startswith(".") or UNFINISHED in x or x in OWN for x in parts)


def _is(name: str, names: Names) -> bool:
    return not names or name.split("/")[0] in names


def _unit(name: str) -> str:
    """The folder that is there as a whole or not at all, and has this file; "" if none has."""
    kind, *rest = name.split("/")
    return f"{kind}/{rest[0]}" if kind in UNITS and len(rest) > 1 else ""


def _last(unit: str) -> str:
    """The file of a unit that is copied last, and removed first."""
    kind, name = unit.split("/")
    if kind != "data":
        return f"{unit}/_CHECKPOINT_METADATA"
    vocabulary = name == "given" or name.startswith("start-")
    return f"{unit}/{'vocab.json' if vocabulary else 'header.json'}"


def _is_last(name: str) -> bool:
    unit = _unit(name)
    return bool(unit) and name == _last(unit)


def _whole(names: Iterable[str]) -> list[str]:
    """Without the files of units that lack their last one."""
    there = set(names)
    return sorted(x for x in there if not (unit := _unit(x)) or _last(unit) in there)


def _remove_empty(folder: Path) -> None:
    for parent, _, _ in os.walk(folder, topdown=False):
        if Path(parent) != folder and _belongs(Path(parent).relative_to(folder).as_posix()):
            with suppress(OSError):
                Path(parent).rmdir()


@contextmanager
def _locked(path: Path, shared: bool = False, wait: bool = False) -> Iterator[None]:
    """Within the context no other process has the lock, or with `shared` only such ones.

    Raises:
      BlockingIOError: one has, and `wait` is not given.
    """
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    with path.open("a") as file:
        fcntl.flock(file, kind if shared or wait else kind | fcntl.LOCK_NB)
        yield
