"""Whether a text is still the one that was prepared, by its files' size and time or its version."""

from collections.abc import Mapping
from pathlib import Path

from xl_jax.config import Config
from xl_jax.errors import InputError
from xl_jax.json_files import fingerprint, read_json, write_json
from xl_jax.text.corpora import Corpus, open_corpora, pinned
from xl_jax.text.documents import State


def state(corpora: Mapping[str, Corpus]) -> dict[str, State]:
    """What tells whether a text has changed, for every language with text of its own; for JSON."""
    return {x: c.source.state() for x, c in corpora.items() if c.own_text or not c.base}


def write(path: Path, found: Mapping[str, State]) -> None:
    """Keeps what `state` returned."""
    write_json(path, {"text": found, "digest": fingerprint(found, 64)})


def read(path: Path) -> dict[str, State]:
    """What was kept; an earlier version kept it without a digest.

    Raises:
      InputError: it is damaged.
    """
    found = read_json(path)
    if isinstance(found, dict) and all(isinstance(x, dict) for x in found.values()):
        return found
    text = found.get("text") if isinstance(found, dict) else None
    if not isinstance(text, dict) or fingerprint(text, 64) != found.get("digest"):
        raise InputError(f"{path} is damaged")
    return text


def changed(config: Config, before: Mapping[str, State]) -> dict[str, str]:
    """The languages whose text is another than it was when `state` returned `before`, and the first
    difference; none where the text is not there any more."""
    if not any(before.values()):
        return {}
    try:
        corpora = open_corpora(pinned({x: config.corpora[x] for x in config.languages}, before))
    except InputError:
        return {}
    now = state(corpora)
    found = {x: _difference(old, now.get(x, {})) for x, old in before.items()}
    return {x: why for x, why in found.items() if why}


def _difference(before: State, now: State) -> str:
    """The first difference, "" for none."""
    for name in sorted({*before, *now}):
        old, new = before.get(name), now.get(name)
        if old == new:
            continue
        if old is None or new is None:
            return f"{name} is {'new' if old is None else 'gone'}"
        if isinstance(old, list) and isinstance(new, list):
            sizes = f"{old[0]:,} bytes then, {new[0]:,} now"
            return f"{name}: {sizes if old[0] != new[0] else 'written again, of the same size'}"
        return f"{name}: {old} then, {new} now"
    return ""
