"""One trainer a bucket: an object that its holder writes anew again and again.

One that stays as it is while somebody watches is of a dead holder. A bucket cannot lock: who finds
nobody alive writes its own object and looks again a little later, so that of several the last one
stays.
"""

import json
import secrets
import time
from collections.abc import Mapping
from typing import Any

from xl_jax.devices import multihost
from xl_jax.mirror import Mirror

NAME = "trainer.lock"
ME = secrets.token_hex(8)
WATCHED = 30.0  # seconds; several times those between two writes
SETTLED = 3.0  # seconds in which a bucket shows what was written


def living(mirror: Mirror) -> dict[str, Any]:
    """Who trains in the bucket, of other folders than this one, whose own lock has told already.
    Nobody where that process is dead, and then its lock is removed."""
    holder = _read(mirror)
    if not holder:
        return {}
    if holder["folder"] != mirror.id:
        who = f"process {holder['process']} on {holder['host']}"
        multihost.say(f"{mirror.bucket.url}: is {who} alive? Known in {WATCHED:.0f} s")
        time.sleep(WATCHED)
        if (now := _read(mirror)) and now != holder:
            return now
    mirror.bucket.remove(NAME)
    return {}


def claim(mirror: Mirror, me: Mapping[str, Any]) -> dict[str, Any]:
    """Takes the lock; who has it instead, where another process was faster."""
    if holder := living(mirror):
        return holder
    write(mirror, me)
    time.sleep(SETTLED)
    holder = _read(mirror)
    return {} if holder.get("id") == ME else holder or {**me, "process": "another"}


def renew(mirror: Mirror, me: Mapping[str, Any]) -> None:
    if _read(mirror).get("id", ME) == ME:
        write(mirror, me)


def leave(mirror: Mirror) -> None:
    if _read(mirror).get("id") == ME:
        mirror.bucket.remove(NAME)


def write(mirror: Mirror, me: Mapping[str, Any]) -> None:
    mine = {"id": ME, "folder": mirror.id, "written": time.time_ns()}
    mirror.bucket.write(NAME, json.dumps({**me, **mine}).encode())


def _read(mirror: Mirror) -> dict[str, Any]:
    """What the lock says; nothing where it is not there, or damaged."""
    names = ("host", "process", "since", "id", "folder", "written")
    try:
        found = json.loads(mirror.bucket.read(NAME) or b"{}")
        return {name: found[name] for name in names}
    except (ValueError, KeyError, TypeError):
        return {}
