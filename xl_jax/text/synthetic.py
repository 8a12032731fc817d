"""A generated pair of languages: one grammar of meanings, two ways to say them.

A meaning is a derivation whose leaves are concepts. Language a says it head first (`the old dog saw
the cat in the park`); language b is told from a by the knobs of `Grammar`. Words can be told apart
by their company alone: classes have their places, topics their words, nouns their verbs, adjectives
and determiners. Language a is the same whatever the knobs of b.

Every meaning belongs, by a hash, to the training text of a, to that of b, or to the gold sentences:
the texts are never parallel, and gold meanings occur in neither.
"""

import enum
import zlib
from array import array
from bisect import bisect
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, count, islice
from typing import NamedTuple

import numpy as np

from xl_jax.errors import InputError, unknown

ORDERS = ("same", "inverted", "head_final")
MAX_WORDS = 16  # in a sentence


@dataclass(frozen=True)
class Grammar:
    """The pair of languages; `anchors` to `domain` set the second against the first.

    Args:
      words: word types of language a, at least 20 + 10 * topics.
      topics: number of topics of language a; the first are the most frequent.
      sentences: training sentences of each side.
      anchors: share of the word types spelled alike in both languages, 0..1.
      cognates: share of the other word types that keep a's stem and change the ending, 0..1; the
        rest have no syllable in common with a.
      order: "same"; "inverted", every sentence from its last word to its first; "head_final", the
        derivation's heads and adjuncts change places (SVO to SOV, prepositions to postpositions,
        adjectives and relative clauses to the noun's other side).
      domain: share of b's sentences on topics that a never speaks of, 0..1. Their words come on top
        of `words`.
      seed: non-negative.

    Raises:
      InputError (a ValueError): a knob is out of its range.
    """

    words: int = 400
    topics: int = 8
    sentences: int = 40_000
    anchors: float = 0.0
    cognates: float = 0.0
    order: str = "same"
    domain: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.order not in ORDERS:
            raise unknown("order of a synthetic pair", self.order, ORDERS)
        for name in ("anchors", "cognates", "domain"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"synthetic {name} = {getattr(self, name)} is not in 0..1")
        ranges = {
            "topics": (1, 64),
            "words": (20 + 10 * self.topics, 10_000),  # every topic needs a word of each class
            "sentences": (1, 100_000_000),
            "seed": (0, 2**63 - 1),
        }
        for name, (low, high) in ranges.items():
            if not low <= getattr(self, name) <= high:
                value = getattr(self, name)
                raise InputError(f"synthetic {name} = {value} is not in {low}..{high}")


def sentences(grammar: Grammar, side: str) -> Iterator[str]:
    """The training text of side "a" or "b": `grammar.sentences` lines of 4 to 16 words."""
    if side not in ("a", "b"):
        raise unknown("side of a synthetic pair", side, ("a", "b"))
    return _text(grammar, side)


def gold_sentences(grammar: Grammar, n: int) -> list[tuple[str, str, tuple[tuple[int, int], ...]]]:
    """`n` distinct held-out meanings: (in a, in b, pairs of aligned word positions, by a's)."""
    result: list[tuple[str, str, tuple[tuple[int, int], ...]]] = []
    seen: set[tuple[int, ...]] = set()
    words_a, words_b = lexicon(grammar, "a"), lexicon(grammar, "b")
    for leaves, first, last in _meanings(grammar, "gold"):
        if len(result) == n:
            break
        if leaves in seen:
            continue
        seen.add(leaves)
        in_b = _ordered(first, last, grammar.order)
        position = {leaf: j for j, leaf in enumerate(in_b)}
        text_a = " ".join(words_a[leaves[leaf]] for leaf in first)
        text_b = " ".join(words_b[leaves[leaf]] for leaf in in_b)
        result.append((text_a, text_b, tuple((i, position[x]) for i, x in enumerate(first))))
    return result


class Labelled(NamedTuple):
    """A sentence with its labels, a word each."""

    words: list[str]
    upos: list[str]  # universal parts of speech
    spans: list[str]  # base noun phrases (determiner, adjective, noun) as BIO: O, B-NP, I-NP


def labelled(grammar: Grammar, side: str) -> Iterator[Labelled]:
    """The endless stream of the gold meanings, said in a language; repetitions occur. Equal
    positions of both languages' streams are translations."""
    words = lexicon(grammar, side)
    kind = _world(grammar.words, grammar.topics, grammar.seed).kind
    for leaves, first, last in _meanings(grammar, "gold"):
        order = first if side == "a" else _ordered(first, last, grammar.order)
        kinds = [kind[concept] for concept in leaves]
        phrase, noun = [], -1  # a noun, its determiner, its adjective are made one after the other
        for leaf, name in enumerate(kinds):
            noun = leaf if name == "noun" else noun if name in ("det", "adj") else -1
            phrase.append(noun)
        spans = []
        for i, leaf in enumerate(order):
            inside = i > 0 and phrase[leaf] == phrase[order[i - 1]]
            spans.append("O" if phrase[leaf] < 0 else "I-NP" if inside else "B-NP")
        upos = [_UPOS.get(kinds[leaf], kinds[leaf].upper()) for leaf in order]
        yield Labelled([words[leaves[leaf]] for leaf in order], upos, spans)


def gold_words(grammar: Grammar) -> list[tuple[str, str]]:
    """The dictionary of the words that both sides use, most frequent first (anchors included).

    Frequencies are counted in the first 2,000 sentences of both sides; a word that is rarer than
    that comes last.
    """
    words_a, words_b = lexicon(grammar, "a"), lexicon(grammar, "b")
    counts: Counter[int] = Counter()
    for side in ("a", "b"):
        for leaves, _, _ in islice(_meanings(grammar, side), min(2000, grammar.sentences)):
            counts.update(leaves)
    topic = _world(grammar.words, grammar.topics, grammar.seed).topic
    ours = range(grammar.topics) if grammar.domain < 1 else range(0)
    common = [c for c, t in enumerate(topic) if t == _GENERAL or t in ours]
    return [(words_a[c], words_b[c]) for c in sorted(common, key=lambda c: (-counts[c], c))]


def lexicon(grammar: Grammar, side: str) -> list[str]:
    """The word of each concept; equal positions are translations of each other."""
    spelled, unrelated, cognate = _spellings(grammar.words, grammar.topics, grammar.seed)
    if side == "a":
        return list(spelled)
    n = len(spelled)
    # One ranking for all shares: a larger share of anchors keeps those of the smaller.
    ranking = _rng(grammar.seed, _Purpose.ANCHORS).permutation(n)
    anchors = round(grammar.anchors * n)
    cognates = round(grammar.cognates * (n - anchors))
    words = list(unrelated)
    for rank, concept in enumerate(ranking[: anchors + cognates]):
        words[concept] = spelled[concept] if rank < anchors else cognate[concept]
    return words


class _Purpose(enum.IntEnum):
    WORDS = 100  # apart from the numbers of `rng.Purpose`
    FAVOURITES = 101
    ANCHORS = 102
    A = 103
    B = 104
    GOLD = 105


_PURPOSE = {"a": _Purpose.A, "b": _Purpose.B, "gold": _Purpose.GOLD}
_PARTS = {"a": range(7), "b": range(7, 14), "gold": range(14, 15)}  # of 15: who owns a meaning

_GENERAL = -1  # the topic of words that every topic uses
_FUNCTION_WORDS = {"det": 4, "prep": 8, "rel": 2}
_CONTENT_SHARE = {"noun": 0.5, "verb": 0.25, "adj": 0.17, "adv": 0.08}
_TOPICAL = ("noun", "verb", "adj")
_UPOS = {"prep": "ADP", "rel": "PRON"}  # the other classes have the names of UD
_TOPICAL_TYPES, _TOPICAL_TOKENS = 0.7, 0.65  # the rest of a class is general
_FAVOURITES = {  # how many of a class a head prefers; it picks them in 6 of 10 cases
    "noun": {"verb": 4, "adj": 3, "det": 2, "prep": 2, "rel": 1},
    "verb": {"noun": 5, "adv": 2, "prep": 2},
}
_LOYALTY = 0.6

_ONSETS = {"a": "ptkmnlrs", "b": "bdgvzfhw"}  # no syllable is common to both languages
_CODAS = {"a": ("", "", "n", "r", "s"), "b": ("", "", "g", "z", "f")}


def _rng(seed: int, purpose: _Purpose, *counters: int) -> np.random.Generator:
    return np.random.default_rng((seed, int(purpose), *counters))


@dataclass(frozen=True)
class _World:
    """The concepts and their statistics, the same for both languages."""

    topic: list[int]
    kind: list[str]
    choices: dict[tuple[str, int], tuple[list[float], list[int]]]  # (class, topic): cdf, concepts
    favourites: list[dict[str, list[int]]]


@lru_cache(maxsize=4)
def _world(words: int, topics: int, seed: int) -> _World:
    topic: list[int] = []
    kind: list[str] = []

    def add(name: str, number: int, of: int) -> list[int]:
        topic.extend([of] * number)
        kind.extend([name] * number)
        return list(range(len(kind) - number, len(kind)))

    choices = {}
    sizes = {name: (number, 0) for name, number in _FUNCTION_WORDS.items()}
    content = words - sum(_FUNCTION_WORDS.values())
    for name in _TOPICAL:
        number = int(_CONTENT_SHARE[name] * content)
        each = int(_TOPICAL_TYPES * number / topics)
        sizes[name] = (number - each * topics, each)
    sizes["adv"] = (words - sum(n + each * topics for n, each in sizes.values()), 0)
    for name, (number, _) in sizes.items():
        choices[name, _GENERAL] = _mixture(add(name, number, _GENERAL), [])
    for of in range(2 * topics):  # the second half is b's alone
        for name, (_, each) in sizes.items():
            general = choices[name, _GENERAL][1]
            choices[name, of] = _mixture(general, add(name, each, of))
    rng = _rng(seed, _Purpose.FAVOURITES)
    favourites = []
    for name, of in zip(kind, topic, strict=True):
        preferred = {}
        for other, number in _FAVOURITES.get(name, {}).items():
            cdf, concepts = choices[other, of]
            preferred[other] = [concepts[bisect(cdf, u)] for u in rng.random(number).tolist()]
        favourites.append(preferred)
    return _World(topic, kind, choices, favourites)


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


@lru_cache(maxsize=4)
def _spellings(
    words: int, topics: int, seed: int
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Three spellings of each concept: a's; an unrelated one; a's stem with b's ending."""
    kind = _world(words, topics, seed).kind
    rng = _rng(seed, _Purpose.WORDS)

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
        more = 0 if name in _FUNCTION_WORDS else int(rng.integers(1, 3))
        stem = "".join(syllable("a") for _ in range(more))
        spelled = finish(stem, "a")
        columns[0].append(spelled)
        columns[1].append(finish("".join(syllable("b") for _ in range(more)), "b"))
        columns[2].append(finish(stem or spelled, "b"))
    return tuple(columns[0]), tuple(columns[1]), tuple(columns[2])


def _text(grammar: Grammar, side: str) -> Iterator[str]:
    words = lexicon(grammar, side)
    for leaves, first, last in islice(_meanings(grammar, side), grammar.sentences):
        order = first if side == "a" else _ordered(first, last, grammar.order)
        yield " ".join([words[leaves[leaf]] for leaf in order])


def _ordered(first: list[int], last: list[int], order: str) -> list[int]:
    return {"same": first, "inverted": first[::-1], "head_final": last}[order]


_Phrase = tuple[list[int], list[int]]  # the numbers of its leaves, head first and head last
_Meaning = tuple[tuple[int, ...], list[int], list[int]]  # concepts of the leaves, the two orders


def _meanings(grammar: Grammar, stream: str) -> Iterator[_Meaning]:
    """The endless stream of the meanings that "a", "b" or "gold" owns; repetitions occur."""
    world = _world(grammar.words, grammar.topics, grammar.seed)
    zipf = [1 / rank for rank in range(1, grammar.topics + 1)]
    cdf = list(accumulate(weight / sum(zipf) for weight in zipf))
    cdf[-1] = 1.0
    # Gold sentences are half of the one side's domain and half of the other's.
    foreign = {"a": 0.0, "b": grammar.domain, "gold": grammar.domain / 2}[stream]
    for block in count():
        rng = _rng(grammar.seed, _PURPOSE[stream], block)
        for row in rng.random((256, 64)).tolist():  # a sentence takes fewer than 64 draws
            draw = iter(row)
            topic = grammar.topics if next(draw) < foreign else 0
            sentence = _Sentence(world, topic + bisect(cdf, next(draw)), draw)
            first, last = sentence.clause()
            leaves = sentence.leaves
            if zlib.crc32(array("H", leaves).tobytes()) % 15 in _PARTS[stream]:
                yield tuple(leaves), first, last


class _Sentence:
    """One derivation. Every phrase is put in both orders; the draws do not depend on the order.

    `spare` is how many words may still be added to those that the open phrases need: it bounds the
    sentence and the recursion.
    """

    def __init__(self, world: _World, topic: int, draw: Iterator[float]) -> None:
        self.world, self.topic, self.draw = world, topic, draw
        self.leaves: list[int] = []
        self.spare = MAX_WORDS - 6  # det noun verb prep det noun

    def clause(self) -> _Phrase:
        subject, subject_last = self.noun_phrase(0, None)
        verb, verb_last = self.verb_phrase(0, self.leaves[0])
        return subject + verb, subject_last + verb_last  # the subject leads in both

    def noun_phrase(self, depth: int, governor: int | None) -> _Phrase:
        noun = self.word("noun", governor)
        head = self.leaves[-1]
        det = self.word("det", head)
        adj = self.word("adj", head) if self.chance(0.35, 1) else []
        place, place_last = self.place(depth + 1, head, 0.2) if depth < 2 else _NOTHING
        who: list[int] = []
        does, does_last = _NOTHING
        if depth < 2 and self.chance(0.12, 5):
            who = self.word("rel", head)
            does, does_last = self.verb_phrase(depth + 1, head)
        first = det + adj + noun + place + who + does
        return first, does_last + who + place_last + det + noun + adj

    def verb_phrase(self, depth: int, subject: int) -> _Phrase:
        verb = self.word("verb", subject)
        head = self.leaves[-1]
        adv = self.word("adv", head) if self.chance(0.25, 1) else []
        objects, objects_last = _NOTHING
        probability = 0.2
        if head % 3:  # transitive
            objects, objects_last = self.noun_phrase(depth + 1, head)
        elif not adv:  # an intransitive verb never stands alone
            probability = 1.0
            self.spare += 3  # the place of the object, which the count has reserved
        place, place_last = self.place(depth + 1, head, probability)
        return verb + adv + objects + place, place_last + objects_last + adv + verb

    def place(self, depth: int, head: int, probability: float) -> _Phrase:
        if not self.chance(probability, 3):
            return _NOTHING
        prep = self.word("prep", head)
        phrase, phrase_last = self.noun_phrase(depth, None)
        return prep + phrase, phrase_last + prep

    def chance(self, probability: float, words: int) -> bool:
        if words > self.spare or next(self.draw) >= probability:
            return False
        self.spare -= words
        return True

    def word(self, kind: str, head: int | None) -> list[int]:
        """A new leaf: a favourite of the concept `head`, or a word of the topic."""
        u = next(self.draw)
        preferred = None if head is None else self.world.favourites[head].get(kind)
        if preferred and u < _LOYALTY:
            concept = preferred[int(u / _LOYALTY * len(preferred))]
        else:
            if preferred:
                u = (u - _LOYALTY) / (1 - _LOYALTY)
            topic = self.topic if kind in _TOPICAL else _GENERAL
            cdf, concepts = self.world.choices[kind, topic]
            concept = concepts[bisect(cdf, u)]
        self.leaves.append(concept)
        return [len(self.leaves) - 1]


_NOTHING: _Phrase = ([], [])
