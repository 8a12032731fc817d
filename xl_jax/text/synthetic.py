"""A generated pair of languages: one grammar of meanings, two ways to say them.

A meaning is a derivation whose leaves are concepts. Language a says it head first (`the old dog saw
the cat in the park`); language b is told from a by the knobs of `Grammar`. Words can be told apart
by their company alone: classes have their places, topics their words, nouns their verbs, adjectives
and determiners. Language a is the same whatever the knobs of b.

Every meaning belongs, by a hash, to the training text of a, to that of b, or to the gold sentences:
the texts are never parallel, and gold meanings occur in neither.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import chain, count, islice
from typing import NamedTuple

from xl_jax.errors import unknown
from xl_jax.text.synthetic_concepts import GENERAL, UPOS, Purpose, draws, world_of
from xl_jax.text.synthetic_grammar import Grammar
from xl_jax.text.synthetic_lexicon import lexicon
from xl_jax.text.synthetic_meanings import meanings, ordered, unseen


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
    for leaves, first, last in meanings(grammar, "gold"):
        if len(result) == n:
            break
        if leaves in seen:
            continue
        seen.add(leaves)
        in_b = ordered(first, last, grammar.order)
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
    kind = world_of(grammar.words, grammar.topics, grammar.seed).kind
    for leaves, first, last in meanings(grammar, "gold"):
        order = first if side == "a" else ordered(first, last, grammar.order)
        kinds = [kind[concept] for concept in leaves]
        phrase, noun = [], -1  # a noun, its determiner, its adjective are made one after the other
        for leaf, name in enumerate(kinds):
            noun = leaf if name == "noun" else noun if name in ("det", "adj") else -1
            phrase.append(noun)
        spans = []
        for i, leaf in enumerate(order):
            inside = i > 0 and phrase[leaf] == phrase[order[i - 1]]
            spans.append("O" if phrase[leaf] < 0 else "I-NP" if inside else "B-NP")
        upos = [UPOS.get(kinds[leaf], kinds[leaf].upper()) for leaf in order]
        yield Labelled([words[leaves[leaf]] for leaf in order], upos, spans)


def gold_words(grammar: Grammar) -> list[tuple[str, str]]:
    """The dictionary of the words that both sides use, most frequent first (anchors included).

    Frequencies are counted in the first 2,000 sentences of both sides; a word that is rarer than
    that comes last.
    """
    words_a, words_b = lexicon(grammar, "a"), lexicon(grammar, "b")
    counts: Counter[int] = Counter()
    for side in ("a", "b"):
        for leaves, _, _ in islice(meanings(grammar, side), min(2000, grammar.sentences)):
            counts.update(leaves)
    topic = world_of(grammar.words, grammar.topics, grammar.seed).topic
    ours = range(grammar.topics) if grammar.domain < 1 else range(0)
    never = unseen(grammar)
    common = [c for c, t in enumerate(topic) if (t == GENERAL or t in ours) and c not in never]
    return [(words_a[c], words_b[c]) for c in sorted(common, key=lambda c: (-counts[c], c))]


def _text(grammar: Grammar, side: str) -> Iterator[str]:
    words = lexicon(grammar, side)
    order = "same" if side == "a" else grammar.order
    said: Iterator[list[str]] = (
        [words[leaves[leaf]] for leaf in ordered(first, last, order)]
        for leaves, first, last in meanings(grammar, side)
    )
    if order == "unigram":
        said = _shuffled(said, grammar.seed)
    return map(" ".join, islice(said, grammar.sentences))


def _shuffled(sentences: Iterator[list[str]], seed: int) -> Iterator[list[str]]:
    """The words of 256 sentences at a time in random order; lengths and frequencies stay."""
    for block in count():
        some = list(islice(sentences, 256))
        words = list(chain.from_iterable(some))
        order = draws(seed, Purpose.UNIGRAM, block).permutation(len(words)).tolist()
        drawn = iter([words[i] for i in order])
        yield from (list(islice(drawn, len(sentence))) for sentence in some)
