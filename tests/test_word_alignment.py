"""Word alignment by the states of tokens, and by links that are given."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from xl_jax.analysis import eflomal
from xl_jax.analysis.word_alignment import link_scores, mutual_links
from xl_jax.errors import InputError


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


class Aligner:
    """In place of eflomal's: both directions link the first words, and a random draw another."""

    draws = 0

    def align(self, source: list[str], _: object, **files: str) -> None:
        Aligner.draws += 1
        link = f"0-0 1-{Aligner.draws % 2}\n"
        for name in files.values():
            Path(name).write_text(link * len(source))


def test_kept_links_are_used_again_and_damaged_ones_are_named_and_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "eflomal", SimpleNamespace(Aligner=Aligner))
    pairs = [(["a", "b"], ["c", "d"]), (["e", "f"], ["g", "h"])]
    kept = tmp_path / "new" / "links.txt"
    said: list[str] = []
    made = eflomal.align(pairs, kept, said.append)
    whole, draws = kept.read_bytes(), Aligner.draws
    assert whole.startswith(b"0-0 1-1\n0-0 1-1\n# sha256 ") and whole.endswith(b"\n")

    def again() -> bool:
        """Whether the links are those that were kept; if not, it is said."""
        del said[:]
        Aligner.draws = draws
        found = eflomal.align(pairs, kept, said.append)
        same = all(np.array_equal(a, b) for a, b in zip(found, made, strict=True))
        assert len(said) == Aligner.draws - draws == (not same)
        assert same or (said[0].startswith(str(kept)) and said[0].endswith(": aligned again"))
        return same

    assert again()
    told = 0
    for at in [*range(16), *range(16, len(whole), 9)]:
        kept.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << at % 8)]) + whole[at + 1 :])
        told += not again()
        kept.write_bytes(whole[:at])
        told += not again()
    assert told > 40
    kept.write_bytes(b"0-0 1-1\n0-0 1-1\n")  # of an early version
    assert again()
    assert eflomal.read_links(str(kept), pairs)[0].tolist() == made[0].tolist()
