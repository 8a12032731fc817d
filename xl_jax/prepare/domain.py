"""How far apart two texts are in what they talk about: a distance of their unigrams (for the domain
ablation of the paper's section 4.1, whose Wiki-CC runs change the text of one language)."""

from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np
import regex
from jaxtyping import Int

from xl_jax.errors import InputError

# Letters, marks and digits in a row; one by one in the scripts that do not divide words by blanks.
_ALONE = r"\p{Han}\p{Hiragana}\p{Katakana}ー\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_WORD = regex.compile(rf"(?V1)[{_ALONE}]\p{{M}}*|[[\p{{L}}\p{{M}}\p{{N}}]--[{_ALONE}]]+")


def jensen_shannon(a: Int[np.ndarray, " V"], b: Int[np.ndarray, " V"]) -> float:
    """The Jensen-Shannon distance of two distributions given as counts of the same items: the
    square root of the divergence in bits, a metric; 0 if they are equal, 1 if they have no item in
    common.

    Two samples of one text are not at 0, the less so the shorter they are: read a distance beside
    that of two halves of a text.

    Raises:
      InputError: nothing was counted on one side.
    """
    if not (a.sum() and b.sum()):
        raise InputError("domain distance: a text without counts")
    from scipy.spatial import distance  # half a second: not for those who only train

    return float(distance.jensenshannon(a, b, base=2))


def word_distance(a: Mapping[str, int], b: Mapping[str, int]) -> float:
    """`jensen_shannon` of two texts' words, which no vocabulary has cut."""
    words = sorted({*a, *b})
    counts_a, counts_b = (np.array([c.get(word, 0) for word in words], np.int64) for c in (a, b))
    return jensen_shannon(counts_a, counts_b)


def count_words(lines: Iterable[str]) -> Counter[str]:
    """Occurrences of each word, in lower case; of each character in scripts without blanks. Memory
    grows with the different words: for a large corpus count a sample."""
    counts: Counter[str] = Counter()
    for line in lines:
        counts.update(_WORD.findall(line.casefold()))
    return counts
