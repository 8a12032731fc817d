"""One trainer a run directory: a lock that a dead process does not keep.

The lock is `trainer.lock` in the run directory, which names its holder and is touched every few
seconds. On one machine the kernel lets go of it when the holder dies. A holder on another host, on
a shared file system, counts as dead when its file was not touched for a while. A run in a bucket
has one lock there as well, for all machines (see `bucket_lock`).
"""

import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from xl_jax import mirror
from xl_jax.devices import multihost
from xl_jax.errors import InputError
from xl_jax.runs import bucket_lock

NAME = "trainer.lock"
BEAT = 10.0  # seconds between two touches
DEAD = 90.0  # seconds without one


@contextmanager
def training(folder: Path) -> Iterator[None]:
    """Within the context no other process trains in `folder` (of several processes of one run, the
    first holds the lock for all).

    Raises:
      InputError: one does; names it.
    """
    held = multihost.first_alone(lambda: _claim(folder), f"locking {mirror.name(folder)}")
    if held is None:
        yield
        return
    mirrored, done = mirror.of(folder), threading.Event()
    beating = threading.Thread(target=_beat, args=(held, mirrored, done), daemon=True)
    beating.start()
    try:
        yield
    finally:
        done.set()
        beating.join()
        if mirrored:
            with suppress(RuntimeError):
                bucket_lock.leave(mirrored)
        _release(held)


def check(folder: Path) -> None:
    """Raises InputError: another process trains in `folder`."""
    if not multihost.is_first():
        return
    if (folder / NAME).exists():
        _release(_acquire(folder))
    if (mirrored := mirror.of(folder)) and (holder := bucket_lock.living(mirrored)):
        raise _refused(mirrored.bucket.url, holder)


def _claim(folder: Path) -> int | None:
    """The descriptor of the locked file in the first process, None in others."""
    if not multihost.is_first():
        return None
    held = _acquire(folder)
    if (mirrored := mirror.of(folder)) and (holder := bucket_lock.claim(mirrored, _me())):
        _release(held)
        raise _refused(mirrored.bucket.url, holder)
    return held


def _release(descriptor: int) -> None:
    os.ftruncate(descriptor, 0)
    os.close(descriptor)


def _me() -> dict[str, Any]:
    return {"host": socket.gethostname(), "process": os.getpid(), "since": time.strftime("%F %T")}


def _refused(where: object, holder: dict[str, Any]) -> InputError:
    return InputError(
        f"{where}: {_said(holder)} trains this run; wait for it, or name another directory "
        f"with --workdir (a dead one on another host is noticed after {DEAD:.0f} s)"
    )


def _acquire(folder: Path) -> int:
    """The descriptor of the locked file."""
    path = folder / NAME
    if path.is_symlink():
        raise InputError(f"{path} is a link: remove it")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        here = _locked(descriptor)
        holder = _holder(descriptor)
        far = holder and not (here and holder["host"] == socket.gethostname())
        if far and _age(folder, path) < DEAD:
            raise BlockingIOError
    except BlockingIOError:
        holder = _holder(descriptor)
        os.close(descriptor)
        raise _refused(folder, holder) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(_me()).encode(), 0)
    return descriptor


def _locked(descriptor: int) -> bool:
    """Locks the file. False: this file system cannot; BlockingIOError: another process has."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        return False
    return True


def _beat(descriptor: int, mirrored: mirror.Mirror | None, done: threading.Event) -> None:
    while not done.wait(BEAT):
        os.utime(descriptor)
        if mirrored:
            with suppress(RuntimeError):  # there is a next time
                bucket_lock.renew(mirrored, _me())


def _holder(descriptor: int) -> dict[str, Any]:
    """Who wrote the lock; nobody where it is empty or damaged."""
    try:
        found = json.loads(os.pread(descriptor, 4096, 0))
        return {name: found[name] for name in ("host", "process", "since")}
    except (ValueError, KeyError, TypeError):
        return {}


def _said(holder: dict[str, Any]) -> str:
    if not holder:
        return "another process"
    return f"process {holder['process']} on {holder['host']} (since {holder['since']})"


def _age(folder: Path, path: Path) -> float:
    """Seconds since the lock was touched, by the clock of the file system."""
    probe = folder / f".{NAME}.{os.getpid()}"
    probe.touch()
    try:
        return probe.stat().st_mtime - path.stat().st_mtime
    finally:
        probe.unlink()
