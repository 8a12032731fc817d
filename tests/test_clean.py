"""What cleaning does to a line, and that looking at many documents at once changes nothing."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xl_jax.config import Clean
from xl_jax.errors import InputError
from xl_jax.text import clean
from xl_jax.text.clean import Cleaner, own_letters, sentences


@pytest.mark.parametrize(
    ("line", "expected", "counted"),
    [
        ("plain text", "plain text", {}),
        ("e\u0301te\u0301", "\u00e9t\u00e9", {"nfc": 1}),
        ("a\tb  c\u00a0d\u3000e", "a b c d e", {"control": 1}),
        ("soft\u00adhyphen zero\u200bwidth\ufeff", "softhyphen zerowidth", {"control": 1}),
        ("\u200eleft\u202e \x00nul\x85", "left nul", {"control": 1}),
        ("می\u200cخواهم", "می\u200cخواهم", {}),  # a non-joiner is spelling
        ("half \ud83d letter", "half letter", {"control": 1}),
        ("👨\u200d👩\u200d👧", "👨\u200d👩\u200d👧", {}),
        ("\u200b\u00ad", None, {"control": 1, "too_short": 1}),
    ],
)
def test_unicode_form_and_control_characters(
    line: str, expected: str | None, counted: dict[str, int]
) -> None:
    counts: Counter[str] = Counter()
    assert Cleaner(Clean())([line], counts) == ([expected] if expected else [])
    assert counts == counted
    off = Cleaner(Clean(nfc=False, control=False))
    assert off([line], counts) == [line] and counts == counted


@pytest.mark.parametrize(
    ("config", "kept", "counted"),
    [
        (Clean(), ["a", "bcd", "efghij"], {}),
        (Clean(shortest=2), ["bcd", "efghij"], {"too_short": 1}),
        (Clean(shortest=2, longest=5), ["bcd"], {"too_short": 1, "too_long": 1}),
    ],
)
def test_lengths(config: Clean, kept: list[str], counted: dict[str, int]) -> None:
    counts: Counter[str] = Counter()
    assert Cleaner(config)(["a", "bcd", "efghij"], counts) == kept
    assert counts == counted


@pytest.mark.parametrize(
    ("script", "kept"),
    [
        ("Latin", ["Déjà vu", "12:30", "我们用Git。", "我用 Linux", "Пётр is a name here"]),
        ("Cyrillic", ["12:30", "Привет, мир v2"]),
        ("Han", ["12:30", "我们用Git。"]),
        ("Cyrillic+Han", ["12:30", "Привет, мир v2", "我们用Git。"]),
    ],
)
def test_lines_mostly_in_other_scripts_are_dropped(script: str, kept: list[str]) -> None:
    lines = [
        "Déjà vu",
        "12:30",
        "Привет, мир v2",
        "我们用Git。",
        "我用 Linux",
        "Пётр is a name here",
    ]
    counts: Counter[str] = Counter()
    assert Cleaner(Clean(), script)(lines, counts) == kept
    assert counts["other_script"] == len(lines) - len(kept)


def test_an_unknown_script_is_an_error_with_near_names() -> None:
    with pytest.raises(InputError, match="unknown script 'Cyrilic': did you mean 'Cyrillic'"):
        own_letters("Latin+Cyrilic")


@pytest.mark.parametrize(
    ("language", "line", "expected"),
    [
        ("en", "Mr. Smith paid $3.50. He left.", ["Mr. Smith paid $3.50.", "He left."]),
        ("fr", "Mme Dupont est là. Il dort !", ["Mme Dupont est là.", "Il dort !"]),
        ("ru", "Это дом. Он стоит.", ["Это дом.", "Он стоит."]),
        ("zh", "我来了。你呢？2019年。好", ["我来了。", "你呢？", "2019年。", "好"]),
        ("en", "No end", ["No end"]),
    ],
)
def test_sentences_of_prose(language: str, line: str, expected: list[str]) -> None:
    assert sentences(line, language) == expected
    assert Cleaner(Clean(), prose=language)([line], Counter()) == expected


def test_endless_lines_are_cut_at_blanks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clean, "LONGEST_LINE", 10)
    counts: Counter[str] = Counter()
    found = Cleaner(Clean())(["one two three four", "x" * 25], counts)
    assert found == ["one two", "three four", "x" * 10, "x" * 10, "x" * 5]
    assert counts == {"cut_lines": 3}


LINES = ["plain", "two  blanks", "e\u0301", "\u200b", "tab\there", "中文", "x" * 9]


@settings(deadline=None)
@given(
    documents=st.lists(st.lists(st.sampled_from(LINES), max_size=4), max_size=12),
    shortest=st.integers(0, 6),
)
def test_many_documents_become_what_each_becomes(documents: list[list[str]], shortest: int) -> None:
    cleaner = Cleaner(Clean(shortest=shortest, longest=10))
    one, many = Counter[str](), Counter[str]()
    expected = [x for document in documents if (x := cleaner(document, one))]
    assert list(cleaner.many(documents, many)) == expected
    assert one == many


def test_text_that_is_clean_is_not_touched() -> None:
    document = ["as it is", "так и есть"]
    assert Cleaner(Clean())(document, Counter()) is document
