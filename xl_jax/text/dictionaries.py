"""Bilingual dictionaries from files: pairs of words as MUSE's, weighted tables as PanLex's."""

import math
import unicodedata

from xl_jax.errors import InputError
from xl_jax.text.text_files import open_bytes

Entry = tuple[str, str, float]  # word, translation, weight


def read(name: str) -> list[Entry]:
    """The lines of a dictionary file, compressed or not, in order, in Unicode normal form C.

    A line is `word translation`, or the two with a tab between them, which then may have several
    words; a third column between tabs is the pair's positive weight (1 where there is none). All
    lines have the same number of columns; blank ones are skipped.

    Raises:
      InputError: a file that cannot be read or has no pair; a line of other columns, not in UTF-8,
        or with a weight that is no positive number (named as file:line).
    """
    entries: list[Entry] = []
    n_columns = 0  # of the first line
    try:
        file = open_bytes(name)
    except OSError as error:
        raise InputError(f"dictionary {name}: {error.strerror}") from error
    with file:
        for number, raw in enumerate(file, 1):
            try:
                line = unicodedata.normalize("NFC", raw.decode("utf-8-sig").strip())
            except UnicodeDecodeError as error:
                raise InputError(f"{name}:{number}: not UTF-8 text ({error.reason})") from error
            if not line:
                continue
            tabs = "\t" in line
            columns = [x.strip() for x in line.split("\t")] if tabs else line.split()
            if len(columns) not in ({n_columns} if n_columns else {2, 3} if tabs else {2}):
                raise InputError(
                    f"{name}:{number}: {len(columns)} columns, expected two (word, translation), "
                    f"or three between tabs (and a weight), as many in every line: {line!r}"
                )
            if not all(columns):
                raise InputError(f"{name}:{number}: an empty column: {line!r}")
            n_columns = len(columns)
            weight = _weight(columns[2], f"{name}:{number}") if n_columns == 3 else 1.0
            entries.append((columns[0], columns[1], weight))
    if not entries:
        raise InputError(f"dictionary {name}: no word pair")
    return entries


def _weight(text: str, where: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if not 0 < weight < math.inf:
        raise InputError(f"{where}: weight {text!r} is not a positive number")
    return weight
