"""Corpora, vocabularies, prepared tokens: generated text only, nothing downloaded."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from xl_jax.config import Config, Data, Vocab
from xl_jax.data import parallel
from xl_jax.data.corpora import HELDOUT, assign_parts, open_corpora, part_of
from xl_jax.data.ngrams import Ngrams
from xl_jax.data.prepare import Prepared, prepare, reorder
from xl_jax.data.special import N_SPECIAL
from xl_jax.errors import InputError

WORDS = "la mi so re do fa ti ka lo pe nu ga ri".split()


def write_text(path: Path, n: int, seed: int, words: list[str] = WORDS) -> str:
    random = np.random.default_rng(seed)
    lines = [" ".join(random.choice(words, random.integers(6, 14))) for _ in range(n)]
    path.write_text("\n".join(lines) + "\n")
    return f"files:{path}"


def config(corpora: dict[str, str], mode: str = "disjoint", size: int = 40) -> Config:
    return Config(
        languages=tuple(corpora),
        corpora=corpora,
        vocab=Vocab(mode=mode, size=size),
        data=Data(windows="line", length=16, heldout=0.1),
    )


def make(
    tmp_path: Path, corpora: dict[str, str], mode: str = "disjoint", size: int = 40
) -> Prepared:
    return prepare(config(corpora, mode, size), tmp_path / "data", log=lambda _: None)


def test_files_are_read_in_order_without_blank_lines(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("two\n\n  three  \n")
    (tmp_path / "a.txt").write_text("one\n")
    with gzip.open(tmp_path / "c.txt.gz", "wt") as file:
        file.write("four\n")
    corpus = open_corpora({"en": f"files:{tmp_path}/*.txt*"})["en"]
    assert list(corpus.lines()) == list(corpus.lines()) == ["one", "two", "three", "four"]


@pytest.mark.parametrize(
    ("specs", "message"),
    [
        ({"en": "files:/no/such/*.txt"}, "no file matches '/no/such/.*txt'"),
        ({"en": "file:x"}, "unknown corpus scheme of en = 'file:x' 'file': did you mean 'files'"),
        ({"en": "docstrings"}, "unknown corpus scheme"),
        ({"en": "synthetic:a", "fr": "twin:de"}, "unknown base of the twin fr 'de'.*known: en"),
        ({"en": "synthetic:a", "x": "twin:en#ordr=keep"}, "unknown key .* 'ordr': .* 'order'"),
        ({"en": "synthetic:a", "x": "twin:en#order=back"}, "unknown value of order .*invert, keep"),
        ({"en": "synthetic:c"}, "unknown side"),
        ({"en": "synthetic:b#anchors=lots"}, "anchors = 'lots' is not a number"),
        ({"en": "synthetic:b#anchor=0.1"}, "unknown key .* did you mean 'anchors'"),
    ],
)
def test_bad_specs_say_what_is_wrong(specs: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_corpora(specs)


def test_parts_divide_the_lines_and_held_out_lines_stay_when_the_text_grows() -> None:
    lines = [f"line {i}" for i in range(4000)]
    one = [part_of(line, 0.1, 1) for line in lines]
    two = [part_of(line, 0.1, 2) for line in lines]
    assert [a == HELDOUT for a in one] == [b == HELDOUT for b in two]
    shares = [two.count(part) / len(two) for part in (HELDOUT, 0, 1)]
    np.testing.assert_allclose(shares, [0.1, 0.45, 0.45], atol=0.03)


def test_a_base_and_its_disjoint_twins_divide_the_text(tmp_path: Path) -> None:
    specs = {"en": "synthetic:a", "t1": "twin:en", "t2": "twin:en", "p": "twin:en#text=parallel"}
    assert assign_parts(open_corpora(specs)) == {
        "en": (0, 3), "t1": (1, 3), "t2": (2, 3), "p": (0, 3),
    }  # fmt: skip


def test_disjoint_twins_have_no_token_and_no_sentence_in_common(tmp_path: Path) -> None:
    data = make(tmp_path, {"en": write_text(tmp_path / "a.txt", 400, 0), "tw": "twin:en"})
    en, twin = data.train["en"], data.train["tw"]
    assert not set(en.tokens) & set(twin.tokens)
    shift = data.vocabulary.offsets["tw"] - data.vocabulary.offsets["en"]
    sentences = {en.line(i).tobytes() for i in range(len(en))}
    assert not any((twin.line(i) - shift).tobytes() in sentences for i in range(len(twin)))
    gold = data.gold["en"], data.gold["tw"]
    assert len(gold[0]) == len(gold[1]) > 10
    for i in range(len(gold[0])):
        np.testing.assert_array_equal(gold[0].line(i) + shift, gold[1].line(i))
        assert gold[0].line(i).tobytes() not in sentences
    frequent = [int(data.words["en"].line(i)[0]) for i in range(3)]
    counts = np.bincount(en.tokens)
    assert counts[frequent[0]] == counts[N_SPECIAL:].max()


def test_parallel_twins_read_the_same_sentences(tmp_path: Path) -> None:
    text = write_text(tmp_path / "a.txt", 200, 0)
    data = make(tmp_path, {"en": text, "tw": "twin:en#text=parallel,order=invert"})
    shift = data.vocabulary.offsets["tw"] - data.vocabulary.offsets["en"]
    for i in range(len(data.train["en"])):
        expected = data.train["en"].line(i)[::-1] + shift
        np.testing.assert_array_equal(expected, data.train["tw"].line(i))


def test_token_orders() -> None:
    ids = np.arange(20, dtype=np.int32)
    assert reorder(ids, "invert", 0).tolist() == list(range(19, -1, -1))
    permuted = reorder(ids, "permute", 0)
    assert sorted(permuted) == ids.tolist() and permuted.tolist() != ids.tolist()
    assert reorder(ids, "permute", 0).tolist() == permuted.tolist()
    assert reorder(ids, "permute", 1).tolist() != permuted.tolist()


def test_the_same_question_is_answered_once_and_another_anew(tmp_path: Path) -> None:
    specs = {"en": write_text(tmp_path / "a.txt", 300, 0)}
    first = make(tmp_path, specs)
    (tmp_path / "a.txt").unlink()
    with pytest.raises(InputError, match="no file matches"):
        make(tmp_path, specs)
    write_text(tmp_path / "a.txt", 5, 1)
    again = make(tmp_path, specs)
    np.testing.assert_array_equal(first.train["en"].tokens, again.train["en"].tokens)
    assert len(list((tmp_path / "data").iterdir())) == 1


def test_impossible_sizes_are_said_plainly_and_leave_nothing(tmp_path: Path) -> None:
    specs = {"en": write_text(tmp_path / "a.txt", 300, 0)}
    with pytest.raises(
        InputError, match=r"vocab.size = 9000 .* text of en: it gives at most \d+ bpe"
    ):
        make(tmp_path, specs, size=9000)
    with pytest.raises(InputError, match=r"vocab.size = 10 .*: its characters alone need \d+"):
        make(tmp_path, specs, size=10)
    assert not list((tmp_path / "data").iterdir())


def test_empty_and_tiny_corpora_are_errors(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("\n\n")
    with pytest.raises(InputError, match="corpus of en, .*empty.txt': no line of text"):
        make(tmp_path, {"en": f"files:{tmp_path}/empty.txt"})
    with pytest.raises(InputError, match="too few for rows of 16 tokens"):
        make(tmp_path, {"en": write_text(tmp_path / "tiny.txt", 1, 0)}, size=20)


def test_synthetic_pairs_come_with_gold(tmp_path: Path) -> None:
    pair = {"a": "synthetic:a", "b": "synthetic:b#sentences=300,words=120,anchors=0.2,topics=4"}
    data = make(tmp_path, pair, size=120)
    assert len(data.gold["a"]) == len(data.gold["b"]) and len(data.words["a"]) >= 100
    pairs = parallel.gold_sentences(data, "a", "b", n=50, length=0)
    assert pairs is not None and len(pairs.source) == 50 and pairs.aligned


def test_gold_sentences_are_cut_to_one_length_without_repetitions(tmp_path: Path) -> None:
    data = make(tmp_path, {"en": write_text(tmp_path / "a.txt", 900, 0), "tw": "twin:en"})
    pairs = parallel.gold_sentences(data, "en", "tw", n=40, length=6)
    assert pairs is not None and pairs.aligned and len(pairs.answers) == 40
    assert set(pairs.source.lengths) == set(pairs.target.lengths) == {6}
    assert len({pairs.source.line(i).tobytes() for i in range(40)}) == 40


def test_real_pairs_and_dictionaries_from_files(tmp_path: Path) -> None:
    specs = {
        "a": write_text(tmp_path / "a.txt", 300, 0),
        "b": write_text(tmp_path / "b.txt", 300, 1),
    }
    data = make(tmp_path, specs, "joint")
    (tmp_path / "x.a").write_text("la mi\n\nso re\n")
    (tmp_path / "x.b").write_text("do fa\nti\nla la\n")
    pairs = parallel.sentence_files(data, "a", "b", f"{tmp_path}/x.a,{tmp_path}/x.b")
    assert len(pairs.source) == 2 and pairs.name == "x"
    (tmp_path / "x.b").write_text("do fa\n")
    with pytest.raises(InputError, match="x.a has 3 lines, .*x.b 1"):
        parallel.sentence_files(data, "a", "b", f"{tmp_path}/x.a,{tmp_path}/x.b")
    with pytest.raises(InputError, match="no such file"):
        parallel.sentence_files(data, "a", "b", f"{tmp_path}/x.a,{tmp_path}/y.b")
    (tmp_path / "d.txt").write_text("la mi\nla\tso\nre mi\n")
    words = parallel.dictionary_file(data, "a", "b", str(tmp_path / "d.txt"))
    assert words.answers.tolist() == [[0, 0], [0, 1], [1, 0]] and not words.aligned
    (tmp_path / "d.txt").write_text("la mi\nla so re\n")
    with pytest.raises(InputError, match=r"d.txt:2: 3 columns, expected two"):
        parallel.dictionary_file(data, "a", "b", str(tmp_path / "d.txt"))


def test_ngrams_are_distributions_and_bigrams_know_what_follows() -> None:
    rows = np.array([[5, 6, 7, 6, 7, 6], [6, 7, 5, 6, 7, 7]])
    ngrams = Ngrams([rows], 8)
    for before in (0, 5, 6, 7):
        losses = ngrams.losses(np.full(8, before), np.arange(8))
        for name in ("unigram", "bigram"):
            assert np.exp(-losses[name]).sum() == pytest.approx(1)
    after_six = ngrams.losses(np.array([6]), np.array([7]))
    assert after_six["bigram"][0] < after_six["unigram"][0]
