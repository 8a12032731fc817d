"""Names that come from elsewhere, a language's for one, as names of files."""

from xl_jax.json_files import fingerprint

LONGEST = 80  # characters; systems take 255 bytes, and more is added to a name


def file_name(name: str) -> str:
    """`name` as one part of a path: never a folder, never hidden, not too long.

    Letters, digits and ._+-@ stay as they are; any other character becomes %XX, by its UTF-8 bytes.
    Different names stay different.
    """
    safe = "".join(c if c.isalnum() or c in "._+-@" else _quoted(c) for c in name)
    if safe[:1] in (".", ""):
        safe = f"%2E{safe[1:]}" if safe else "%"
    if len(safe.encode()) > LONGEST:
        start = safe.encode()[: LONGEST - 10].decode(errors="ignore")
        safe = f"{start}%{fingerprint(name)}"
    return safe


def _quoted(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))
