"""Words out of pieces, word alignment, and sentence pairs from files."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from xl_jax.analysis import eflomal
from xl_jax.analysis.word_alignment import link_scores, mutual_links
from xl_jax.config import Vocab
from xl_jax.errors import InputError
from xl_jax.evaluate.pairs import read_pairs
from xl_jax.tokens import vocabulary
from xl_jax.tokens.detokenize import Spelling, most_frequent, single_pieces
from xl_jax.tokens.special import UNK

TEXT = ["The cats' house, the dog-house and l'homme: 42 houses."] * 20 + ["the house"] * 20
VOCABULARY = vocabulary.train(
    Vocab(size=60, type="bpe"), {"en": lambda: iter(TEXT)}, {"en": "en"}, {}, seed=0
)
ENCODE = VOCABULARY.encoder("en")
SPELL = Spelling(VOCABULARY, "en")


def test_words_are_runs_of_letters_and_digits_in_lower_case() -> None:
    found = SPELL(ENCODE([TEXT[0]])[0])
    expected = "the cats house the dog house and l homme 42 houses".split()
    assert found.words == expected


def test_every_piece_of_a_word_and_nothing_else_is_its_part() -> None:
    line = ENCODE([TEXT[0]])[0]
    found = SPELL(line)
    pieces = [VOCABULARY.piece("en", int(i)) for i in line]
    for number, word in enumerate(found.words):
        mine = [p for p, part in zip(pieces, found.parts, strict=True) if part == number]
        assert "".join(mine).replace("▁", "").lower() == word
    beside = [p for p, part in zip(pieces, found.parts, strict=True) if part < 0]
    assert not any(c.isalnum() for p in beside for c in p)


def test_an_unknown_piece_ends_a_word() -> None:
    line = ENCODE(["the house"])[0]
    cut = np.concatenate([line[:1], [UNK], line[1:]]).astype(np.int32)
    assert SPELL(cut).parts[1] == -1
    assert SPELL(np.zeros(0, np.int32)).words == []


def test_words_are_counted_and_ordered() -> None:
    counts = SPELL.count(ENCODE(["the house the", "cats"]))
    assert counts == {"the": 2, "house": 1, "cats": 1}
    assert most_frequent(counts, 2) == ["the", "cats"]


def test_single_pieces_are_whole_words() -> None:
    found = single_pieces(VOCABULARY, "en")
    assert {"the", "house"} <= found.keys() and "homme" not in found
    assert [found["house"]] == ENCODE(["house"])[0].tolist()
    assert all(word.isalnum() for word in found)


def test_mutual_nearest_tokens_are_linked() -> None:
    basis = np.eye(6, dtype=np.float32)
    x = [basis[[0, 1, 2]], basis[[3, 4]]]
    y = [basis[[2, 0, 1]] * 5, basis[[4, 4, 3, 5]]]
    found = mutual_links(x, y)
    assert found[0].tolist() == [[0, 1], [1, 2], [2, 0]]
    assert found[1].tolist() == [[0, 2], [1, 0]]  # of equal ones the first


def test_link_scores_equal_their_definition() -> None:
    found = [np.array([[0, 0], [1, 1]]), np.array([[0, 1]]), np.zeros((0, 2), int)]
    gold = [np.array([[0, 0], [1, 2]]), np.array([[0, 1]]), np.array([[0, 0]])]
    scores = link_scores(found, gold)
    assert (scores["precision"], scores["recall"]) == pytest.approx((2 / 3, 1 / 2))
    assert scores["f1"] == pytest.approx(4 / 7)
    assert scores["low"] < 4 / 7 < scores["high"]
    assert link_scores(gold, gold)["f1"] == 1.0


def test_links_are_read_in_pharaoh_format(tmp_path: Path) -> None:
    pairs = [(["a", "b"], ["c"]), (["d"], ["e", "f"])]
    path = tmp_path / "links"
    path.write_text("0-0 1-0\n\n")
    found = eflomal.read_links(str(path), pairs)
    assert [x.tolist() for x in found] == [[[0, 0], [1, 0]], []]
    assert eflomal.one_to_one(found[0]).tolist() == [[0, 0]]
    for content, message in {
        "0-0\n": "links has 1 lines for 2 sentence pairs",
        "0-0\n0-2\n": "links:2: '0-2' is no link between 1 and 2 words",
        "0:0\n\n": "links:1: '0:0' is no link",
    }.items():
        path.write_text(content)
        with pytest.raises(InputError, match=message):
            eflomal.read_links(str(path), pairs)


def test_text_is_divided_into_words_and_signs() -> None:
    words, spaced = eflomal.tokenise("L'été, (2) a_b")
    assert words == ["L", "'", "été", ",", "(", "2", ")", "a", "_", "b"]
    assert [w for w, s in zip(words, spaced, strict=True) if s] == ["L", "(", "a"]


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
