"""What a generated pair of languages speaks of: concepts, their classes and topics, and which
company they keep, the same for both languages."""

import enum
from bisect import bisect
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

import numpy as np

GENERAL = -1  # the topic of words that every topic uses
FUNCTION_WORDS = {"det": 4, "prep": 8, "rel": 2}
_CONTENT_SHARE = {"noun": 0.5, "verb": 0.25, "adj": 0.17, "adv": 0.08}
TOPICAL = ("noun", "verb", "adj")
UPOS = {"prep": "ADP", "rel": "PRON"}  # the other classes have the names of UD
_TOPICAL_TYPES, _TOPICAL_TOKENS = 0.7, 0.65  # the rest of a class is general
_FAVOURITES = {  # how many of a class a head prefers; it picks them in 6 of 10 cases
    "noun": {"verb": 4, "adj": 3, "det": 2, "prep": 2, "rel": 1},
    "verb": {"noun": 5, "adv": 2, "prep": 2},
}
LOYALTY = 0.6


class Purpose(enum.IntEnum):
    WORDS = 100  # apart from the numbers of `rng.Purpose`
    FAVOURITES = 101
    ANCHORS = 102
    A = 103
    B = 104
    GOLD = 105
    DISTANCE = 106
    UNSEEN = 107
    UNIGRAM = 108


def draws(seed: int, purpose: Purpose, *counters: int) -> np.random.Generator:
    return np.random.default_rng((seed, int(purpose), *counters))


@dataclass(frozen=True)
class World:
    """The concepts and their statistics, the same for both languages."""

    topic: list[int]
    kind: list[str]
    choices: dict[tuple[str, int], tuple[list[float], list[int]]]  # (class, topic): cdf, concepts
    favourites: list[dict[str, list[int]]]


@lru_cache(maxsize=4)
def world_of(words: int, topics: int, seed: int) -> World:
    topic: list[int] = []
    kind: list[str] = []

    def add(name: str, number: int, of: int) -> list[int]:
        topic.extend([of] * number)
        kind.extend([name] * number)
        return list(range(len(kind) - number, len(kind)))

    choices = {}
    sizes = {name: (number, 0) for name, number in FUNCTION_WORDS.items()}
    content = words - sum(FUNCTION_WORDS.values())
    for name in TOPICAL:
        number = int(_CONTENT_SHARE[name] * content)
        each = int(_TOPICAL_TYPES * number / topics)
        sizes[name] = (number - each * topics, each)
    sizes["adv"] = (words - sum(n + each * topics for n, each in sizes.values()), 0)
    for name, (number, _) in sizes.items():
        choices[name, GENERAL] = _mixture(add(name, number, GENERAL), [])
    for of in range(2 * topics):  # the second half is b's alone
        for name, (_, each) in sizes.items():
            general = choices[name, GENERAL][1]
            choices[name, of] = _mixture(general, add(name, each, of))
    rng = draws(seed, Purpose.FAVOURITES)
    favourites = []
    for name, of in zip(kind, topic, strict=True):
        preferred = {}
        for other, number in _FAVOURITES.get(name, {}).items():
            cdf, concepts = choices[other, of]
            preferred[other] = [concepts[bisect(cdf, u)] for u in rng.random(number).tolist()]
        favourites.append(preferred)
    return World(topic, kind, choices, favourites)


def _mixture(general: list[int], topical: list[int]) -> tuple[list[float], list[int]]:
    """Zipfian within the general and within the topical words."""
    share = _TOPICAL_TOKENS if topical else 0.0
    weights = []
    for concepts, total in ((general, 1 - share), (topical, share)):
        zipf = [1 / rank for rank in range(1, len(concepts) + 1)]
        weights += [total * weight / sum(zipf) for weight in zipf]
    cdf = list(accumulate(weights))
    cdf[-1] = 1.0  # rounding must not leave a gap at the top
    return cdf, general + topical
