"""One numbering of the pieces of all languages, from one or several SentencePiece models.

joint: one model over all text. union: a model a language, equal pieces are one row (the paper's
"Default anchors", 40k/40k). disjoint: a model a language, no piece in common (its "No anchors").
local: a model a language, each numbering its own pieces from the same start, so that the embedding
table is as small as one language's; legal only where that table is private.

A twin is written in its base's model, and a share of its pieces is renamed: these have rows of
their own, the rest are its base's. All are renamed by default, none in a joint vocabulary.
Rows are numbered language after language, in the order of each model.
"""

import hashlib
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Int32

from xl_jax.atomic_files import replacing
from xl_jax.config import Vocab, pairs
from xl_jax.errors import InputError, unknown
from xl_jax.file_names import file_name
from xl_jax.json_files import fingerprint, write_json
from xl_jax.text.twins import shifted
from xl_jax.tokens import sentencepiece_model
from xl_jax.tokens.given import processor
from xl_jax.tokens.special import N_SPECIAL, NAMES
from xl_jax.tokens.table_size import padded
from xl_jax.tokens.word_cache import Encoder

ENDINGS = (".model", ".tokenizer.json")  # of the names of models' files: SentencePiece's, given


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Pieces and how each language's text becomes their rows in the embedding table.

    The special tokens are 0..N_SPECIAL-1 in every language's batches. Where they are private, the
    model adds `special_offset` to them before it looks up their row: the first language has the
    rows 0..N_SPECIAL-1, the others have theirs after all ordinary pieces.
    """

    mode: str
    specials: str  # shared or private
    n_pieces: int  # rows of the embedding table that are in use
    models: Mapping[str, bytes]  # language -> SentencePiece model, or what `given.keep` made
    ids: Mapping[str, np.ndarray]  # language -> int32[pieces of its model]: their rows
    special_offset: Mapping[str, int]

    @property
    def size(self) -> int:
        """Rows of the embedding table: `n_pieces` rounded up to a multiple of 128."""
        return padded(self.n_pieces)

    @property
    def digest(self) -> str:
        """SHA-256 over everything that decides the numbers, hexadecimal."""
        return self._record["digest"]

    def encoder(self, language: str) -> Callable[[list[str]], list[np.ndarray]]:
        """A function from lines to int32 piece numbers, without special tokens but <unk>."""
        encode_stream = self.stream_encoder(language)

        def encode(lines: list[str]) -> list[np.ndarray]:
            stream, lengths = encode_stream(lines)
            ends = itertools.accumulate(lengths, initial=0)
            return [stream[start : end - 1] for start, end in itertools.pairwise(ends)]

        return encode

    def stream_encoder(self, language: str) -> Encoder:
        """The same as one int32 array in which `</s>` closes each line, and the lines' lengths,
        `</s>` included: much quicker for many short lines."""
        return Encoder(self.models[language], self.ids[language])

    def ordinary(self, language: str) -> Bool[np.ndarray, " size"]:
        """The rows of the pieces that `language`'s text can become, special tokens left out."""
        rows = np.zeros(self.size, bool)
        rows[self.ids[language][N_SPECIAL:]] = True
        return rows

    def possible(self, language: str) -> Bool[np.ndarray, " size"]:
        """The `ordinary` rows, and those of the language's special tokens."""
        rows = self.ordinary(language)
        rows[np.arange(N_SPECIAL) + self.special_offset[language]] = True
        return rows

    def strings(self, language: str) -> list[str]:
        """The pieces of `language`'s model, in its own order: piece i has row `ids[language][i]`.
        Special tokens come first; "▁" is a blank."""
        return _strings(self.models[language])

    def piece(self, language: str, number: int) -> str:
        """The text of one of `language`'s pieces.

        Raises:
          InputError: the number is none of the language's.
        """
        found = np.flatnonzero(self.ids[language] == number)
        if not len(found):
            raise InputError(f"row {number} of the vocabulary is no piece of {language}")
        opened = processor(self.models[language])
        return opened.id_to_piece(int(found[0]))

    def save(self, folder: Path) -> None:
        """Writes one .model file a SentencePiece model, then vocab.json."""
        for language, name in self._files.items():
            with replacing(folder / name) as file:
                file.write(self.models[language])
        write_json(folder / "vocab.json", self._record)

    @cached_property
    def _files(self) -> dict[str, str]:
        """Language -> name of its model's file; equal models have one file."""
        names: dict[bytes, str] = {}
        return {
            x: names.setdefault(model, file_name(x) + _ending(model))
            for x, model in self.models.items()
        }

    @cached_property
    def _record(self) -> dict[str, Any]:
        """The content of vocab.json."""
        record = {
            "mode": self.mode,
            "n_pieces": self.n_pieces,
            "special": dict(zip(NAMES, range(N_SPECIAL), strict=True)),
            "specials": self.specials,
            "models": {self._files[x]: _sha256(model) for x, model in self.models.items()},
            "languages": {
                x: {
                    "model": self._files[x],
                    "rows": _compact(self.ids[x]),
                    "special_offset": self.special_offset[x],
                }
                for x in self.models
            },
            "pieces": self._pieces(),
        }
        return {**record, "digest": fingerprint(record, 64, sort_keys=False)}

    def _pieces(self) -> list[str] | dict[str, list[str]]:
        """The string of every row in use; a list a language where each has its own numbering."""
        by_language = {}
        rows = [""] * self.n_pieces
        for language, ids in self.ids.items():
            if self.mode == "local":
                rows = [""] * len(ids)
            for row, piece in zip(ids.tolist(), self.strings(language), strict=True):
                rows[row] = piece
            for number, name in enumerate(NAMES):
                rows[number + self.special_offset[language]] = name
            by_language[language] = rows
        return by_language if self.mode == "local" else rows


def load(folder: Path) -> Vocabulary:
    """The vocabulary saved in `folder`.

    Raises:
      InputError: a file is missing, or is not as it was written (its digest differs).
    """
    path = folder / "vocab.json"
    text = _read(path)
    try:
        record = json.loads(text)
        body = {name: value for name, value in record.items() if name != "digest"}
        intact = record["digest"] == fingerprint(body, 64, sort_keys=False)
    except (ValueError, KeyError, AttributeError):
        intact = False
    if not intact:
        raise InputError(f"{path}: changed since it was written (digests differ)")
    files = {name: _read(folder / name) for name in record["models"]}
    for name, content in files.items():
        if _sha256(content) != record["models"][name]:
            raise InputError(f"{folder / name}: changed since it was written (digests differ)")
    languages = record["languages"]
    models = {x: files[entry["model"]] for x, entry in languages.items()}
    return Vocabulary(
        record["mode"],
        record["specials"],
        record["n_pieces"],
        models,
        {x: _expand(entry["rows"], models[x]) for x, entry in languages.items()},
        {x: entry["special_offset"] for x, entry in languages.items()},
    )


def train(
    config: Vocab,
    texts: Mapping[str, Callable[[], Iterable[str]]],
    bases: Mapping[str, str],
    shifts: Mapping[str, float | None],
    seed: int,
    sizes: Mapping[str, sentencepiece_model.Size] | None = None,
    read: Mapping[str, float] | None = None,
    known: Vocabulary | None = None,
) -> Vocabulary:
    """Train the vocabulary of a run.

    Args:
      config: mode, model type, sizes.
      texts: the training lines of each language that has a model of its own, afresh at every call.
      bases: for every language of the run, in whose model it is written (its own, or its base's).
      shifts: the share of a twin's pieces that is renamed; None or absent = what the mode says.
      seed: of the choice of lines to learn from.
      sizes: of the texts, which are counted first if it is not given.
      read: `texts` give so much of each text, 1 if it is not given; they may also leave out lines
        that `sentencepiece_model.chosen` leaves out.
      known: a vocabulary to go on from: its languages keep what they have there, and the others
        learn their own pieces, numbered after all of them.

    Raises:
      InputError: a text without lines, sizes or shifts that do not fit the mode, or a size that a
        text cannot give; a mode that does not fit the known vocabulary.
    """
    kept = {x: model for x, model in known.models.items() if x in bases} if known else {}
    if known:
        _check_extends(known, config, [x for x in bases if x not in kept])
    texts = {x: text for x, text in texts.items() if x not in kept}
    own_sizes = _sizes(config, bases)
    if config.mode == "local":
        for language, share in shifts.items():
            if share is not None:
                raise InputError(
                    f"shift={share:g} of {language}: with vocab.mode = 'local' every language "
                    "numbers its own pieces, there is no piece to share"
                )
    sizes = sizes or {
        language: sentencepiece_model.size_of(text()) for language, text in texts.items()
    }
    keep = sentencepiece_model.shares(config, sizes)

    def sample(language: str) -> Iterator[str]:
        left = int(keep[language] * sizes[language].characters)
        share = keep[language] / (read[language] if read else 1)
        for line in texts[language]():
            if sentencepiece_model.chosen(line, share, seed) and len(line) <= left:
                left -= len(line)
                yield line

    if config.mode == "joint" and not known:
        lines = itertools.chain.from_iterable(map(sample, texts))
        models = dict.fromkeys(
            bases, sentencepiece_model.train_model(config, config.size, lines, "all languages")
        )
    else:
        own = {
            x: sentencepiece_model.train_model(config, own_sizes[x], sample(x), x) for x in texts
        }
        own |= kept
        models = {x: kept[x] if x in kept else own[base] for x, base in bases.items()}
    return _number(config.mode, config.specials, models, bases, shifts, known)


def _check_extends(known: Vocabulary, config: Vocab, new: Sequence[str]) -> None:
    """Raises InputError: languages `new` cannot be added to the vocabulary by this config."""
    names = ", ".join(new)
    if (config.mode == "local") != (known.mode == "local"):
        raise InputError(
            f"vocab.mode = {config.mode!r}: the run that is started from has mode {known.mode!r}; "
            "local and other numberings do not mix"
        )
    if new and config.mode == "joint":
        raise InputError(
            f"vocab.mode = 'joint': {names} cannot be added to one model of all text; use "
            "'disjoint' (pieces of their own) or 'union' (equal pieces are one row)"
        )
    if new and config.type == "given":
        raise InputError(f"vocab.type = 'given': {names} came with no tokenizer; use 'bpe'")
    if new and config.specials != known.specials:
        raise InputError(
            f"vocab.specials = {config.specials!r}: the run that is started from has "
            f"{known.specials!r}"
        )


def _number(
    mode: str,
    specials: str,
    models: Mapping[str, bytes],
    bases: Mapping[str, str],
    shifts: Mapping[str, float | None],
    known: Vocabulary | None,
) -> Vocabulary:
    """Gives every piece its row. Pieces with the same owner and string have the same one. The
    languages of `known` keep theirs."""
    ids = {x: known.ids[x] for x in models if known and x in known.models}
    new = [x for x in models if x not in ids]
    special_offset = {x: known.special_offset[x] if known and x in ids else 0 for x in models}
    rows: dict[tuple[str, str], int] = {}  # (owner, piece) -> row
    n_pieces = known.n_pieces if known else N_SPECIAL
    first = N_SPECIAL if mode == "local" else n_pieces  # row of the first new piece

    def owner(language: str) -> str:
        return "" if mode in ("joint", "union") else bases[language]

    for language in (x for x in ids if bases[x] == x):
        names = ((owner(language), piece) for piece in _strings(models[language]))
        for name, row in zip(names, ids[language].tolist(), strict=True):
            rows.setdefault(name, row)
    n_new = 0
    for language in new:
        pieces = _strings(models[language])[N_SPECIAL:]
        owners = [owner(language)] * len(pieces)
        if mode == "local":
            rows, n_new = {}, 0
        elif bases[language] != language:
            share = shifts.get(language)
            share = float(mode != "joint") if share is None else share
            owners = [language if own else owner(language) for own in shifted(pieces, share)]
        numbers = []
        for name in zip(owners, pieces, strict=True):
            if name not in rows:
                rows[name] = first + n_new
                n_new += 1
            numbers.append(rows[name])
        n_pieces = max(n_pieces, first + n_new)
        ids[language] = np.array([*range(N_SPECIAL), *numbers], np.int32)
    if specials == "private" and mode != "local":  # local: the whole table is private
        for language in new if known else new[1:]:
            special_offset[language] = n_pieces
            n_pieces += N_SPECIAL
    ids = {x: ids[x] for x in models}
    return Vocabulary(mode, specials, n_pieces, models, ids, special_offset)


def _sizes(config: Vocab, bases: Mapping[str, str]) -> dict[str, int]:
    """Pieces of each language's own model; InputError where `vocab.sizes` asks for another's."""
    own = [x for x, base in bases.items() if x == base]
    sizes = dict.fromkeys(own, config.size)
    requested = pairs("vocab.sizes", config.sizes)
    if requested and config.mode == "joint":
        raise InputError(
            f"vocab.sizes = {config.sizes!r}: a joint vocabulary has one model, its size is "
            "vocab.size"
        )
    for language, size in requested.items():
        if language not in own:
            raise unknown("language with a model of its own in vocab.sizes", language, own)
        sizes[language] = int(size)
    return sizes


def _ending(model: bytes) -> str:
    """Of the name of its file."""
    return ENDINGS[model[:1] == b"{"]


def _strings(model: bytes) -> list[str]:
    opened = processor(model)
    return opened.id_to_piece(list(range(opened.get_piece_size())))


def _compact(ids: Int32[np.ndarray, " pieces"]) -> int | list[int]:
    """Rows of the ordinary pieces: what is added to their numbers where that is one number."""
    rows = ids[N_SPECIAL:]
    offset = rows - np.arange(N_SPECIAL, len(ids))
    return int(offset[0]) if len(rows) and (offset == offset[0]).all() else rows.tolist()


def _expand(rows: int | list[int], model: bytes) -> Int32[np.ndarray, " pieces"]:
    if isinstance(rows, int):
        opened = processor(model)
        rows = list(range(N_SPECIAL + rows, opened.get_piece_size() + rows))
    return np.array([*range(N_SPECIAL), *rows], np.int32)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file, the vocabulary is not complete") from error
