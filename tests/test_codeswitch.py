"""Dictionaries, and the extra anchors made with them: which words, how many, by what."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xl_jax.config import Anchors
from xl_jax.errors import InputError
from xl_jax.text import dictionaries
from xl_jax.text.codeswitch import TARGET, CodeSwitch, expected_share

ALL = {"rate": 1.0, "cap": 1.0}  # nearly always every listed word is replaced
MUSE = Path(__file__).parent.parent / ".data/pack_shared"


def make(tmp_path: Path, pairs: dict[str, str], language: str, **more: float) -> CodeSwitch:
    """With dictionaries "en-fr" -> text of the file."""
    names = []
    for name, text in pairs.items():
        (tmp_path / f"{name}.txt").write_text(text, encoding="utf-8")
        names.append(f"{name}={tmp_path}/{name}.txt")
    return CodeSwitch(Anchors(",".join(names), **more), language, seed=0)


def outcomes(switch: CodeSwitch, line: str, n: int = 30) -> Counter[str]:
    """What a line becomes in n epochs, and how often."""
    return Counter(switch([line], epoch, Counter())[0] for epoch in range(n))


def usual(switch: CodeSwitch, line: str) -> str:
    return outcomes(switch, line).most_common(1)[0][0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"la mi\nla so re\n", r"d:2: 3 columns, expected two .* three .*: 'la so re'$"),
        (b"la\n", "d:1: 1 columns, expected two"),
        (b"a\tb\tc\td\n", "d:1: 4 columns"),
        (b"la\tmi\n\nla\tso\t2\n", "d:3: 3 columns, .* as many in every line"),
        (b"la\tmi\t1\nla so\n", "d:2: 2 columns, .* as many in every line"),
        (b"la\t\t1\n", r"d:1: an empty column: 'la\\t\\t1'"),
        (b"la\tmi\tmuch\n", "d:1: weight 'much' is not a positive number"),
        (b"la\tmi\t0\n", "d:1: weight '0' is not a positive number"),
        (b"la\tmi\t-1\n", "weight '-1' is not a positive number"),
        (b"la\tmi\tinf\n", "weight 'inf' is not a positive number"),
        (b"la\tmi\tnan\n", "weight 'nan' is not a positive number"),
        (b"la mi\nso \xff\xfe\n", "d:2: not UTF-8 text"),
        (b"", "dictionary .*d: no word pair"),
        (b"\n \n", "dictionary .*d: no word pair"),
    ],
)
def test_bad_dictionaries_are_named_with_the_line(
    tmp_path: Path, text: bytes, message: str
) -> None:
    (tmp_path / "d").write_bytes(text)
    with pytest.raises(InputError, match=message):
        dictionaries.read(str(tmp_path / "d"))
    with pytest.raises(InputError, match=message):
        CodeSwitch(Anchors(f"en-fr={tmp_path}/d"), "fr", seed=0)


def test_a_missing_dictionary_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="dictionary .*/none.txt: No such file"):
        dictionaries.read(f"{tmp_path}/none.txt")


def test_pairs_and_weighted_tables_are_read(tmp_path: Path) -> None:
    path = tmp_path / "d"
    path.write_text("\ufeffla mi\n\nso\tre\n", encoding="utf-8")
    assert dictionaries.read(str(path)) == [("la", "mi", 1.0), ("so", "re", 1.0)]
    path.write_text("e\u0301te\tau bord\t2.5\r\nla\tmi\t1e-2\r\n", encoding="utf-8")
    assert dictionaries.read(str(path)) == [("\u00e9te", "au bord", 2.5), ("la", "mi", 0.01)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("dog", "chien"),
        ("Dog dog DOG dOG", "Chien chien CHIEN chien"),
        ('"dog," (dog); dog...', '"chien," (chien); chien...'),
        ("A Dog's life", "A Chien's life"),  # the parts of an unlisted word are words
        ("hot-dog _dog_ dog/cat", "hot-chien _chien_ chien/cat"),
        ("dogs dog2 hotdog", "dogs dog2 hotdog"),
        ("e-mail E-Mail e-book", "courriel Courriel e-book"),  # unless it is listed as a whole
        ("o'clock o’clock", "heure heure"),
        ("I'm I’m", "Suis Suis"),
        ("I i", "Je je"),
        ("because BECAUSE Because", "parce que PARCE QUE Parce que"),
        ("  dog  dog ", "  chien  chien "),
        ("taxi Taxi", "taxi Taxi"),  # listed as its own translation only
        ("monday MONDAY", "Lundi LUNDI"),  # capitals of the dictionary stay
        ("हिन्दी हि", "hindi हि"),  # marks belong to words
        ("été e\u0301té", "summer e\u0301té"),
    ],
)
def test_words_are_found_and_replaced_within_their_line(
    tmp_path: Path, line: str, expected: str
) -> None:
    text = (
        "dog\tchien\ni\tje\ni’m\tsuis\ne-mail\tcourriel\no'clock\theure\n"
        "because\tparce que\ntaxi\ttaxi\nMonday\tLundi\nहिन्दी\thindi\ne\u0301te\u0301\tsummer\n"
    )
    switch = make(tmp_path, {"en-fr": text}, "en", **ALL)
    assert usual(switch, line) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("in New York city", "in nouvelle york city"),  # written with a capital: New
        ("new york, NEW YORK!", "nouvelle york, NOUVELLE YORK!"),
        ("new york times", "le journal"),  # the longest
        ("new dog new  york", "neuf chien neuf  york"),  # a phrase has single blanks
        ("new-york new, york", "neuf-york neuf, york"),
        ("old town", "old town"),  # listed as its own translation only: one word
    ],
)
def test_phrases_are_words_of_the_text(tmp_path: Path, line: str, expected: str) -> None:
    text = (
        "new\tneuf\ndog\tchien\nnew york\tnouvelle york\nnew york times\tle journal\n"
        "old\tvieux\nold town\told town\ne.g.\tpar exemple\nl'eau vive\tbrandy\n"
    )
    switch = make(tmp_path, {"en-fr": text}, "en", **ALL)
    expected = expected.replace("in nouvelle", "in Nouvelle")
    assert usual(switch, line) == expected
    assert (len(switch), switch.unmatchable) == (7, 2)  # e.g.; l'eau, which text has as two words


def test_equal_documents_are_switched_differently(tmp_path: Path) -> None:
    switch = make(tmp_path, {"en-fr": "dog\tchien\ncat\tchat\n"}, "en", rate=0.5, cap=1.0)
    document = ["dog cat " * 20]
    numbers = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]
    made = {number: switch(document, 0, Counter(), number) for number in numbers}
    assert len({x[0] for x in made.values()}) == len(numbers)
    assert made[0, 0] == switch(document, 0, Counter())  # the first one by its text alone
    assert made == {number: switch(document, 0, Counter(), number) for number in numbers}


ZH = "我们\twe\n学\tstudy\n学校\tschool\n学校大门\tgate\n大\tbig\n去\tto go\n喜欢\tlike\n的\tof\n"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("我们去学校。", "we to go school。"),  # the longest entry first, blanks between
        ("学校大门", "gate"),
        ("学校大，学校", "school big，school"),
        ("我们喜欢电脑", "we like 电脑"),
        ("电脑学校", "电脑 school"),
        ("电学脑", "电学脑"),  # a character beside a stretch without an entry belongs to it
        ("去电脑的大", "去电脑的 big"),
        ("去Linux学校2.0", "to go Linux school 2.0"),
        ("“学校”：大", "“school”：big"),
        ("我们 喜欢\t学校", "we like\tschool"),
    ],
)
def test_without_blanks_words_are_the_longest_entries(
    tmp_path: Path, line: str, expected: str
) -> None:
    assert usual(make(tmp_path, {"zh-en": ZH}, "zh", **ALL), line) == expected


@pytest.mark.parametrize(
    ("names", "text", "line", "expected"),
    [
        ("en-zh", "school\t学校\nbig\t大\n", "Big school-bus.", "大 学校-bus."),
        (
            "zh-ja",
            "学校\tスクール\n我们\t私たち\n",
            "我们学校",
            "私たちスクール",
        ),
        ("th-en", "กา\tcrow\nกิน\teat\n", "กากิน", "crow eat"),
        ("th-en", "กา\tcrow\nกิน\teat\n", "กา่กิน", "กา่ eat"),  # a mark belongs to what it is on
        ("ja-en", "コーヒー\tcoffee\n飲む\tdrink\n", "コーヒー飲む", "coffee drink"),
    ],
)
def test_other_scripts(tmp_path: Path, names: str, text: str, line: str, expected: str) -> None:
    assert usual(make(tmp_path, {names: text}, names[:2], **ALL), line) == expected


def test_words_are_counted_alike_with_and_without_blanks(tmp_path: Path) -> None:
    counts: Counter[str] = Counter()
    make(tmp_path, {"zh-en": ZH}, "zh")(["我们喜欢电脑学校 2.0", "。", "学校"], 0, counts)
    assert (counts["words"], counts["in_dictionary"]) == (7, 4)  # 电脑, 2 and 0 are unlisted
    counts.clear()
    make(tmp_path, {"en-fr": "dog\tchien\nfor\tpour\ntaxis\tTaxis\n"}, "en")(
        ["A dog's life -- a dog for 3 taxis"], 0, counts
    )
    assert (counts["words"], counts["in_dictionary"]) == (9, 3)  # taxis stay taxis in any case


def test_directions(tmp_path: Path) -> None:
    pairs = {"en-fr": "dog chien\n", "ru-en": "кот cat\n"}
    line = "dog cat chien кот"
    assert usual(make(tmp_path, pairs, "en", **ALL), line) == "chien кот chien кот"
    assert usual(make(tmp_path, pairs, "fr", **ALL), line) == "dog cat dog кот"
    assert usual(make(tmp_path, pairs, "ru", **ALL), line) == "dog cat chien cat"
    assert len(make(tmp_path, pairs, "en")) == 2
    one_way = {"both": False, **ALL}
    assert usual(make(tmp_path, pairs, "en", **one_way), line) == "chien cat chien кот"
    assert not make(tmp_path, pairs, "fr", **one_way) and not make(tmp_path, pairs, "de")
    assert usual(make(tmp_path, pairs, "de"), line) == line


def test_translations_are_drawn_by_weight_and_dictionaries_alike(tmp_path: Path) -> None:
    pairs = {
        "en-fr": "dog\tchien\t90\ndog\tclebs\t30\ndog\tdog\t5\n",
        "en-ru": "dog\tпес\t0.1\nDog\tсобака\t0.1\n",
        "de-en": "dog dog\n",  # gives no other translation, so it is never drawn
    }
    found = outcomes(make(tmp_path, pairs, "en", **ALL), "dog", 4000)
    total = 4000 - found.pop("dog")
    assert total / 4000 == pytest.approx(TARGET, abs=0.01)
    assert {word: n / total for word, n in found.items()} == pytest.approx(
        {"chien": 3 / 8, "clebs": 1 / 8, "пес": 1 / 4, "собака": 1 / 4}, abs=0.03
    )


def test_words_are_translated_independently(tmp_path: Path) -> None:
    switch = make(tmp_path, {"en-fr": "dog chien\ndog clebs\n"}, "en", **ALL)
    found = outcomes(switch, "dog dog", 2000)
    both = {f"{a} {b}" for a in ("chien", "clebs") for b in ("chien", "clebs")}
    total = sum(found[x] for x in both)
    assert [found[x] / total for x in both] == pytest.approx([1 / 4] * 4, abs=0.04)


def test_which_words_are_switched_says_nothing_about_their_translation(tmp_path: Path) -> None:
    switch = make(tmp_path, {"en-fr": "dog chien\ndog clebs\n"}, "en")
    found = Counter(" ".join(outcomes(switch, "dog " * 20, 1000).elements()).split())
    assert found["chien"] / (found["chien"] + found["clebs"]) == pytest.approx(1 / 2, abs=0.05)


def share_switched(switch: CodeSwitch, documents: list[list[str]]) -> float:
    counts: Counter[str] = Counter()
    for document in documents:
        switch(document, 0, counts)
    return counts["switched"] / counts["words"]


@pytest.mark.parametrize(
    ("listed", "rate", "cap", "expected"),
    [
        (8, 0.3, 0.15, 0.15 * TARGET),
        (5, 0.3, 0.15, 0.15 * TARGET),
        (2, 0.3, 0.15, 0.3 * 2 / 8),  # below the cap the rate is the rate
        (8, 0.1, 0.15, 0.1),
        (1, 1.0, 0.5, 1 / 8),
        (8, 0.0, 0.15, 0.0),
        (0, 0.3, 0.15, 0.0),
    ],
)
def test_the_share_of_words_switched_in_short_documents(
    tmp_path: Path, listed: int, rate: float, cap: float, expected: float
) -> None:
    switch = make(tmp_path, {"en-fr": "dog chien\n"}, "en", rate=rate, cap=cap)
    line = " ".join(["dog"] * listed + ["cat"] * (8 - listed))
    share = share_switched(switch, [[line, "-" * i] for i in range(1, 2000)])
    assert share == pytest.approx(expected, abs=0.005)
    assert expected_share(Anchors(rate=rate, cap=cap), listed / 8) == expected


def test_a_chunk_of_short_documents_stays_under_the_cap(tmp_path: Path) -> None:
    switch = make(tmp_path, {"en-fr": "dog chien\n"}, "en")
    documents = [["dog " * 8, "-" * i] for i in range(1, 2500)]
    assert 0.98 * TARGET * 0.15 < share_switched(switch, documents) < 0.15


@pytest.fixture(scope="module")
def two_words(tmp_path_factory: pytest.TempPathFactory) -> CodeSwitch:
    return make(tmp_path_factory.mktemp("x"), {"en-fr": "dog\tun chien\n"}, "en")


@given(
    words=st.lists(st.sampled_from(["dog", "Dog,", "cat", "(fish)", "\n", "--"]), max_size=60),
    epoch=st.integers(0, 5),
)
def test_no_document_is_more_than_a_word_above_the_cap(
    two_words: CodeSwitch, words: list[str], epoch: int
) -> None:
    document = [x for x in " ".join(words).split("\n") if x]
    counts: Counter[str] = Counter()
    result = two_words(document, epoch, counts)
    assert len(result) == len(document)
    assert counts["switched"] <= int(0.15 * TARGET * counts["words"]) + 1
    assert sum(line.lower().count("un chien") for line in result) == counts["switched"]
    back = [x.replace("un chien", "dog").replace("Un chien", "Dog") for x in result]
    assert back == document


def test_every_listed_word_is_switched_equally_often(tmp_path: Path) -> None:
    switch = make(tmp_path, {"en-fr": "dog chien\n"}, "en")
    words = "dog dog cat dog dog cat dog dog dog cat dog".split()
    switched = [0] * len(words)
    for epoch in range(3000):
        result = switch([" ".join(words)], epoch, Counter())[0].split()
        switched = [n + (word == "chien") for n, word in zip(switched, result, strict=True)]
    p = 0.15 * TARGET * 11 / 8
    expected = [p if word == "dog" else 0 for word in words]
    assert [n / 3000 for n in switched] == pytest.approx(expected, abs=0.03)


def test_the_result_is_a_function_of_seed_document_and_epoch(tmp_path: Path) -> None:
    pairs = {"en-fr": "dog chien\ndog clebs\ncat chat\n"}
    first, again = make(tmp_path, pairs, "en"), make(tmp_path, pairs, "en")
    other = CodeSwitch(Anchors(f"en-fr={tmp_path}/en-fr.txt"), "en", seed=1)
    documents = [[f"dog cat dog cat {i}", "dog dog dog"] for i in range(60)]

    def run(switch: CodeSwitch, epoch: int, documents: list[list[str]]) -> list[list[str]]:
        return [switch(document, epoch, Counter()) for document in documents]

    result = run(first, 0, documents)
    assert run(again, 0, documents[::-1])[::-1] == result  # neighbours do not matter
    assert run(first, 1, documents) != result != run(other, 0, documents)
    assert [len(document) for document in result] == [2] * 60


def test_an_empty_document_stays_empty(tmp_path: Path) -> None:
    switch = make(tmp_path, {"en-fr": "dog chien\n"}, "en")
    assert switch([], 0, Counter()) == [] and switch(["--"], 0, Counter()) == ["--"]


@pytest.mark.skipif(not MUSE.exists(), reason="the development data are not unpacked")
@pytest.mark.parametrize("name", ["en-fr", "fr-en", "en-ru", "ru-en", "en-zh", "zh-en"])
def test_real_text_with_muse(name: str) -> None:
    language = name[:2]
    switch = CodeSwitch(Anchors(f"{name}={MUSE}/dict/{name}.full.txt"), language, seed=0)
    lines = (MUSE / f"text/{language}/wiki.valid.txt").read_text().splitlines()
    counts: Counter[str] = Counter()
    result = [switch([line], 0, counts)[0] for line in lines]
    coverage, share = (counts[x] / counts["words"] for x in ("in_dictionary", "switched"))
    assert coverage > 0.3 and 0.3 * 0.3 < share <= expected_share(Anchors(), coverage)
    changed = sum(a != b for a, b in zip(lines, result, strict=True))
    assert changed > len(lines) / 2
