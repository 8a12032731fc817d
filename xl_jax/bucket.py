"""A folder of a bucket, as objects: read, written and removed whole.

Buckets are reached through fsspec: gs:// needs the package gcsfs, s3:// s3fs, az:// adlfs; file://
is a bucket that is mounted. What their clients raise is one line here.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from xl_jax.errors import InputError, first_line, unknown

PACKAGES = {"gs": "gcsfs", "s3": "s3fs", "az": "adlfs"}
SMALL = 1 << 24  # bytes of a file that may grow while it is sent: it is read first


class Object(NamedTuple):
    size: int
    version: str  # another one whenever it is written


class Bucket:
    """The objects under `url`, named by the rest of their path.

    Raises:
      InputError: an unknown kind of bucket, or one whose package is missing.
    """

    def __init__(self, url: str):
        self.url = url
        self._files, root = _reach(url)
        self._root = root.rstrip("/")

    def check_writable(self) -> None:
        """Raises InputError: nothing can be written, or nothing can be removed."""
        probe = self._path(f".probe-{os.getpid()}-{time.time_ns()}")
        with self._told("written", InputError):
            self._files.pipe_file(probe, b"?")
            self._files.rm_file(probe)

    def objects(self) -> dict[str, Object]:
        """All that are there. Raises InputError: it cannot be read."""
        self._files.invalidate_cache()
        found: dict[str, Any] = {}
        with self._told("read", InputError), suppress(FileNotFoundError):
            found = self._files.find(self._root, detail=True)
        start = self._path("")
        return {x.removeprefix(start): _object(y) for x, y in found.items() if x.startswith(start)}

    def read(self, name: str) -> bytes | None:
        """None: it is not there. Raises RuntimeError: it cannot be read."""
        with self._told("read"), suppress(FileNotFoundError):
            return bytes(self._files.cat_file(self._path(name)))
        return None

    def write(self, name: str, content: bytes) -> None:
        """Raises RuntimeError: it cannot be written."""
        with self._told("written"):
            self._files.pipe_file(self._path(name), content)

    def remove(self, name: str) -> None:
        """Raises RuntimeError: it cannot be removed."""
        with self._told("written"), suppress(FileNotFoundError):
            self._files.rm_file(self._path(name))

    def get(self, name: str, path: Path) -> None:
        """Copies it to the file `path`. Raises RuntimeError: it cannot be read, or it changes."""
        with self._told("read"):
            size = self._files.info(self._path(name))["size"]
            self._files.get_file(self._path(name), str(path))
            if (got := path.stat().st_size) != size:
                raise OSError(f"{name}: {got} bytes came of {size}")

    def put(self, path: Path, name: str) -> None:
        """Copies the file `path` there. Raises RuntimeError: it cannot be written."""
        with self._told("written"):
            if path.stat().st_size <= SMALL:
                self._files.pipe_file(self._path(name), path.read_bytes())
            else:
                self._files.put_file(str(path), self._path(name))

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    @contextmanager
    def _told(self, what: str, kind: type[Exception] = RuntimeError) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # every client has its own
            raise kind(f"{self.url} cannot be {what}: {first_line(error)}") from error


def _object(info: dict[str, Any]) -> Object:
    fields = ("generation", "etag", "ETag", "mtime", "LastModified", "last_modified", "created")
    written = next((f"{x} {info[x]}" for x in fields if info.get(x)), "")
    return Object(int(info["size"]), written)


def _reach(url: str) -> tuple[Any, str]:
    """The client, and the path that it knows."""
    import fsspec  # half a second

    scheme = url.partition("://")[0]
    if scheme not in fsspec.available_protocols():
        raise unknown("kind of bucket", f"{scheme}://", [f"{x}://" for x in PACKAGES])
    try:
        options = {"auto_mkdir": True} if scheme == "file" else {}
        found: tuple[Any, str] = fsspec.core.url_to_fs(url, **options)
        return found
    except ImportError as error:
        package = PACKAGES.get(scheme, f"fsspec's for {scheme}")
        raise InputError(f"{url}: {scheme}:// needs a package: pip install {package}") from error
    except Exception as error:
        raise InputError(f"{url} cannot be reached: {first_line(error)}") from error
