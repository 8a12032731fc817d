"""What is measured."""

from dataclasses import dataclass
from typing import Any

from xl_jax.config.domains import (
    MOST_TEXT,
    Section,
    boolean,
    choice,
    integer,
    option,
    several,
    text,
)


@dataclass(frozen=True)
class EvalOptions(Section, where="probe."):
    """What training measures at its end, and `eval.py` by default (all layers)."""

    source: str = option(
        "",
        text("a language"),
        "source language; empty = the first, with each of the others; all = every pair",
    )
    target: str = option("", text("a language"), "target language; empty = each of the others")
    sentences: int = option(1000, integer(1), "gold pairs of held-out sentences")
    length: int = option(
        0,
        integer(0),
        "tokens that a gold sentence is cut to, shorter ones are left out; 0 = whole sentences",
    )
    words: int = option(1000, integer(1), "gold word pairs, most frequent first")
    pairs: str = option(
        "",
        text("SOURCE_FILE,TARGET_FILE"),
        "sentence pairs to test on in place of the run's own gold, line by line",
    )
    candidates: str = option("", text("a file"), "retrieval: further target sentences, a line each")
    dictionary: str = option(
        "",
        text("a file"),
        "word pairs to test on in place of the run's own gold: two columns, source and target",
    )
    map: str = option(
        "",
        text("SOURCE_FILE,TARGET_FILE"),
        "sentence pairs from which a map between the encoders is learnt",
    )
    map_dictionary: str = option(
        "", text("a file"), "and word pairs for it: two columns, source and target"
    )
    links: str = option(
        "",
        text("a file"),
        "word alignment of the pairs in map, Pharaoh format (0-0 1-2); empty = by eflomal",
    )
    normalise: str = option(
        "iterative",
        choice("iterative", "centre", "none"),
        "of both spaces before a map is learnt (paper: iterative)",
    )
    layers: tuple[int, ...] = option(
        (),
        several(integer(0)),
        "layers of retrieval, translation and tasks through a map, 0 the embeddings; empty = all",
    )
    text: int = option(
        500_000,
        integer(1, MOST_TEXT),
        "lines of training text that averages of words are taken over (paper)",
    )
    types: int = option(200_000, integer(1), "most frequent words of it, of each language")
    fasttext: int = option(
        0, integer(0), "width of fastText vectors of the same text; 0 = none (paper: 300)"
    )
    kernel: str = option("linear", choice("linear", "rbf"), "of CKA")
    centred: bool = option(
        True, boolean(), "CKA with centring (without, unrelated spaces may seem alike)"
    )
    debiased: bool = option(False, boolean(), "CKA without the bias of few items")
    special_tokens: bool = option(
        False,
        boolean(),
        "means of sentences count their special tokens, as sentence-transformers' do",
    )

    @property
    def request(self) -> dict[str, Any]:
        """What records depend on. What earlier versions had no name for is left out where it is as
        they did it, so that their files are found."""
        asked = dict(vars(self))
        if not self.special_tokens:
            del asked["special_tokens"]
        return asked
