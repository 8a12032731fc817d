"""Labelled data of a twin: its base's, renamed and put in the twin's order as its text was.

twin:BASE        in place of a test spec; the default for a twin without test data of its own

Renaming is the vocabulary's. The order is drawn within each row, anew for each, and every word's
label stays with its first piece: the gold alignment carries it.
"""

from collections.abc import Mapping
from functools import partial

import numpy as np

from xl_jax.config import NO_TEXT
from xl_jax.errors import InputError
from xl_jax.rng import Purpose, generator
from xl_jax.tasks.rows import Rows, reordered
from xl_jax.text import twins
from xl_jax.text.corpora import Corpus, open_corpora

TWIN = "twin:"
ROWS = 1  # counter of the orders of rows: those of text count (line, part)


def copy_of(corpora: Mapping[str, str], language: str) -> Corpus | None:
    """What makes `language` a twin, None if it is none. No text is opened."""
    spec = corpora.get(language, "")
    if not spec.startswith(TWIN):
        return None
    base = spec.removeprefix(TWIN).partition("#")[0]
    return open_corpora({base: NO_TEXT, language: spec})[language]


def with_twins(
    corpora: Mapping[str, str], test: Mapping[str, str], languages: tuple[str, ...]
) -> dict[str, str]:
    """Test specs in which `twin:BASE` is `twin:` and the base's spec, also for each of `languages`
    that is a twin and has no spec.

    Raises:
      InputError: `twin:BASE` of a language that is no twin of BASE, or whose base has no spec.
    """
    found = dict(test)
    for language in dict.fromkeys((*test, *languages)):
        twin = copy_of(corpora, language)
        given = test.get(language, f"{TWIN}{twin.base}" if twin and twin.base in test else "")
        if not given.startswith(TWIN):
            continue
        base = given.removeprefix(TWIN)
        if twin is None or twin.base != base:
            raise InputError(f"test data {given!r}: {language} is no twin of {base}")
        if base not in test:
            raise InputError(f"test data {given!r}: give --data.test={base}=SPEC too")
        found[language] = TWIN + test[base]
    return found


def as_twin(rows: Rows, twin: Corpus) -> Rows:
    """Rows of the base's items, whose pieces the twin has renamed, in the twin's order."""

    def order(n: int, row: int) -> np.ndarray:
        draws = partial(generator, 0, Purpose.TWIN_ORDER, row, 0, ROWS)
        return twins.order(n, twin.order, twin.p, draws())

    return rows if twin.order == "keep" else reordered(rows, order)
