"""A stand-in of the Hugging Face Hub: the requests that huggingface_hub makes for a set, answered
from memory on this machine."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

COMMIT = "0123456789abcdef" * 2 + "01234567"


@dataclass
class Repository:
    """`commits`: what a commit holds, by file name; `refs`: what a name stands for."""

    commits: dict[str, dict[str, bytes]]
    refs: dict[str, str] = field(default_factory=lambda: {"main": COMMIT})
    card: dict[str, Any] = field(default_factory=dict)
    gated: bool = False


@dataclass
class StandIn:
    """`cut`: bytes after which a download of a file ends, once; `requests`: what was asked for."""

    sets: dict[str, Repository] = field(default_factory=dict)
    cut: dict[str, int] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)


@contextmanager
def served(hub: StandIn, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """`hub` as the hub of huggingface_hub in this process, with an own cache; its address."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, body: bool) -> None:
            path = unquote(self.path.partition("?")[0])
            hub.requests.append(f"{self.command} {path}")
            match = re.fullmatch(
                r"/(?:api/)?datasets/([\w.-]+/[\w.-]+)/(revision|resolve)/"
                r"(refs/convert/parquet|[^/]+)/?(.*)",
                path,
            )
            repository = hub.sets.get(match[1]) if match else None
            if not match or repository is None:
                return self.fail(401, "RepoNotFound")
            if repository.gated:
                return self.fail(403, "GatedRepo")
            commit = repository.refs.get(match[3], match[3])
            files = repository.commits.get(commit)
            if files is None:
                return self.fail(404, "RevisionNotFound")
            if match[2] == "revision":
                siblings = [{"rfilename": x, "size": len(data)} for x, data in files.items()]
                info = {"id": match[1], "sha": commit, "siblings": siblings, "gated": False}
                return self.send(200, json.dumps(info | {"cardData": repository.card}).encode())
            if match[4] not in files:
                return self.fail(404, "EntryNotFound")
            data = files[match[4]]
            headers = {"ETag": f'"{etag(data)}"', "X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
            asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            status = 200
            if asked:
                status, end = 206, int(asked[2] or len(data) - 1) + 1
                headers["Content-Range"] = f"bytes {asked[1]}-{end - 1}/{len(data)}"
                data = data[int(asked[1]) : end]
            self.send(status, data, headers, body, hub.cut.pop(match[4], None) if body else None)

        def send(
            self,
            status: int,
            data: bytes,
            headers: dict[str, str] | None = None,
            body: bool = True,
            cut: int | None = None,
        ) -> None:
            self.send_response(status)
            for name, value in {**(headers or {}), "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            if body:
                self.wfile.write(data[:cut])
            self.close_connection = cut is not None

        def fail(self, status: int, code: str) -> None:
            self.send(status, b"{}", {"X-Error-Code": code})

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    try:
        use(address, cache, monkeypatch)
        yield address
    finally:
        server.shutdown()
        server.server_close()


def use(address: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process, and those that it starts, take `address` for the hub."""
    from huggingface_hub import constants

    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setenv("HF_ENDPOINT", address)
    monkeypatch.setenv("HF_HUB_CACHE", str(cache))


def etag(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()
