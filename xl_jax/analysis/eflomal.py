"""Which words of a sentence pair translate each other: links given in a file, or found by eflomal
in both directions, of which those are kept that both have.

eflomal is optional: pip install -r requirements-analysis.txt.
"""

import hashlib
import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int

from xl_jax import atomic_files
from xl_jax.errors import InputError
from xl_jax.progress import announced
from xl_jax.text.text_files import read_lines

Links = list[np.ndarray]  # of each sentence pair, int [links, 2]: (source word, target word)
DIGEST = "# sha256 "
_TOKEN = re.compile(r"[^\W_]+|[^\w\s]|_")


def tokenise(text: str) -> tuple[list[str], list[bool]]:
    """Words and signs of a text, and whether a space stands before each."""
    found = list(_TOKEN.finditer(text))
    spaced = [m.start() == 0 or text[m.start() - 1].isspace() for m in found]
    return [m.group() for m in found], spaced


def read_links(path: str, pairs: Sequence[tuple[Sequence[str], Sequence[str]]]) -> Links:
    """Links in Pharaoh format, "0-0 1-2", a line a sentence pair; words count from 0. A last line
    "# sha256 ..." is the digest of those before it, see `align`.

    Raises:
      InputError: no such file, another number of lines than pairs, a link that is none (file:line),
        another digest.
    """
    lines = read_lines(path)
    if lines and lines[-1].startswith(DIGEST):
        digest = lines.pop()
        if digest != _digest(lines):
            raise InputError(f"{path} is damaged: it has another digest")
    if len(lines) != len(pairs):
        raise InputError(f"{path} has {len(lines)} lines for {len(pairs)} sentence pairs")
    links = []
    for number, (line, (source, target)) in enumerate(zip(lines, pairs, strict=True), 1):
        found = []
        for text in line.split():
            link = re.fullmatch(r"(\d+)-(\d+)", text)
            if not link or int(link[1]) >= len(source) or int(link[2]) >= len(target):
                raise InputError(
                    f"{path}:{number}: {text!r} is no link between {len(source)} and "
                    f"{len(target)} words"
                )
            found.append((int(link[1]), int(link[2])))
        links.append(_array(found))
    return links


def align(
    pairs: Sequence[tuple[Sequence[str], Sequence[str]]],
    kept: Path,
    log: Callable[[str], None] = print,
) -> Links:
    """Links that eflomal finds in both directions, words in lower case; from the file `kept` where
    they are there: eflomal draws at random, and takes no seed. `log` is told of a damaged file, and
    that the work goes on.

    Raises:
      InputError: eflomal is not installed.
    """
    if kept.exists():
        try:
            return _read_kept(kept, pairs)
        except InputError as error:
            log(f"{error}: aligned again")
    try:
        import eflomal
    except ImportError as error:
        raise InputError(
            "word alignment needs eflomal: pip install -r requirements-analysis.txt; or give links "
            "with --data.links=FILE"
        ) from error
    sides = [[" ".join(words).lower() for words in side] for side in zip(*pairs, strict=True)]
    with announced("aligning words", log), tempfile.TemporaryDirectory() as folder:
        names = [f"{folder}/{name}" for name in ("forward", "back")]
        eflomal.Aligner().align(
            sides[0], sides[1], links_filename_fwd=names[0], links_filename_rev=names[1]
        )
        both = [_read_eflomal(name) for name in names]
    links = [_array(sorted(a & b)) for a, b in zip(*both, strict=True)]
    lines = [" ".join(f"{a}-{b}" for a, b in x.tolist()) for x in links]
    kept.parent.mkdir(parents=True, exist_ok=True)
    atomic_files.write(kept, "\n".join([*lines, _digest(lines)]) + "\n")
    return links


def _read_kept(path: Path, pairs: Sequence[tuple[Sequence[str], Sequence[str]]]) -> Links:
    """Those of early versions have no digest; what was cut off does not end in a line's end."""
    links = read_links(str(path), pairs)
    if not path.read_bytes().endswith(b"\n"):
        raise InputError(f"{path} is damaged: its end is missing")
    return links


def _digest(lines: Sequence[str]) -> str:
    return DIGEST + hashlib.sha256("\n".join(lines).encode()).hexdigest()


def one_to_one(links: Int[np.ndarray, "links 2"]) -> Int[np.ndarray, "kept 2"]:
    """The links, in order, without those of a word that has one already."""
    used: tuple[set[int], set[int]] = (set(), set())
    kept = []
    for a, b in links.tolist():
        if a not in used[0] and b not in used[1]:
            kept.append((a, b))
            used[0].add(a)
            used[1].add(b)
    return _array(kept)


def _read_eflomal(path: str) -> list[set[tuple[int, int]]]:
    lines = Path(path).read_text().split("\n")[:-1]
    return [{(int(a), int(b)) for a, b in (x.split("-") for x in ln.split())} for ln in lines]


def _array(links: Sequence[tuple[int, int]]) -> Int[np.ndarray, "links 2"]:
    return np.asarray(links, np.int64).reshape(-1, 2)
