"""One numbering of the pieces of all languages, from one or several SentencePiece models.

joint: one model over all text. disjoint: a model a language, no piece in common (the paper's
"No anchors"). local: a model a language, each numbering its own pieces from the same start, so that
the embedding table is as small as one language's; legal only where that table is private.
A twin uses its base's model, its pieces renamed (joint: not renamed, it is the same language).
"""

import hashlib
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import sentencepiece

from xl_jax.config import Vocab
from xl_jax.data.special import BOS, EOS, MASK, N_SPECIAL, NAMES, PAD, UNK
from xl_jax.errors import InputError
from xl_jax.randomness import Purpose, generator


@dataclass(frozen=True)
class Vocabulary:
    """Pieces and how each language's text becomes their numbers."""

    mode: str
    n_pieces: int  # rows of the embedding table that are in use
    models: Mapping[str, bytes]  # language -> SentencePiece model
    offsets: Mapping[str, int]  # language -> added to its model's ordinary piece numbers

    @property
    def size(self) -> int:
        """Rows of the embedding table: `n_pieces` rounded up to a multiple of 128."""
        return -(-self.n_pieces // 128) * 128

    @property
    def digest(self) -> str:
        """SHA-256 over everything that decides the numbers, hexadecimal."""
        sha = hashlib.sha256(f"{self.mode} {self.n_pieces}".encode())
        for language in self.models:
            sha.update(f"{language} {self.offsets[language]}".encode() + self.models[language])
        return sha.hexdigest()

    def encoder(self, language: str) -> Callable[[list[str]], list[np.ndarray]]:
        """A function from lines to int32 piece numbers, without special tokens."""
        processor = sentencepiece.SentencePieceProcessor(model_proto=self.models[language])
        offset = self.offsets[language]

        def encode(lines: list[str]) -> list[np.ndarray]:
            encoded = (np.asarray(ids, np.int32) for ids in processor.encode(lines))
            return [ids + np.int32(offset) * (ids >= N_SPECIAL) for ids in encoded]

        return encode

    def possible(self, language: str) -> np.ndarray:
        """bool[size]: the special tokens, and the pieces that `language`'s text can become."""
        numbers = np.arange(self.size)
        first = N_SPECIAL + self.offsets[language]
        last = self.offsets[language] + _n_pieces(self.models[language])
        return (numbers < N_SPECIAL) | ((first <= numbers) & (numbers < last))

    def piece(self, language: str, number: int) -> str:
        """The text of one of `language`'s pieces."""
        processor = sentencepiece.SentencePieceProcessor(model_proto=self.models[language])
        return processor.id_to_piece(number - self.offsets[language] * (number >= N_SPECIAL))

    def save(self, folder: Path) -> None:
        """Writes vocab.json and one .model file a SentencePiece model."""
        names: dict[bytes, str] = {}
        for language, model in self.models.items():
            names.setdefault(model, f"{language}.model")
        for model, name in names.items():
            (folder / name).write_bytes(model)
        record = {
            "mode": self.mode,
            "n_pieces": self.n_pieces,
            "languages": {
                language: {"model": names[model], "offset": self.offsets[language]}
                for language, model in self.models.items()
            },
            "special": dict(zip(NAMES, range(N_SPECIAL), strict=True)),
            "digest": self.digest,
        }
        (folder / "vocab.json").write_text(json.dumps(record, indent=1) + "\n")


def load(folder: Path) -> Vocabulary:
    """The vocabulary saved in `folder`.

    Raises:
      InputError: its files do not have the digest that was recorded.
    """
    record = json.loads((folder / "vocab.json").read_text())
    languages = record["languages"]
    vocabulary = Vocabulary(
        record["mode"],
        record["n_pieces"],
        {x: (folder / entry["model"]).read_bytes() for x, entry in languages.items()},
        {x: entry["offset"] for x, entry in languages.items()},
    )
    if vocabulary.digest != record["digest"]:
        raise InputError(f"{folder}: the vocabulary's files were changed (digests differ)")
    return vocabulary


def train(
    config: Vocab,
    lines: Mapping[str, Callable[[], Iterable[str]]],
    bases: Mapping[str, str],
    seed: int,
) -> Vocabulary:
    """Train the vocabulary of a run.

    Args:
      config: mode, model type, size.
      lines: the training text of each language that is no twin.
      bases: for every language of the run, whose text it is written in (itself, or its base).
      seed: of the sampling by alpha (joint vocabularies).
    """
    if config.mode == "joint":
        model = _train_model(config, lambda: _sample(lines, config.alpha, seed), "all languages")
        n_pieces = _n_pieces(model)
        return Vocabulary("joint", n_pieces, dict.fromkeys(bases, model), dict.fromkeys(bases, 0))
    own = {language: _train_model(config, text, language) for language, text in lines.items()}
    models = {language: own[base] for language, base in bases.items()}
    offsets, n_pieces = {}, N_SPECIAL
    for language, model in models.items():
        ordinary = _n_pieces(model) - N_SPECIAL
        if config.mode == "local":
            offsets[language] = 0
            n_pieces = max(n_pieces, N_SPECIAL + ordinary)
        else:
            offsets[language] = n_pieces - N_SPECIAL
            n_pieces += ordinary
    return Vocabulary(config.mode, n_pieces, models, offsets)


def _n_pieces(model: bytes) -> int:
    return sentencepiece.SentencePieceProcessor(model_proto=model).get_piece_size()


def _sample(
    lines: Mapping[str, Callable[[], Iterable[str]]], alpha: float, seed: int
) -> Iterator[str]:
    """Lines of all languages in shares proportional to (number of lines)^alpha."""
    counts = {language: sum(1 for _ in text()) for language, text in lines.items()}
    excess = {x: (n / max(counts.values())) ** (alpha - 1) for x, n in counts.items() if n}
    for i, (language, text) in enumerate(lines.items()):
        if not counts[language]:
            continue
        keep = excess[language] / max(excess.values())
        random = generator(seed, Purpose.VOCAB_SAMPLE, i)
        yield from (line for line in text() if keep == 1 or random.random() < keep)


def _train_model(config: Vocab, text: Callable[[], Iterable[str]], whose: str) -> bytes:
    writer = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(text()),
            model_writer=writer,
            model_type=config.type,
            vocab_size=config.size,
            character_coverage=0.9995,
            max_sentence_length=65536,
            pad_id=PAD,
            unk_id=UNK,
            bos_id=BOS,
            eos_id=EOS,
            pad_piece=NAMES[PAD],
            unk_piece=NAMES[UNK],
            bos_piece=NAMES[BOS],
            eos_piece=NAMES[EOS],
            control_symbols=[NAMES[MASK]],
            num_threads=1,  # several threads may order equal merges differently
            minloglevel=2,
        )
    except RuntimeError as error:
        raise InputError(_plain(str(error), config, whose)) from error
    return writer.getvalue()


def _plain(message: str, config: Vocab, whose: str) -> str:
    """SentencePiece's complaint in words that name what to change."""
    start = f"vocab.size = {config.size} is impossible for the text of {whose}"
    if most := re.search(r"value <= (\d+)", message):
        return f"{start}: it gives at most {most[1]} {config.type} pieces"
    if least := re.search(
        r"smaller than required_chars\. \d+ vs (\d+)|required_chars.*?(\d+)$", message
    ):
        return f"{start}: its characters alone need {next(filter(None, least.groups()))}"
    return f"{start}: {message.strip().splitlines()[-1]}"
