"""A line's words as the tokenizer of XLM makes them before its BPE: Moses, lower case, no accents.

It is what `XLMTokenizer` of transformers does, word for word, with sacremoses; Chinese is cut by
rjieba. Japanese and Thai need segmenters that are not supported.
"""

import re
import unicodedata
from collections.abc import Callable
from typing import Any

from xl_jax.errors import InputError

Words = Callable[[str], list[str]]

_WIDE = str.maketrans(  # Moses' replace-unicode-punctuation: a letter for a letter
    "，、”“∶：？《》）！（；」「０１２３４５６７８９～’━〈〉【】％",
    ',,""::?"")!(;""0123456789~\'-<>[]%',
)
_STOP = re.compile(r"[。．]\s*")
_ROMANIAN = str.maketrans("ŞşȘșŢţȚțĂăÂâÎî", "SsSsTtTtAaAaIi")
_UNKNOWN = {"ja": "KyTea", "th": "PyThaiNLP"}


def words(language: str, plain: bool) -> Words:
    """The function from a line to its words.

    Args:
      language: an ISO code; Moses reads one that it does not know as English.
      plain: in lower case and without accents (`do_lowercase_and_remove_accent`).

    Raises:
      InputError: a language of another segmenter; a package is missing.
    """
    if language in _UNKNOWN:
        raise InputError(
            f"XLM's tokenizer cuts {language} with {_UNKNOWN[language]}: not supported"
        )
    moses = _package("sacremoses")
    normal = moses.MosesPunctNormalizer(lang=language).normalize
    split = moses.MosesTokenizer(lang=language).tokenize
    cut = _package("rjieba").cut if language == "zh" else None

    def found(line: str) -> list[str]:
        if cut:
            line = " ".join(cut(line))
        line = _STOP.sub(". ", line.translate(_WIDE)).replace("…", "...")
        line = "".join(x for x in normal(line) if unicodedata.category(x)[0] != "C")
        if cut:
            parts = line.split()
        else:
            if language == "ro":
                line = line.translate(_ROMANIAN)
            parts = split(line, return_str=False, escape=False)
        return [x for x in (_plain(parts) if plain else parts) if x]

    return found


def _plain(parts: list[str]) -> list[str]:
    letters = unicodedata.normalize("NFD", " ".join(parts).lower())
    kept = "".join(x for x in letters if unicodedata.category(x) != "Mn")
    return kept.lower().split(" ")


def _package(name: str) -> Any:
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InputError(
            f"XLM's tokenizer needs {name}: pip install -r requirements-interchange.txt"
        ) from error
