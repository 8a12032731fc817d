"""Overlap of two languages and the distance of their texts, against counts made by hand."""

import json
from collections.abc import Mapping

import numpy as np
import pytest

from xl_jax.config import Vocab
from xl_jax.errors import InputError
from xl_jax.prepare.domain import count_words, jensen_shannon, word_distance
from xl_jax.prepare.overlap import EXAMPLES, KINDS, kind, overlap, table
from xl_jax.tokens import vocabulary
from xl_jax.tokens.special import PAD, UNK
from xl_jax.tokens.vocabulary import Vocabulary


@pytest.mark.parametrize(
    ("piece", "expected"),
    [
        ("▁2019", "digits"),
        ("½", "digits"),
        ("1.", "digits"),
        ("▁", "punctuation"),
        ("▁—", "punctuation"),
        (",", "punctuation"),
        ("€", "punctuation"),
        ("▁Paris", "names"),
        ("▁Москва", "names"),
        ("USA", "names"),
        ("3D", "names"),
        ("▁the", "other"),
        ("l'", "other"),
        ("l'A", "other"),
        ("x86", "other"),
        ("中国", "other"),
        ("一", "other"),
        ("\u0301", "other"),
    ],
)
def test_kinds_of_pieces(piece: str, expected: str) -> None:
    assert kind(piece) == expected


def characters(mode: str, **more: Mapping) -> Vocabulary:
    """Both languages have the characters `A`, `1`, `a` and the blank; x has `b`, y has `,`."""
    texts = {"x": ["bbbbbb aaaa 111 AA"], "y": [",,,,,, aaaa 111 AA"]}
    return vocabulary.train(
        Vocab(mode=mode, type="char", size=50),
        {x: lambda x=x: texts[x] for x in texts},
        {"x": "x", "y": "y", **more.get("twins", {})},
        {},
        0,
    )


def counted(v: Vocabulary, occurrences: Mapping[str, Mapping[str, int]]) -> np.ndarray:
    counts = np.zeros((len(v.models), v.size), np.int64)
    for i, language in enumerate(v.models):
        rows = dict(zip(v.strings(language), v.ids[language], strict=True))
        for piece, n in occurrences[language].items():
            counts[i, rows[piece]] = n
    return counts


OCCURRENCES = {
    "x": {"<unk>": 10, "▁": 20, "a": 30, "1": 10, "b": 40},
    "y": {"▁": 10, "a": 50, "1": 20, "A": 20, ",": 100},
}


@pytest.mark.parametrize("mode", ["joint", "union"])
def test_overlap_of_types_and_tokens(mode: str) -> None:
    """`A` is in both models, but not in the text of x."""
    v = characters(mode)
    report = overlap(v, counted(v, OCCURRENCES), {"x": 11, "y": 20})
    (pair,) = report["pairs"]
    assert pair["languages"] == ["x", "y"] and pair["types"] == 3
    assert pair["p_type"] == {"x": 3 / 4, "y": 3 / 5}
    assert pair["p_token"] == {"x": 60 / 100, "y": 80 / 200}  # <unk> is no anchor
    expected = {
        "digits": (1, 10 / 100, 20 / 200, ["1"]),
        "punctuation": (1, 20 / 100, 10 / 200, ["▁"]),
        "names": (0, 0.0, 0.0, []),
        "other": (1, 30 / 100, 50 / 200, ["a"]),
    }
    for name, (types, x, y, examples) in expected.items():
        part = pair["kinds"][name]
        assert part["types"] == types and part["examples"] == examples
        assert part["p_token"] == {"x": x, "y": y}
    assert report["languages"]["x"] == {
        "tokens": 110,
        "types": 4,
        "unknown": 10 / 110,
        "pieces_per_word": 110 / 20,
        "characters_per_piece": 80 / 100,
        "tokens_per_line": 10.0,
    }
    assert json.loads(json.dumps(report)) == report


@pytest.mark.parametrize("mode", ["disjoint", "local"])
def test_disjoint_and_local_vocabularies_have_no_overlap(mode: str) -> None:
    v = characters(mode)
    report = overlap(v, counted(v, OCCURRENCES))
    (pair,) = report["pairs"]
    assert pair["types"] == 0 and pair["p_token"] == {"x": 0.0, "y": 0.0}
    assert report["languages"]["y"]["tokens"] == 200
    assert "tokens_per_line" not in report["languages"]["y"]


def test_a_twin_shares_what_is_not_renamed() -> None:
    occurrences = {**OCCURRENCES, "t": OCCURRENCES["x"]}
    renamed = characters("disjoint", twins={"t": "x"})
    pairs = overlap(renamed, counted(renamed, occurrences))["pairs"]
    assert [(p["languages"], p["types"]) for p in pairs] == [
        (["x", "y"], 0),
        (["x", "t"], 0),
        (["y", "t"], 0),
    ]
    same = characters("joint", twins={"t": "x"})
    pairs = overlap(same, counted(same, occurrences))["pairs"]
    assert [p["types"] for p in pairs] == [3, 4, 3]
    assert pairs[1]["p_token"] == {"x": 1.0, "t": 1.0}


def test_examples_are_the_most_frequent_in_the_language_that_has_fewer() -> None:
    letters = "abcdefghijklmno"
    v = vocabulary.train(
        Vocab(mode="joint", type="char", size=50),
        {"x": lambda: [letters], "y": lambda: [letters]},
        {"x": "x", "y": "y"},
        {},
        0,
    )
    x = {letter: 100 + i for i, letter in enumerate(letters)}
    report = overlap(v, counted(v, {"x": x, "y": {**x, "o": 1}}))
    examples = report["pairs"][0]["kinds"]["other"]["examples"]
    assert "".join(examples) == letters[::-1][1 : EXAMPLES + 1]


def test_words_of_a_model_of_words_may_be_unknown() -> None:
    v = vocabulary.train(
        Vocab(mode="joint", type="word", size=7), {"x": lambda: ["la la mi"]}, {"x": "x"}, {}, 0
    )
    tokens = v.encoder("x")(["la mi so", "la"])
    counts = np.bincount(np.concatenate(tokens), minlength=v.size)[None]
    fit = overlap(v, counts)["languages"]["x"]
    assert (fit["tokens"], fit["unknown"], fit["pieces_per_word"]) == (4, 0.25, 1.0)


def test_empty_languages_have_shares_of_zero() -> None:
    v = characters("union")
    counts = np.zeros((2, v.size), np.int64)
    counts[0, [PAD, UNK]] = 5
    report = overlap(v, counts)
    assert report["languages"]["x"]["unknown"] == 1.0 and report["languages"]["y"]["tokens"] == 0
    assert report["pairs"][0]["p_type"] == {"x": 0.0, "y": 0.0}


def test_the_table_shows_every_language_and_pair() -> None:
    v = characters("union", twins={"t": "x"})
    counts = counted(v, {**OCCURRENCES, "t": OCCURRENCES["x"]})
    lines = table(overlap(v, counts, {"x": 11, "y": 20, "t": 11})).splitlines()
    assert lines[1].split() == "x 110 4 9.091 5.50 0.80 10.0".split()
    assert [x.split()[0] for x in lines if x[:1].isalpha() and "-" in x] == ["x-y", "x-t", "y-t"]
    start = next(i for i, line in enumerate(lines) if line.startswith("x-y"))
    assert lines[start].split() == "x-y 3 75.0 60.0 60.0 40.0".split()
    rows = [line.split() for line in lines[start + 1 : start + 5]]
    assert [row[0] for row in rows] == list(KINDS)
    assert rows[0] == "digits 1 25.0 20.0 10.0 10.0 1".split()
    without = table(overlap(v, counts)).splitlines()[1]
    assert without.split()[-1] == "-"


def test_jensen_shannon_is_a_distance_in_bits() -> None:
    a, b = np.array([3, 0, 1]), np.array([0, 5, 0])
    assert jensen_shannon(a, 7 * a) == 0
    assert jensen_shannon(a, b) == 1
    # p = (1, 0), q = (1/2, 1/2): half of log2(4/3), half of the mean of log2(2/3) and log2(2)
    divergence = 0.5 * np.log2(4 / 3) + 0.25 * (np.log2(2 / 3) + 1)
    p, q = np.array([4, 0]), np.array([6, 6])
    assert jensen_shannon(p, q) == jensen_shannon(q, p) == pytest.approx(divergence**0.5)
    with pytest.raises(InputError, match="a text without counts"):
        jensen_shannon(a, np.zeros(3, np.int64))


def test_words_are_counted_in_any_script() -> None:
    assert count_words(["Don't STOP, stop!", "x2 —"]) == {"don": 1, "t": 1, "stop": 2, "x2": 1}
    assert count_words(["中文abc中"]) == {"中": 2, "文": 1, "abc": 1}
    assert count_words(["हिन्दी ЁЛКА"]) == {"हिन्दी": 1, "ёлка": 1}


def test_word_distance_knows_no_vocabulary() -> None:
    """Two domains stay as far apart as they are, whatever cuts their words."""
    a, b = count_words(["la la mi so"]), count_words(["la re re re"])
    assert word_distance(a, b) == pytest.approx(
        jensen_shannon(np.array([2, 1, 1, 0]), np.array([1, 0, 0, 3]))
    )
    assert word_distance(a, a) == 0 and word_distance(a, count_words(["fa"])) == 1
