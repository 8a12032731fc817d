"""SentencePiece models: which lines of a text one learns from, and learning it."""

import io
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import sentencepiece

from xl_jax.config import Vocab
from xl_jax.errors import InputError
from xl_jax.text.documents import position, positions
from xl_jax.tokens.special import BOS, EOS, MASK, NAMES, PAD, UNK

LONGEST_LINE = 1 << 16  # bytes: SentencePiece does not learn from longer lines
GRID = 256  # scores of unigram models are multiples of 1 / GRID, see `on_grid`
NORMAL = 1  # of SentencePiece's `ModelProto.SentencePiece.Type`


class Size(NamedTuple):
    """Of a text that a model may learn from."""

    lines: int
    characters: int


def shares(config: Vocab, sizes: Mapping[str, Size]) -> dict[str, float]:
    """The share of each language's lines that its SentencePiece model learns from.

    In a joint vocabulary the languages' lines are in proportion to (their number)^alpha. No model
    learns from more than `Vocab.sample` characters.
    """
    if config.mode != "joint":
        return {x: min(1.0, config.sample / max(n.characters, 1)) for x, n in sizes.items()}
    most = max(n.lines for n in sizes.values())
    excess = {x: (n.lines / most) ** (config.alpha - 1) for x, n in sizes.items() if n.lines}
    keep = {x: excess[x] / max(excess.values()) if x in excess else 0.0 for x in sizes}
    characters = sum(keep[x] * n.characters for x, n in sizes.items())
    return {x: k * min(1.0, config.sample / max(characters, 1)) for x, k in keep.items()}


def chosen(line: str, share: float, seed: int) -> bool:
    """Whether a line is in the share of its text that a vocabulary learns from: by its hash, so
    that neither other lines nor the number of processes that read them matter."""
    return share >= 1 or position([line], _choice(seed)) < share


def choose(lines: Sequence[str], share: float, seed: int) -> list[str]:
    """The `chosen` ones of many lines, quicker."""
    where = positions([[line] for line in lines], _choice(seed))
    return list(itertools.compress(lines, (where < share) | (share >= 1)))


def train_model(config: Vocab, size: int, lines: Iterator[str], whose: str) -> bytes:
    """A SentencePiece model of `size` pieces, special ones included, learnt from `lines` in one
    thread: the same every time. Scores of a unigram model are `on_grid`.

    Args:
      whose: language that errors name.

    Raises:
      InputError: a size that the text cannot give, or no text.
    """
    writer = io.BytesIO()
    failure: list[BaseException] = []

    def read() -> Iterator[str]:
        try:
            yield from lines
        except GeneratorExit:
            raise
        except BaseException as error:  # SentencePiece would take it for the end of the text
            failure.append(error)

    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=read(),
            model_writer=writer,
            model_type=config.type,
            vocab_size=size,
            character_coverage=0.9995,
            max_sentence_length=LONGEST_LINE,
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
        if failure:
            raise failure[0] from None
        raise InputError(_plain(str(error), config.type, size, whose)) from error
    if failure:
        raise failure[0]
    return on_grid(writer.getvalue()) if config.type == "unigram" else writer.getvalue()


def on_grid(model: bytes) -> bytes:
    """A unigram model with rounded scores. SentencePiece adds them up over a line in 32 bits and
    tokenizers in 64; of cuts that are equally good both take the same one, but rounding would make
    them unequal. Sums on the grid are exact in both up to 2^24 / GRID = 65,536, some 8,000 pieces.
    """
    proto = message(model)
    for piece in proto.pieces:
        if piece.type == NORMAL:
            piece.score = round(piece.score * GRID) / GRID
    return proto.SerializeToString(deterministic=True)


def message(model: bytes) -> Any:
    """The fields of a model: SentencePiece's `ModelProto`."""
    from sentencepiece import sentencepiece_model_pb2

    return vars(sentencepiece_model_pb2)["ModelProto"].FromString(model)


def size_of(lines: Iterable[str]) -> Size:
    """Lines and characters, counted."""
    n = characters = 0
    for line in lines:
        n, characters = n + 1, characters + len(line)
    return Size(n, characters)


def _choice(seed: int) -> bytes:
    return b"vocab %d" % (seed % 10**10)


def _plain(message: str, kind: str, size: int, whose: str) -> str:
    """SentencePiece's complaint in words that name what to change."""
    if "sentences_.empty()" in message or "all_chars_count" in message:
        return (
            f"vocabulary: the text of {whose} has no line of visible characters and at most "
            f"{LONGEST_LINE:,} bytes to learn pieces from"
        )
    start = f"vocab.size = {size} is impossible for the text of {whose}"
    if most := re.search(r"value <= (\d+)", message):
        return f"{start}: it gives at most {most[1]} {kind} pieces"
    if least := re.search(r"required_chars\. \d+ vs (\d+)", message):
        return f"{start}: its characters alone need {least[1]}"
    return f"{start}: {message.strip().splitlines()[-1]}"
