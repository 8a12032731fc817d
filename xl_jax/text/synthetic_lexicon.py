"""The words of a generated pair of languages: how each concept is spelled in either."""

import re
from functools import lru_cache
from itertools import zip_longest

from xl_jax.text.synthetic_concepts import FUNCTION_WORDS, Purpose, draws, world_of
from xl_jax.text.synthetic_grammar import Grammar

_ONSETS = {"a": "ptkmnlrs", "b": "bdgvzfhw"}  # no syllable is common to both languages
_CODAS = {"a": ("", "", "n", "r", "s"), "b": ("", "", "g", "z", "f")}


def lexicon(grammar: Grammar, side: str) -> list[str]:
    """The word of each concept; equal positions are translations of each other. No two concepts
    have one word in a language."""
    spelled, unrelated, cognate = _spellings(grammar.words, grammar.topics, grammar.seed)
    if side == "a":
        return list(spelled)
    n = len(spelled)
    # One ranking for all shares: a larger share of anchors keeps those of the smaller.
    ranking = draws(grammar.seed, Purpose.ANCHORS).permutation(n).tolist()
    anchors = round(grammar.anchors * n)
    cognates = round(grammar.cognates * (n - anchors))
    words = list(unrelated)
    meant = _meant(grammar, ranking)
    for concept in ranking[:anchors]:
        words[concept] = spelled[meant[concept]]
    for concept in ranking[anchors : anchors + cognates]:
        words[concept] = cognate[concept]
    if grammar.distance < 1:
        rest = sorted(ranking[anchors + cognates :])
        for concept, word in zip(rest, _between(grammar, rest, words, spelled), strict=True):
            words[concept] = word
    return words


def _meant(grammar: Grammar, ranking: list[int]) -> dict[int, int]:
    """Anchor -> the concept whose word of a it is in b: the next one of the ranking."""
    if grammar.anchor_kind == "same":
        return {concept: concept for concept in ranking}
    kind = world_of(grammar.words, grammar.topics, grammar.seed).kind
    circles: dict[str, list[int]] = {}
    for concept in ranking:
        circles.setdefault(kind[concept] if grammar.anchor_kind == "other" else "", []).append(
            concept
        )
    return {x: circle[i - 1] for circle in circles.values() for i, x in enumerate(circle)}


def _between(
    grammar: Grammar, concepts: list[int], words: list[str], spelled: tuple[str, ...]
) -> list[str]:
    """Words of which a share of a's syllables gave way to those of the unrelated words: each where
    its number is below the distance, so that a larger distance only changes more."""
    numbers = draws(grammar.seed, Purpose.DISTANCE).random((len(words), 16)).tolist()
    of_a = set(spelled)
    taken = set(words) - {words[concept] for concept in concepts}
    found = []
    for concept in concepts:
        pairs = list(
            zip_longest(*map(_syllables, (spelled[concept], words[concept])), fillvalue="")
        )
        far = numbers[concept][: len(pairs)]
        for distance in (grammar.distance, *sorted(far), 1.0):  # further, where the word is taken
            word = "".join(y if u <= distance else x for u, (x, y) in zip(far, pairs, strict=True))
            free = word not in taken and (word not in of_a or word == spelled[concept])
            if word and distance >= grammar.distance and free:
                break
        taken.add(word)
        found.append(word)
    return found


def _syllables(word: str) -> list[str]:
    """A consonant, a vowel, and a consonant that no vowel follows."""
    return re.findall(r"[^aeiou][aeiou](?:[^aeiou](?![aeiou]))?", word)


@lru_cache(maxsize=4)
def _spellings(
    words: int, topics: int, seed: int
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Three spellings of each concept: a's; an unrelated one; a's stem with b's ending."""
    kind = world_of(words, topics, seed).kind
    rng = draws(seed, Purpose.WORDS)

    def syllable(side: str) -> str:
        onset, vowel, coda = rng.integers((len(_ONSETS[side]), 5, len(_CODAS[side]))).tolist()
        return _ONSETS[side][onset] + "aeiou"[vowel] + _CODAS[side][coda]

    taken: set[str] = set()

    def finish(stem: str, side: str) -> str:
        word = stem + syllable(side)
        while word in taken:
            word += syllable(side)
        taken.add(word)
        return word

    columns: tuple[list[str], list[str], list[str]] = ([], [], [])
    for name in kind:
        more = 0 if name in FUNCTION_WORDS else int(rng.integers(1, 3))
        stem = "".join(syllable("a") for _ in range(more))
        spelled = finish(stem, "a")
        columns[0].append(spelled)
        columns[1].append(finish("".join(syllable("b") for _ in range(more)), "b"))
        columns[2].append(finish(stem or spelled, "b"))
    return tuple(columns[0]), tuple(columns[1]), tuple(columns[2])
