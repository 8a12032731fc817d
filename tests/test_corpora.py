"""Corpus specs, and which of their documents each language has."""

import gzip
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.text_toy import random_lines
from xl_jax.errors import InputError
from xl_jax.text.corpora import HELDOUT, TEST, Corpus, assign_parts, open_corpora, splits
from xl_jax.text.documents import Document, all_documents, positions

PAIR = "synthetic:b#sentences=300,words=120,topics=4"


def test_files_are_read_in_order_without_blank_lines(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("two\n\n  three  \n")
    (tmp_path / "a.txt").write_text("one\n")
    with gzip.open(tmp_path / "c.txt.gz", "wt") as file:
        file.write("four\n")
    source = open_corpora({"en": f"files:{tmp_path}/*.txt*"})["en"].source
    expected = [["one"], ["two"], ["three"], ["four"]]
    assert list(all_documents(source)) == list(all_documents(source)) == expected
    assert source.size() == 4 + 15 + 4 * (tmp_path / "c.txt.gz").stat().st_size


def test_keys_of_a_spec(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("One. Two.\n\nx\n")
    spec = f"files:{tmp_path}/a#documents=blank,text=prose,script=Latin+Han,errors=stop"
    corpora = open_corpora(
        {
            "en": spec,
            "t": "twin:en#order=permute,p=0.5,shift=0.25,text=parallel",
            "o": f"files:{tmp_path}/a#of=en,order=invert",
        }
    )
    en, twin, own = corpora.values()
    assert (en.prose, en.script, en.base) == ("en", "Latin+Han", "")
    assert list(all_documents(en.source)) == [["One. Two."], ["x"]]
    assert twin == Corpus(
        "twin:en#order=permute,p=0.5,shift=0.25,text=parallel",
        en.source,
        base="en",
        order="permute",
        p=0.5,
        shift=0.25,
        parallel=True,
        script="Latin+Han",
        prose="en",
    )
    assert twin.source is en.source
    assert (own.base, own.order, own.own_text) == ("en", "invert", True)


@pytest.mark.parametrize(
    ("specs", "message"),
    [
        ({"en": "files:/no/such/*.txt"}, "no file matches '/no/such/.*txt'"),
        ({"en": "file:x"}, "unknown corpus scheme of en = 'file:x' 'file': did you mean 'files'"),
        ({"en": "docstrings"}, "unknown corpus scheme"),
        ({"en": "synthetic:a", "fr": "twin:de"}, "unknown base of the twin fr 'de'.*known: en"),
        ({"en": "synthetic:a", "x": "twin:en", "y": "twin:x"}, "unknown base of the twin y 'x'"),
        ({"en": "twin:"}, "a twin of which language"),
        ({"en": "synthetic:a", "x": "twin:en#ordr=keep"}, "unknown key .* 'ordr': .* 'order'"),
        ({"en": "synthetic:a", "x": "twin:en#order=back"}, "unknown value of order .*invert, keep"),
        ({"en": "synthetic:a", "x": "twin:en#p=1.5"}, "p = 1.5 is not in 0..1"),
        ({"en": "synthetic:a", "x": "twin:en#shift=lots"}, "shift = 'lots' is not a number"),
        ({"en": "synthetic:a", "x": "twin:en#keep"}, "'keep' is not key=value"),
        ({"en": "synthetic:a#script=Latn"}, "unknown script 'Latn': did you mean 'Latin'"),
        ({"en": "synthetic:a#share=0"}, "share = 0 is not in"),
        ({"en": "synthetic:c"}, "unknown side"),
        ({"en": "synthetic:a#anchors=0.5"}, "knobs of a pair belong to its side b"),
        ({"en": "synthetic:b#anchors=lots"}, "anchors = 'lots' is not a number"),
        ({"en": "synthetic:b#anchor=0.1"}, "unknown key .* did you mean 'anchors'"),
    ],
)
def test_bad_specs_say_what_is_wrong(specs: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_corpora(specs)


def test_held_out_documents_are_a_hash_apart_and_stay_when_the_text_grows() -> None:
    documents = [[f"line {i}"] for i in range(4000)]
    one, two = (splits(positions(documents), 0.1, 0.05, parts) for parts in (1, 2))
    assert ((one == HELDOUT) == (two == HELDOUT)).all() and ((one == TEST) == (two == TEST)).all()
    shares = [(two == part).mean() for part in (HELDOUT, TEST, 0, 1)]
    np.testing.assert_allclose(shares, [0.1, 0.05, 0.425, 0.425], atol=0.03)
    larger = splits(positions(documents), 0.2, 0.0, 1)
    assert set(np.flatnonzero(one == HELDOUT)) < set(np.flatnonzero(larger == HELDOUT))


def test_a_base_and_its_disjoint_twins_divide_the_text() -> None:
    specs = {"en": "synthetic:a", "t1": "twin:en", "t2": "twin:en", "p": "twin:en#text=parallel"}
    assert assign_parts(open_corpora(specs)) == {
        "en": (0, 3), "t1": (1, 3), "t2": (2, 3), "p": (0, 3),
    }  # fmt: skip
    assert assign_parts(open_corpora({"en": "synthetic:a", "o": f"{PAIR},of=en"})) == {
        "en": (0, 1), "o": (0, 1),
    }  # fmt: skip


def test_a_share_is_a_random_subset_that_other_documents_do_not_change(tmp_path: Path) -> None:
    path = tmp_path / "a"
    lines = [f"{i} {line}" for i, line in enumerate(random_lines(3000, 0))]

    def half(lines: list[str]) -> tuple[list[Document], Counter[str]]:
        path.write_text("\n".join(lines))
        counts: Counter[str] = Counter()
        source = open_corpora({"en": f"files:{path}#share=0.5"})["en"].source
        return list(all_documents(source, counts)), counts

    found, counts = half(lines)
    assert len(found) == pytest.approx(1500, abs=100)
    assert counts["outside_share"] == 3000 - len(found)
    assert half(lines[:1000])[0] == [x for x in found if int(x[0].split()[0]) < 1000]
    heldout = splits(positions(found), 0.5, 0.0, 1) == HELDOUT
    assert heldout.mean() == pytest.approx(0.5, abs=0.05)  # another hash than the one of the splits
