import dataclasses
import functools
from itertools import islice

import pytest

from xl_jax.text import synthetic
from xl_jax.text.synthetic import Grammar, gold_sentences, gold_words, lexicon, sentences

SMALL = Grammar(words=120, topics=4, sentences=1000, seed=3)


@functools.cache
def text(side="a", **knobs):
    return list(sentences(dataclasses.replace(SMALL, **knobs), side))


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
    assert min(lengths) == 4 and max(lengths) <= synthetic.MAX_WORDS
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


@pytest.mark.slow
def test_the_texts_are_never_parallel_and_gold_meanings_are_held_out():
    of_a, of_b = meanings("a"), meanings("b")
    number = {word: concept for concept, word in enumerate(lexicon(SMALL, "a"))}
    gold = [tuple(number[w] for w in a.split(" ")) for a, _, _ in gold_sentences(SMALL, 300)]
    assert len(gold) == len(set(gold)) == 300
    assert not of_a & of_b
    assert not set(gold) & (of_a | of_b)


@pytest.mark.parametrize("order", synthetic.ORDERS)
def test_gold_alignments_are_translations(order):
    grammar = dataclasses.replace(SMALL, order=order)
    dictionary = set(gold_words(grammar))
    for a, b, pairs in gold_sentences(grammar, 50):
        a_words, b_words = a.split(" "), b.split(" ")
        assert [i for i, _ in pairs] == list(range(len(a_words)))
        assert sorted(j for _, j in pairs) == list(range(len(b_words)))
        assert all((a_words[i], b_words[j]) in dictionary for i, j in pairs)
        n = len(pairs)
        if order == "same":
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
    kinds = synthetic._world(SMALL.words, SMALL.topics, SMALL.seed).kind
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
    world = synthetic._world(120, 4, 3)
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
        ({"words": 50}, "words = 50 is not in 100..10000"),
        ({"topics": 0}, "topics = 0 is not in 1..64"),
        ({"sentences": 0}, "sentences = 0 is not in 1.."),
        ({"seed": -1}, "seed = -1 is not in 0.."),
        ({"order": "invert"}, "did you mean 'inverted'.*known: head_final, inverted, same"),
    ],
)
def test_bad_knobs_are_named_with_their_range(knobs, message):
    with pytest.raises(ValueError, match=message):
        Grammar(**knobs)


def test_an_unknown_side_is_refused():
    with pytest.raises(ValueError, match="known: a, b"):
        sentences(SMALL, "gold")
