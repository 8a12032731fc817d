"""Bilingual dictionary induction: is a word's translation its nearest word of the other language?

As MUSE measures it (Conneau et al. 2018): a source word is right where any of its translations is
among the first candidates, and the candidates are all words of the target language.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from xl_jax.analysis import retrieval
from xl_jax.analysis.neighbours import CSLS_K, nearest
from xl_jax.analysis.vectors import one_space, unit
from xl_jax.errors import InputError

CRITERIA = ("csls", "nn")
SHOWN = 3


@dataclass(frozen=True, eq=False)
class Covered:
    """The part of a dictionary whose words both languages have.

    Attributes:
      answers: (number of the source word, number of the target word), a row a pair.
      listed: number of source words in the dictionary.
    """

    answers: Int[np.ndarray, "pairs 2"]
    listed: int

    @property
    def words(self) -> int:
        """Source words with a translation that is there too."""
        return len(np.unique(self.answers[:, 0]))

    @property
    def coverage(self) -> float:
        return self.words / self.listed


def cover(
    pairs: Iterable[tuple[str, str]], source_words: Sequence[str], target_words: Sequence[str]
) -> Covered:
    """The dictionary's pairs as numbers of words; pairs with an unknown word are left out.

    Raises:
      InputError: no pair is left.
    """
    pairs = list(dict.fromkeys(pairs))
    source, target = ({w: i for i, w in enumerate(x)} for x in (source_words, target_words))
    listed = dict.fromkeys(a for a, _ in pairs)
    answers = [(source[a], target[b]) for a, b in pairs if a in source and b in target]
    if not answers:
        raise InputError(
            f"dictionary: 0 of its {len(listed)} source words are covered: it pairs "
            f"{_some(f'{a} {b}' for a, b in pairs)}; the source has {_some(source_words)}, the "
            f"target {_some(target_words)}"
        )
    return Covered(np.array(answers), len(listed))


class Induced(NamedTuple):
    """Whether each source word of the dictionary has a translation among its first `at` candidates,
    and how often chance would put one there."""

    criterion: str
    at: int
    hits: Float[np.ndarray, " n"]
    chance: float


def induction(
    x: Float[np.ndarray, "n D"],
    y: Float[np.ndarray, "m D"],
    dictionary: Covered,
    at: Sequence[int] = (1, 5),
    k: int = CSLS_K,
) -> list[Induced]:
    """Hits at each of `at`, by CSLS and by cosine alone, of the dictionary's source words.

    Args:
      x, y: one vector for every word of both languages, mapped into one space. CSLS looks at all of
        them.

    Raises:
      InputError: different widths, values that are not finite.
    """
    x, y = one_space(x, y)
    x, y = unit(x), unit(y)
    words, query = np.unique(dictionary.answers[:, 0], return_inverse=True)
    answers = np.stack([query, dictionary.answers[:, 1]], 1)
    similarity_of_y = nearest(y, x, min(k, len(x))).scores.mean(1)  # that of x changes no order
    found = []
    for criterion in CRITERIA:
        offset = -similarity_of_y / 2 if criterion == "csls" else None
        ranks = retrieval.ranks(x[words], y, answers, offset)
        for cut in at:
            chance = retrieval.chance(answers, len(words), len(y), cut)[0]
            found.append(Induced(criterion, cut, ranks.hits(cut), chance))
    return found


def _some(words: Iterable[str]) -> str:
    first = [repr(w) for w, _ in zip(words, range(SHOWN), strict=False)]
    return ", ".join(first) + ", ..."
