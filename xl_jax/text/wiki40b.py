"""The structure marks of Wiki-40B, wherever the set comes from.

A mark has a line of its own, before its text; paragraphs are divided by _NEWLINE_.
"""

import re

_TITLE = re.compile(r"_START_(?:ARTICLE|SECTION)_\n[^\n]*")
_MARK = re.compile(r"_START_PARAGRAPH_|_NEWLINE_")


def without_marks(text: str) -> str:
    """Paragraphs become lines; titles of articles and sections, no sentences, are dropped. Text
    without marks stays as it is."""
    return _MARK.sub("\n", _TITLE.sub("", text)) if "_START_" in text else text
