"""The meanings that a generated pair of languages tells, each put in the orders of both."""

import zlib
from array import array
from bisect import bisect
from collections.abc import Iterator
from itertools import accumulate, count

from xl_jax.text.synthetic_concepts import (
    FUNCTION_WORDS,
    GENERAL,
    LOYALTY,
    TOPICAL,
    Purpose,
    World,
    draws,
    world_of,
)
from xl_jax.text.synthetic_grammar import Grammar

MAX_WORDS = 16  # in a sentence
_PURPOSE = {"a": Purpose.A, "b": Purpose.B, "gold": Purpose.GOLD}
_PARTS = {"a": range(7), "b": range(7, 14), "gold": range(14, 15)}  # of 15: who owns a meaning

_Phrase = tuple[list[int], list[int]]  # the numbers of its leaves, head first and head last
Meaning = tuple[tuple[int, ...], list[int], list[int]]  # concepts of the leaves, the two orders


def meanings(grammar: Grammar, stream: str) -> Iterator[Meaning]:
    """The endless stream of the meanings that "a", "b" or "gold" owns; repetitions occur."""
    world = world_of(grammar.words, grammar.topics, grammar.seed)
    zipf = [1 / rank for rank in range(1, grammar.topics + 1)]
    cdf = list(accumulate(weight / sum(zipf) for weight in zipf))
    cdf[-1] = 1.0
    # Gold sentences are half of the one side's domain and half of the other's.
    never = unseen(grammar) if stream == "b" else frozenset()
    foreign = {"a": 0.0, "b": grammar.domain, "gold": grammar.domain / 2}[stream]
    for block in count():
        rng = draws(grammar.seed, _PURPOSE[stream], block)
        for row in rng.random((256, 64)).tolist():  # a sentence takes fewer than 64 draws
            draw = iter(row)
            topic = grammar.topics if next(draw) < foreign else 0
            sentence = _Sentence(world, topic + bisect(cdf, next(draw)), draw)
            first, last = sentence.clause()
            leaves = sentence.leaves
            owner = zlib.crc32(array("H", leaves).tobytes()) % 15
            if owner in _PARTS[stream] and never.isdisjoint(leaves):
                yield tuple(leaves), first, last


def unseen(grammar: Grammar) -> frozenset[int]:
    """Concepts that b's training text never says; a larger share only adds."""
    kind = world_of(grammar.words, grammar.topics, grammar.seed).kind
    content = [concept for concept, name in enumerate(kind) if name not in FUNCTION_WORDS]
    ranking = draws(grammar.seed, Purpose.UNSEEN).permutation(len(content)).tolist()
    return frozenset(content[i] for i in ranking[: round(grammar.unseen * len(content))])


def ordered(first: list[int], last: list[int], order: str) -> list[int]:
    """The leaves as b says them. Without composition (`unigram`) a sentence of b has no order of
    its own."""
    return {"inverted": first[::-1], "head_final": last}.get(order, first)


class _Sentence:
    """One derivation. Every phrase is put in both orders; the draws do not depend on the order.

    `spare` is how many words may still be added to those that the open phrases need: it bounds the
    sentence and the recursion.
    """

    def __init__(self, world: World, topic: int, draw: Iterator[float]) -> None:
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
        if preferred and u < LOYALTY:
            concept = preferred[int(u / LOYALTY * len(preferred))]
        else:
            if preferred:
                u = (u - LOYALTY) / (1 - LOYALTY)
            topic = self.topic if kind in TOPICAL else GENERAL
            cdf, concepts = self.world.choices[kind, topic]
            concept = concepts[bisect(cdf, u)]
        self.leaves.append(concept)
        return [len(self.leaves) - 1]


_NOTHING: _Phrase = ([], [])
