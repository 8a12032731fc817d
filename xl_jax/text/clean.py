"""What is done to lines of text first: Unicode form, white space, sentences, lengths, scripts."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from itertools import chain

import numpy as np
import sentencex
from fontTools.unicodedata import Scripts

from xl_jax.config import Clean
from xl_jax.errors import unknown
from xl_jax.text.documents import Document

LONGEST_LINE = 1 << 20  # characters; longer ones are cut: encoding takes hundreds of bytes for each

# Control characters, soft hyphen, zero-width space, marks of direction, word joiner, byte order
# mark, notes between lines, half of a character. Zero-width (non-)joiners are spelling: they stay.
_INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff]+"
)
_BEFORE_NUMBER = re.compile(r"(?<=[。！？｡])(?=\d)")


class Cleaner:
    """Cleans a document line by line, in this order: NFC; white space made single blanks, control
    and invisible characters dropped; sentences divided; very long lines cut; lines dropped by
    length and by script.

    Args:
      config: which of these.
      script: lines mostly in others are dropped, see `own_letters`; "" = none is.
      prose: language whose rules divide a line into sentences, see `sentences`; "" = not divided.
    """

    def __init__(self, config: Clean, script: str = "", prose: str = "") -> None:
        self._nfc, self._control, self._prose = config.nfc, config.control, prose
        self._shortest = max(config.shortest, 1)
        self._longest = config.longest or LONGEST_LINE
        self._own = own_letters(script) if script else None
        self._simple = config.nfc and config.control and not (prose or script)
        self._ascii = not script or "Latin" in script.split("+")

    def __call__(self, document: Document, counts: Counter[str]) -> Document:
        """The lines that are kept, maybe none. Adds to `counts` the lines changed (`nfc`,
        `control`), cut (`cut_lines`) and dropped (`too_short`, `too_long`, `other_script`)."""
        return next(self.many([document], counts), [])

    def many(self, documents: Sequence[Document], counts: Counter[str]) -> Iterator[Document]:
        """The same for each of many documents; those without a line left are left out."""
        if not documents:
            return
        if self._simple and self._are_clean(documents):
            yield from filter(None, documents)
        elif len(documents) == 1:
            if document := self._clean(documents[0], counts):
                yield document
        else:
            half = len(documents) // 2
            yield from self.many(documents[:half], counts)
            yield from self.many(documents[half:], counts)

    def _are_clean(self, documents: Sequence[Document]) -> bool:
        """Whether nothing is to be done, as for nearly all text: looking at a thousand documents as
        one string is what makes cleaning quick."""
        lines = list(chain.from_iterable(documents))
        lengths = list(map(len, lines)) or [0]
        if min(lengths) < self._shortest or max(lengths) > min(self._longest, LONGEST_LINE):
            return False
        text = " ".join(lines)
        return _is_plain(text) and (text.isascii() or _is_nfc(text))

    def _clean(self, document: Document, counts: Counter[str]) -> Document:
        lines = document
        if self._nfc:
            lines = [x if x.isascii() or _is_nfc(x) else _to_nfc(x, counts) for x in lines]
        if self._control:
            lines = [
                x if x.isprintable() and "  " not in x else _printable(x, counts) for x in lines
            ]
        if self._prose:
            lines = [y for x in lines for y in sentences(x, self._prose)]
        return [y for x in lines for y in self._cut(x, counts) if self._keeps(y, counts)]

    def _cut(self, line: str, counts: Counter[str]) -> Iterator[str]:
        while len(line) > LONGEST_LINE:
            counts["cut_lines"] += 1
            end = line.rfind(" ", 0, LONGEST_LINE) + 1 or LONGEST_LINE
            yield line[:end].rstrip()
            line = line[end:]
        yield line

    def _keeps(self, line: str, counts: Counter[str]) -> bool:
        if not self._shortest <= len(line) <= self._longest:
            counts["too_short" if len(line) < self._shortest else "too_long"] += 1
            return False
        if self._own is not None and not (self._ascii and line.isascii()):
            if self._own[_codes(line)].sum(dtype=np.int64) < 0:
                counts["other_script"] += 1
                return False
        return True


def sentences(line: str, language: str) -> list[str]:
    """The sentences of a line of prose.

    `sentencex` has the abbreviations of some 300 languages (English ones for a name that it does
    not know). It does not divide before a number; after a full stop of full width that is wrong.
    """
    lines = [line] if line.isascii() else _BEFORE_NUMBER.split(line)
    return [y for x in lines for s in sentencex.segment(language, x) if (y := s.strip())]


def check_script(names: str) -> None:
    """Raises InputError for a name that is not a script of Unicode; several are joined by +."""
    for name in names.split("+"):
        if name not in _CODES:
            raise unknown("script", name, _CODES)


@lru_cache(maxsize=8)
def own_letters(names: str) -> np.ndarray:
    """int8[code points]: 1 for the letters of the named scripts, -1 for other letters, else 0.

    A line is mostly in these scripts where the sum over its characters is not negative; digits,
    punctuation and white space do not count, nor does a line without letters.
    """
    check_script(names)
    letters = np.frombuffer(bytes(chr(c).isalpha() for c in range(0x110000)), np.bool_)
    starts = np.array([*Scripts.RANGES, 0x110000])
    codes = {_CODES[name] for name in names.split("+")}
    own = np.repeat([value in codes for value in Scripts.VALUES], np.diff(starts))
    return np.where(letters, np.where(own, 1, -1), 0).astype(np.int8)


# Script names of Unicode -> codes. Common and Inherited are characters, not languages' letters.
_CODES = {
    name: code for code, name in Scripts.NAMES.items() if code not in ("Zyyy", "Zinh", "Zzzz")
}


def _is_plain(text: str) -> bool:
    """`text.isprintable() and "  " not in text`, two to three times as quick for long texts."""
    codes = _codes(text)
    blank = codes == ord(" ")
    return bool(_printables().take(codes).all() and not (blank[1:] & blank[:-1]).any())


@cache
def _printables() -> np.ndarray:
    """bool[code points]."""
    return np.frombuffer(bytes(chr(c).isprintable() for c in range(0x110000)), np.bool_)


def _codes(text: str) -> np.ndarray:
    """uint32[characters]: code points."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def _is_nfc(line: str) -> bool:
    return unicodedata.is_normalized("NFC", line)


def _to_nfc(line: str, counts: Counter[str]) -> str:
    counts["nfc"] += 1
    return unicodedata.normalize("NFC", line)


def _printable(line: str, counts: Counter[str]) -> str:
    result = " ".join(line.split())
    if not result.isprintable():
        result = " ".join(_INVISIBLE.sub("", result).split())
    if result != line:
        counts["control"] += 1
    return result
