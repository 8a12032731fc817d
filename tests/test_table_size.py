"""How many rows of an embedding table a config asks for, and who goes by it."""

import pytest

from tests.text_toy import WORDS, config, make, write_text
from tools.device_checks import programs
from xl_jax.config import Config, Vocab
from xl_jax.studies import cost
from xl_jax.tokens.table_size import padded, rows_of

CORPORA = {"en": "docstrings:", "fr": "docstrings:", "tw": "twin:fr#shift=0.5"}


def asks(mode: str, sizes: str = "", specials: str = "shared") -> Config:
    vocab = Vocab(mode=mode, size=1000, sizes=sizes, specials=specials)
    return config(CORPORA, vocab=vocab)


@pytest.mark.parametrize(
    ("mode", "sizes", "specials", "pieces"),
    [
        ("joint", "", "shared", 1000),
        ("joint", "", "private", 1000 + 10),
        ("local", "", "private", 1000),
        ("local", "en=1300", "shared", 1300),
        ("union", "", "shared", 5 + 3 * 995),
        ("disjoint", "en=2000,fr=4000", "shared", 5 + 1995 + 2 * 3995),  # the twin's are fr's
        ("disjoint", "", "private", 3 * 1000),
    ],
)
def test_the_rows_of_a_mode(mode: str, sizes: str, specials: str, pieces: int) -> None:
    found = rows_of(asks(mode, sizes, specials))
    assert found == padded(pieces) and found % 128 == 0 <= found - pieces < 128


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["joint", "disjoint", "local"])
def test_a_vocabulary_that_is_learnt_has_them(tmp_path, mode: str) -> None:
    more = [f"{a}{b}" for a in WORDS for b in "abcdefghij"]
    specs = {x: write_text(tmp_path / x, 400, i, more) for i, x in enumerate(("en", "fr"))}
    vocab = Vocab(mode=mode, size=150, specials="private")
    data = make(tmp_path, specs, vocab=vocab)
    assert data.vocabulary.size == rows_of(config(specs, vocab=vocab))


def test_who_compiles_or_times_a_step_without_text_goes_by_it() -> None:
    small, large = asks("union"), asks("union", "fr=3000")
    assert programs.abstract_model(large).vocab_size == rows_of(large) > rows_of(small)
    assert cost.size_of(large) != cost.size_of(small)
    fewer = config({x: CORPORA[x] for x in ("en", "fr")}, vocab=small.vocab)
    assert cost.size_of(fewer) != cost.size_of(small)
