"""Sentence and word pairs whose translation is known."""

import dataclasses
import gzip
import lzma
from pathlib import Path

import numpy as np
import pytest

from tests.text_toy import make, write_text
from xl_jax.analysis.retrieval import Ranks
from xl_jax.errors import InputError
from xl_jax.evaluate.pairs import (
    Pairs,
    dictionary_file,
    gold_sentences,
    gold_words,
    read_pairs,
    sentence_files,
)
from xl_jax.evaluate.sentences import _both_ways
from xl_jax.prepare.prepared import Prepared
from xl_jax.tokens.shards import of_lines


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """Two languages that know each other's words."""
    folder = tmp_path_factory.mktemp("two")
    specs = {x: write_text(folder / x, 300, seed) for seed, x in enumerate("ab")}
    return make(folder, specs, "joint")


def test_gold_sentences_are_cut_to_one_length_without_repetitions(tmp_path: Path) -> None:
    data = make(tmp_path, {"en": write_text(tmp_path / "a.txt", 900, 0), "tw": "twin:en"})
    pairs = gold_sentences(data, "en", "tw", n=40, length=6)
    assert pairs is not None and len(pairs.source) == 40 and pairs.aligned
    assert {len(x) for side in (pairs.source, pairs.target) for x in side} == {6}
    assert len({pairs.source.line(i).tobytes() for i in range(40)}) == 40
    assert gold_sentences(data, "en", "fr", n=40, length=6) is None


def test_sentence_pairs_from_files(tmp_path: Path, two: Prepared) -> None:
    (tmp_path / "x.a").write_text("la mi\n\nso re\n")
    (tmp_path / "x.b").write_text("do fa\nti\nla la\n")
    pairs = sentence_files(two, "a", "b", f"{tmp_path}/x.a,{tmp_path}/x.b")
    assert len(pairs.source) == 2 and pairs.name == "x"
    (tmp_path / "x.b").write_text("do fa\n")
    with pytest.raises(InputError, match="x.a has 3 lines, .*x.b 1"):
        sentence_files(two, "a", "b", f"{tmp_path}/x.a,{tmp_path}/x.b")
    with pytest.raises(InputError, match="no such file"):
        sentence_files(two, "a", "b", f"{tmp_path}/x.a,{tmp_path}/y.b")


def test_pairs_are_read_compressed_and_with_the_marks_of_other_systems(tmp_path: Path) -> None:
    text = "\ufeffen\tde\tfr\r\none\teins\tun\r\ntwo\tzwei\tdeux\r\n"
    (tmp_path / "x.tsv").write_bytes(text.encode())
    assert read_pairs(f"{tmp_path}/x.tsv", "en", "fr") == [("one", "un"), ("two", "deux")]
    assert read_pairs(f"{tmp_path}/x.tsv", "de", "fr") == [("eins", "un"), ("zwei", "deux")]
    (tmp_path / "x.en.gz").write_bytes(gzip.compress(b"one\ntwo\n"))
    (tmp_path / "x.fr.xz").write_bytes(lzma.compress(b"un\ndeux\n"))
    spec = f"{tmp_path}/x.en.gz,{tmp_path}/x.fr.xz"
    assert read_pairs(spec, "en", "fr") == [("one", "un"), ("two", "deux")]
    (tmp_path / "x.fr.xz").write_bytes("un\ndéjà\n".encode("latin-1"))
    with pytest.raises(InputError, match="x.fr.xz: cannot be read"):
        read_pairs(spec, "en", "fr")
    (tmp_path / "x.fr").write_bytes("un\ndéjà\n".encode("latin-1"))
    with pytest.raises(InputError, match="x.fr:2: not UTF-8 text"):
        read_pairs(f"{tmp_path}/x.en.gz,{tmp_path}/x.fr", "en", "fr")


def test_word_pairs_from_a_dictionary(tmp_path: Path, two: Prepared) -> None:
    (tmp_path / "d.txt").write_text("la mi\nla\tso\nre mi\n")
    words = dictionary_file(two, "a", "b", str(tmp_path / "d.txt"))
    assert words.answers.tolist() == [[0, 0], [0, 1], [1, 0]] and not words.aligned
    (tmp_path / "d.txt").write_text("la mi\nla so re\n")
    with pytest.raises(InputError, match=r"d.txt:2: 3 columns, expected two"):
        dictionary_file(two, "a", "b", str(tmp_path / "d.txt"))


def test_words_that_are_their_own_translation(tmp_path: Path, two: Prepared) -> None:
    """Sorted numbers: la 0, mi 1; la 0, do 1, fa 2."""
    (tmp_path / "x").write_text("la la\nla do\nmi fa\n")
    pairs = dictionary_file(two, "a", "b", str(tmp_path / "x"))
    assert pairs.alike is not None and pairs.alike.tolist() == [True, False, False]
    different = [pairs.different(column) for column in (0, 1)]
    assert [x.tolist() for x in different if x is not None] == [[False, True], [False, True, True]]
    words = [(np.array([7]), np.array([7])), (np.array([8]), np.array([9]))]
    folder = dataclasses.replace(
        two, words={x: of_lines([w[i] for w in words]) for i, x in enumerate("ab")}
    )
    gold = gold_words(folder, "a", "b", 5)
    assert gold is not None and gold.alike is not None and gold.alike.tolist() == [True, False]


def test_hits_without_common_words() -> None:
    """Four words, the first two common and found, of the others one: 3 of 4, or 1 of 2."""
    ranks = Ranks(np.array([0, 0, 0, 1]), np.array([1, 1, 1, 1]), np.array([1, 1, 1, 1]))
    lines = of_lines([np.array([i], np.int32) for i in range(7, 11)])
    answers = np.stack([np.arange(4)] * 2, 1)
    alike = np.array([True, True, False, False])
    pairs = Pairs("words", lines, lines, answers, alike)
    origin = {"source": "a", "target": "b"}
    found = [[(0, {"centred": False}, (ranks, ranks))]]
    records = list(_both_ways("word_translation", pairs, found, origin))
    said = {(r.metric, r.source, r.value, r.n, r.chance, r.get("common")) for r in records}
    assert said == {
        *(("word_translation", x, 0.75, 4, 0.25, None) for x in "ab"),
        *(("word_translation_different", x, 0.5, 2, 0.25, 2) for x in "ab"),
    }
    everything = Pairs("words", lines, lines, answers, np.ones(4, bool))
    records = list(_both_ways("word_translation", everything, found, origin))
    assert {r.metric for r in records} == {"word_translation"}


def test_sentence_pairs_come_from_two_files_or_from_columns(tmp_path: Path) -> None:
    (tmp_path / "x.en").write_text("one\n\nthree\n")
    (tmp_path / "x.fr").write_text("un\ndeux\ntrois\n")
    two = f"{tmp_path}/x.en,{tmp_path}/x.fr"
    expected = [("one", "un"), ("", "deux"), ("three", "trois")]
    assert read_pairs(two, "en", "fr") == expected
    named, plain = tmp_path / "named.tsv", tmp_path / "plain.tsv"
    named.write_text("ru\tfr\ten\nodin\tun\tone\n")
    plain.write_text("one\tun\n")
    assert read_pairs(str(named), "en", "fr") == [("one", "un")]
    named.write_text("\ufeffen\tru\tfr\none\todin\tun\n")  # some editors begin a file so
    assert read_pairs(str(named), "en", "fr") == [("one", "un")]
    packed = tmp_path / "named.tsv.gz"
    packed.write_bytes(gzip.compress(named.read_bytes()))
    assert read_pairs(str(packed), "en", "fr") == [("one", "un")]
    assert read_pairs(str(plain), "en", "fr") == [("one", "un")]
    assert read_pairs(f"{two};{plain}", "en", "fr") == [*expected, ("one", "un")]
    plain.write_text("one\tun\ntwo\n")
    with pytest.raises(InputError, match="plain.tsv:2: 1 columns, need 2"):
        read_pairs(str(plain), "en", "fr")
    (tmp_path / "x.fr").write_text("un\n")
    with pytest.raises(InputError, match="x.en has 3 lines, .*x.fr 1"):
        read_pairs(two, "en", "fr")
    with pytest.raises(InputError, match="expected SOURCE_FILE,TARGET_FILE or one FILE.tsv"):
        read_pairs("only.txt", "en", "fr")
