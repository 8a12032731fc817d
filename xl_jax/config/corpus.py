"""What decides the tokens of a run: text, vocabulary, anchors."""

from dataclasses import dataclass

from xl_jax.config.domains import (
    MOST_TEXT,
    Section,
    boolean,
    choice,
    folder,
    integer,
    number,
    option,
    pairs,
    require,
    text,
)

NO_TEXT = "none:"  # the spec of a language whose text is not needed


@dataclass(frozen=True)
class Vocab(Section, where="vocab."):
    mode: str = option(
        "joint",
        choice("joint", "union", "disjoint", "local"),
        "joint: one SentencePiece model; union: one a language, equal pieces are one row; "
        "disjoint: one a language, no piece in common; local: one a language, each numbering its "
        "own pieces (needs private embeddings)",
    )
    type: str = option(
        "bpe",
        choice("bpe", "unigram", "word", "char", "given"),
        "kind of SentencePiece model; given: the tokenizers of imported encoders",
    )
    size: int = option(
        8000, integer(6), "pieces of one SentencePiece model, special tokens included"
    )
    sizes: str = option(
        "",
        text("LANGUAGE=SIZE,LANGUAGE=SIZE"),
        "other sizes for some languages' own models: zh=16000,fr=12000",
    )
    specials: str = option(
        "shared",
        choice("shared", "private"),
        "rows of the special tokens: shared, or private to each language",
    )
    sample: int = option(
        50_000_000,
        integer(1, MOST_TEXT),
        "most characters of text that one SentencePiece model learns from",
    )
    alpha: float = option(
        0.7,
        number("[0, 10]"),
        "languages' shares of a joint model's training text, as batch.alpha",
    )

    def agree(self) -> None:
        for language, size in pairs("vocab.sizes", self.sizes).items():
            require(
                size.isascii() and size.isdecimal() and 6 <= int(size) < 2**31,
                f"vocab.sizes: {language}={size} must be a whole number of at least 6",
            )


@dataclass(frozen=True)
class Clean(Section, where="clean."):
    """What is done to every line of text, in this order. A corpus spec's `script` comes after."""

    nfc: bool = option(True, boolean(), "Unicode normal form C")
    control: bool = option(
        True, boolean(), "control characters are dropped, white space becomes single blanks"
    )
    shortest: int = option(
        0, integer(0, MOST_TEXT), "fewest characters of a line that is kept; 0 = no limit"
    )
    longest: int = option(0, integer(0, MOST_TEXT), "most characters of it; 0 = no limit")
    duplicates: bool = option(False, boolean(), "of equal lines in a corpus only the first is kept")

    def agree(self) -> None:
        require(
            not 0 < self.longest < self.shortest,
            f"clean.longest = {self.longest} is below clean.shortest = {self.shortest}",
        )


@dataclass(frozen=True)
class Anchors(Section, where="anchors."):
    """Extra anchors: training text with words replaced by their translations (paper 4.2)."""

    dictionaries: str = option(
        "",
        text("L1-L2=FILE,L1-L3=FILE"),
        "bilingual dictionaries: en-fr=FILE,en-ru=FILE; MUSE pairs, or a third column of weights",
    )
    both: bool = option(True, boolean(), "each dictionary is read in both directions")
    rate: float = option(
        0.3, number("[0, 1]"), "a word that has a translation is replaced with this probability"
    )
    cap: float = option(0.15, number("(0, 1]"), "largest share of the words replaced")
    copies: int = option(
        1,
        integer(1, 1000),
        "differently switched copies of the text; epoch e reads copy e mod n",
    )

    def agree(self) -> None:
        for languages in pairs("anchors.dictionaries", self.dictionaries):
            first, _, second = languages.partition("-")
            require(
                bool(first and second),
                f"anchors.dictionaries: {languages!r} is not two languages: en-fr=FILE",
            )


@dataclass(frozen=True)
class Data(Section, where="data."):
    dir: str = option(
        "", folder(), "where vocabulary and token shards go; empty = in the run directory"
    )
    windows: str = option(
        "stream",
        choice("stream", "line"),
        "stream: lines joined by </s> and cut into rows (paper); line: one line a row",
    )
    length: int = option(256, integer(4), "tokens of a row")
    heldout: float = option(
        0.01,
        number("(0, 0.5)"),
        "share of the documents that is kept from training, by a hash of the document",
    )
    test: float = option(0.0, number("[0, 0.5)"), "a further share, kept from both")
    tokens: int = option(
        0,
        integer(-1, MOST_TEXT),
        "training tokens kept of a language; 0 = all, -1 = as many as the smallest has",
    )
