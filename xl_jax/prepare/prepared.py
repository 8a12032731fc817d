"""A prepared corpus on disk, opened: vocabulary, token shards, counts of pieces.

vocab.json *.model          the vocabulary
LANG.train LANG.heldout     token shards (see `shards`); LANG.train@1, ... further copies with
LANG.test                   other words switched; LANG.test where a share is kept for it
LANG.gold LANG.words        sentences and words; line i means the same in every gold language
LANG.order                  of a twin's held-out and gold lines: tokens' positions in the base's
counts.npy                  int64[languages, pieces]: occurrences in the training text
header.json                 what was requested, lines and tokens, digest of the vocabulary
report.json report.txt      what became of the text (see `corpus_report`)
source.json                 size and time, or version, of the text that was read
digests.json verified.json  see `integrity`
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xl_jax.config import NO_TEXT, Config
from xl_jax.errors import InputError
from xl_jax.json_files import read_json
from xl_jax.tokens import shards
from xl_jax.tokens import vocabulary as vocabularies
from xl_jax.tokens.shards import Shard
from xl_jax.tokens.vocabulary import Vocabulary


@dataclass(frozen=True)
class Prepared:
    """A run's tokens. `gold` and `words` hold only the languages with known translations, `order`
    only twins."""

    vocabulary: Vocabulary
    copies: dict[str, list[Shard]]  # of the training text; several where words are switched
    heldout: dict[str, Shard]
    test: dict[str, Shard]
    gold: dict[str, Shard]
    order: dict[str, Shard]
    words: dict[str, Shard]
    counts: np.ndarray  # int64[languages, vocabulary.size]
    header: dict
    folder: Path

    @property
    def train(self) -> dict[str, Shard]:
        """The (first copy of the) training text."""
        return {language: copies[0] for language, copies in self.copies.items()}


def read(folder: Path) -> Prepared:
    """Opens a prepared corpus; shards are memory-mapped.

    Raises:
      InputError: a missing or damaged file; files that do not belong together: shards of another
        vocabulary, changed ones.
    """
    header = read_json(folder / "header.json")
    vocabulary = vocabularies.load(folder)
    if vocabulary.digest != header["digest"]:
        raise InputError(
            f"{folder}: the shards were made with another vocabulary than the one there "
            "(digests differ)"
        )
    copies = {x: shards.read_copies(folder, f"{x}.train") for x in header["languages"]}
    for language, expected in header["languages"].items():
        found = copies[language][0]
        if (len(found), found.n_tokens) != (expected["lines"], expected["tokens"]):
            raise InputError(
                f"{folder}: {language}.train has {len(found)} lines and {found.n_tokens} tokens, "
                f"header.json says {expected['lines']} and {expected['tokens']}"
            )

    def by_language(kind: str) -> dict[str, Shard]:
        names = [x for x in header["languages"] if shards.exists(folder, f"{x}.{kind}")]
        return {x: shards.read(folder, f"{x}.{kind}") for x in names}

    return Prepared(
        vocabulary=vocabulary,
        copies=copies,
        heldout=by_language("heldout"),
        test=by_language("test"),
        gold=by_language("gold"),
        order=by_language("order"),
        words=by_language("words"),
        counts=_counts(folder / "counts.npy"),
        header=header,
        folder=folder,
    )


def check_rows(data: Prepared, config: Config) -> None:
    """Raises InputError: the text of a language is too little for a row to train on, or for one to
    measure on (a stream's row needs `data.length` tokens, a line is a row)."""
    length, lines = config.data.length, config.data.windows == "line"
    for language, spec in config.corpora.items():
        if spec == NO_TEXT:
            continue
        train, heldout = data.train[language], data.heldout[language]
        if train.n_tokens < length or heldout.stream_length < (1 if lines else length):
            raise InputError(
                f"corpus of {language}, {spec!r}: {train.n_tokens} training tokens and "
                f"{heldout.stream_length} held-out ones (ends of lines included) are too few for "
                f"rows of {length} tokens: take more text, a larger data.heldout (it is "
                f"{config.data.heldout:g}) or a smaller data.length"
            )


def _counts(path: Path) -> np.ndarray:
    try:
        return np.load(path)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: missing or damaged ({error})") from error
