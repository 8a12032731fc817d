import dataclasses
import functools
import re
from collections import Counter
from itertools import islice, pairwise
from statistics import fmean

import pytest

from xl_jax.text import synthetic_concepts, synthetic_grammar, synthetic_meanings
from xl_jax.text.synthetic import gold_sentences, gold_words, sentences
from xl_jax.text.synthetic_grammar import Grammar
from xl_jax.text.synthetic_lexicon import lexicon
from xl_jax.text.synthetic_meanings import unseen

SMALL = Grammar(words=120, topics=4, sentences=1000, seed=3)


@functools.cache
def text(side="a", **knobs):
    return list(sentences(dataclasses.replace(SMALL, **knobs), side))


def syllables(word):
    return re.findall("[^aeiou][aeiou](?:[^aeiou](?![aeiou]))?", word)


def types(lines):
    return {word for line in lines for word in line.split(" ")}


def meanings(side):
    """The concepts of every training sentence, in the order of the surface of a."""
    number = {word: concept for concept, word in enumerate(lexicon(SMALL, side))}
    return {tuple(number[w] for w in line.split(" ")) for line in text(side)}


@pytest.mark.slow
def test_side_a_is_the_same_whatever_b_is():
    knobs = {"anchors": 0.5, "cognates": 0.5, "order": "inverted", "domain": 0.5}
    assert text("a") == text("a", **knobs)
    assert text("b") != text("b", seed=4)


@pytest.mark.slow
def test_a_text_does_not_depend_on_how_much_of_it_is_read():
    assert text("b")[:300] == text("b", sentences=300)
    assert list(islice(sentences(SMALL, "b"), 10)) == text("b")[:10]
    assert len(text("b")) == 1000


@pytest.mark.slow
def test_sentences_have_4_to_16_words_of_the_lexicon():
    lengths = {len(line.split(" ")) for line in text("a")}
    assert min(lengths) == 4 and max(lengths) <= synthetic_meanings.MAX_WORDS
    assert types(text("a")) <= set(lexicon(SMALL, "a"))
    assert len(types(text("a"))) > 110


def test_no_anchors_means_no_common_word():
    for cognates in (0.0, 1.0):
        grammar = dataclasses.replace(SMALL, cognates=cognates)
        assert not set(lexicon(grammar, "a")) & set(lexicon(grammar, "b"))


def test_all_anchors_means_the_same_lexicon():
    grammar = dataclasses.replace(SMALL, anchors=1.0)
    assert lexicon(grammar, "a") == lexicon(grammar, "b")
    assert text("a") != text("b", anchors=1.0)


def test_the_share_of_anchors_is_the_knob_and_grows_by_adding():
    def anchored(share):
        b = lexicon(dataclasses.replace(SMALL, anchors=share), "b")
        return {x for x, y in zip(lexicon(SMALL, "a"), b, strict=True) if x == y}

    n = len(lexicon(SMALL, "a"))
    assert len(anchored(0.3)) == round(0.3 * n)
    assert anchored(0.3) < anchored(0.6)


def test_cognates_share_the_stem():
    grammar = dataclasses.replace(SMALL, anchors=0.2, cognates=0.5)
    a, b = lexicon(grammar, "a"), lexicon(grammar, "b")
    n = len(a)
    anchors = round(0.2 * n)
    alike = sum(x != y and x[:2] == y[:2] for x, y in zip(a, b, strict=True))
    assert alike == round(0.5 * (n - anchors))
    assert len(set(b)) == n


@pytest.mark.parametrize("kind", ["other", "random"])
def test_anchors_of_another_meaning_are_spelled_as_a_word_of_a(kind):
    """As many as of the same meaning, none of its own; false friends are of the same class."""
    grammar = dataclasses.replace(SMALL, anchors=0.4, anchor_kind=kind)
    a, b = lexicon(grammar, "a"), lexicon(grammar, "b")
    number = {word: concept for concept, word in enumerate(a)}
    meant = [(concept, number[word]) for concept, word in enumerate(b) if word in number]
    assert len(meant) == round(0.4 * len(a)) and len(set(b)) == len(b)
    assert all(x != y for x, y in meant)
    kinds = synthetic_concepts.world_of(SMALL.words, SMALL.topics, SMALL.seed).kind
    alike = sum(kinds[x] == kinds[y] for x, y in meant) / len(meant)
    assert alike == 1 if kind == "other" else alike < 0.7
    more = lexicon(dataclasses.replace(grammar, anchors=0.7), "b")
    assert all(more[concept] == b[concept] for concept, _ in meant)


def test_distance_is_the_share_of_syllables_that_are_not_a_s():
    def far(distance, **knobs):
        grammar = dataclasses.replace(SMALL, distance=distance, **knobs)
        a, b = lexicon(grammar, "a"), lexicon(grammar, "b")
        assert len(set(b)) == len(b)
        words = [zip(*map(syllables, pair), strict=False) for pair in zip(a, b, strict=True)]
        return b, [fmean(x != y for x, y in pairs) for pairs in words]

    assert syllables("panrakes") == ["pan", "ra", "kes"]
    assert set(far(1.0)[1]) == {1}
    assert far(0.0)[0] == lexicon(SMALL, "a")
    shares = [far(distance)[1] for distance in (0.25, 0.5, 0.75)]
    for distance, share in zip((0.25, 0.5, 0.75), shares, strict=True):
        assert fmean(share) == pytest.approx(distance, abs=0.07)
    assert all(x <= y for less, more in pairwise(shares) for x, y in zip(less, more, strict=True))
    far(0.3, anchors=0.3, anchor_kind="other")  # no word twice


def test_words_that_b_never_says_are_in_gold_sentences_alone():
    grammar = dataclasses.replace(SMALL, unseen=0.2)
    never = unseen(grammar)
    kinds = synthetic_concepts.world_of(SMALL.words, SMALL.topics, SMALL.seed).kind
    content = sum(kind in ("noun", "verb", "adj", "adv") for kind in kinds)
    assert len(never) == round(0.2 * content) and not unseen(SMALL)
    assert {kinds[concept] for concept in never} <= {"noun", "verb", "adj", "adv"}
    assert never < unseen(dataclasses.replace(SMALL, unseen=0.3))
    words = {lexicon(grammar, "b")[concept] for concept in never}
    said = list(sentences(grammar, "b"))
    assert len(said) == 1000 and not words & types(said)
    assert list(sentences(grammar, "a")) == text("a")
    gold = types(b for _, b, _ in gold_sentences(grammar, 300))
    assert len(words & gold) > 5
    assert not words & {b for _, b in gold_words(grammar)}


def test_a_unigram_text_has_the_words_and_lengths_of_the_text_and_not_its_company():
    straight, unigram = text("b"), text("b", order="unigram")
    assert [len(x.split(" ")) for x in straight] == [len(x.split(" ")) for x in unigram]
    full = 1000 // 256 * 256  # blocks
    count = [Counter(" ".join(x[:full]).split(" ")) for x in (straight, unigram)]
    assert count[0] == count[1]
    assert text("b", order="unigram", sentences=300) == unigram[:300]

    def pairs(lines):
        return {p for line in lines for p in pairwise(line.split(" "))}

    assert len(pairs(unigram)) > 1.5 * len(pairs(straight))  # any word beside any other
    assert gold_sentences(dataclasses.replace(SMALL, order="unigram"), 20) == gold_sentences(
        SMALL, 20
    )


@pytest.mark.slow
def test_the_texts_are_never_parallel_and_gold_meanings_are_held_out():
    of_a, of_b = meanings("a"), meanings("b")
    number = {word: concept for concept, word in enumerate(lexicon(SMALL, "a"))}
    gold = [tuple(number[w] for w in a.split(" ")) for a, _, _ in gold_sentences(SMALL, 300)]
    assert len(gold) == len(set(gold)) == 300
    assert not of_a & of_b
    assert not set(gold) & (of_a | of_b)


@pytest.mark.parametrize("order", synthetic_grammar.ORDERS)
def test_gold_alignments_are_translations(order):
    grammar = dataclasses.replace(SMALL, order=order)
    dictionary = set(gold_words(grammar))
    for a, b, pairs in gold_sentences(grammar, 50):
        a_words, b_words = a.split(" "), b.split(" ")
        assert [i for i, _ in pairs] == list(range(len(a_words)))
        assert sorted(j for _, j in pairs) == list(range(len(b_words)))
        assert all((a_words[i], b_words[j]) in dictionary for i, j in pairs)
        n = len(pairs)
        if order in ("same", "unigram"):
            assert pairs == tuple((i, i) for i in range(n))
        if order == "inverted":
            assert pairs == tuple((i, n - 1 - i) for i in range(n))


def test_order_alone_does_not_change_the_meanings():
    straight, inverted = text("b"), text("b", order="inverted")
    assert [line.split(" ")[::-1] for line in straight] == [x.split(" ") for x in inverted]
    final = text("b", order="head_final")
    assert [sorted(line.split(" ")) for line in straight] == [sorted(x.split(" ")) for x in final]


@pytest.mark.slow
def test_head_final_moves_heads_and_adjuncts():
    grammar = dataclasses.replace(SMALL, order="head_final")
    kinds = synthetic_concepts.world_of(SMALL.words, SMALL.topics, SMALL.seed).kind
    kind_a = dict(zip(lexicon(grammar, "a"), kinds, strict=True))
    kind_b = dict(zip(lexicon(grammar, "b"), kinds, strict=True))
    said = {}
    for a, b, _ in gold_sentences(grammar, 1000):
        pattern = " ".join(kind_a[word] for word in a.split(" "))
        said[pattern] = " ".join(kind_b[word] for word in b.split(" "))
    assert said["det noun verb adv"] == "det noun adv verb"
    assert said["det noun verb det noun"] == "det noun det noun verb"
    assert said["det adj noun verb det noun"] == "det noun adj det noun verb"
    assert said["det noun verb prep det noun"] == "det noun det noun prep verb"
    relative = "det noun rel verb det noun verb det noun"
    assert said[relative] == "det noun verb rel det noun det noun verb"


@pytest.mark.slow
def test_domain_one_has_no_common_topic():
    grammar = dataclasses.replace(SMALL, domain=1.0)
    world = synthetic_concepts.world_of(120, 4, 3)
    number = {word: concept for concept, word in enumerate(lexicon(grammar, "b"))}
    topics_of_b = {world.topic[number[word]] for word in types(text("b", domain=1.0))}
    number = {word: concept for concept, word in enumerate(lexicon(grammar, "a"))}
    topics_of_a = {world.topic[number[word]] for word in types(text("a", domain=1.0))}
    assert topics_of_a == {-1, 0, 1, 2, 3} and topics_of_b == {-1, 4, 5, 6, 7}
    a_words = types(text("a", domain=1.0))
    assert len(gold_words(grammar)) < len(gold_words(SMALL)) == 120
    assert sum(a in a_words for a, _ in gold_words(grammar)) > 40


def test_same_domain_uses_the_same_concepts_about_as_often():
    a, b = lexicon(SMALL, "a"), lexicon(SMALL, "b")
    counts = []
    for words, lines in ((a, text("a")), (b, text("b"))):
        tokens = [word for line in lines for word in line.split(" ")]
        counts.append([tokens.count(word) / len(tokens) for word in words[:14]])
    assert counts[0] == pytest.approx(counts[1], abs=0.02)


@pytest.mark.parametrize(
    "knobs, message",
    [
        ({"anchors": 1.5}, "anchors = 1.5 is not in 0..1"),
        ({"domain": -0.1}, "domain = -0.1 is not in 0..1"),
        ({"distance": 2}, "distance = 2 is not in 0..1"),
        ({"unseen": 0.5}, "unseen = 0.5 is not in 0..0.3"),
        ({"anchor_kind": "false"}, "unknown anchor_kind .* 'false': .*known: other, random, same"),
        ({"words": 50}, "words = 50 is not in 100..10000"),
        ({"topics": 0}, "topics = 0 is not in 1..64"),
        ({"sentences": 0}, "sentences = 0 is not in 1.."),
        ({"seed": -1}, "seed = -1 is not in 0.."),
        (
            {"order": "invert"},
            "did you mean 'inverted'.*known: head_final, inverted, same, unigram",
        ),
    ],
)
def test_bad_knobs_are_named_with_their_range(knobs, message):
    with pytest.raises(ValueError, match=message):
        Grammar(**knobs)


def test_an_unknown_side_is_refused():
    with pytest.raises(ValueError, match="known: a, b"):
        sentences(SMALL, "gold")
