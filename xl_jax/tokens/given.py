"""Tokenizers that came with a pretrained encoder, in the place of a SentencePiece model.

What is kept is JSON: the `tokenizer.json`, and which of its tokens are our special ones. Pieces are
numbered anew: those first, then the rest in their order. A blank before a word is written "▁",
whatever the tokenizer's own sign.
"""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import sentencepiece

from xl_jax.errors import InputError
from xl_jax.tokens import moses
from xl_jax.tokens.special import EOS, N_SPECIAL, NAMES, UNK


def processor(model: bytes) -> Any:
    """A `SentencePieceProcessor`, or what does the same with a tokenizer that `keep` wrote."""
    if model[:1] == b"{":
        return opened(model)
    return sentencepiece.SentencePieceProcessor(model_proto=model)


@lru_cache(maxsize=4)
def opened(model: bytes) -> "Given":
    """What `keep` wrote; a large one takes seconds to open."""
    return Given(model)


def keep(
    tokenizer: Mapping[str, Any], specials: Sequence[str], xlm: Mapping[str, Any] | None = None
) -> bytes:
    """A tokenizer.json's content as a model of a `Vocabulary`.

    Args:
      specials: its names of our special tokens, in the order of `special.NAMES`.
      xlm: of XLM's own tokenizer: its `language` and whether it is `plain`, see `moses.words`; how
        many `pieces` it has (later numbers are unknown ones, see `fast_bpe`).

    Raises:
      InputError: a name that is none of its tokens; see `moses.words`.
    """
    bare = {**tokenizer, "truncation": None, "padding": None, "post_processor": None}
    kept = {"specials": list(specials), "tokenizer": bare} | ({"xlm": dict(xlm)} if xlm else {})
    model = json.dumps(kept, ensure_ascii=False).encode()
    opened(model)
    return model


def fast_bpe(pieces: Mapping[str, int], merges: Path, unknown: str) -> dict[str, Any]:
    """XLM's own vocab.json and merges.txt as the content of a tokenizer.json that reads words.

    Merges go on through parts that are no pieces, and may end at one, which is unknown: here such
    parts have numbers behind the pieces'.

    Raises:
      InputError: a line that is no pair; it is not UTF-8.
    """
    import tokenizers

    try:
        lines = merges.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{merges} is not UTF-8: {error}") from error
    pairs = [line.split()[:2] for line in lines]
    for number, pair in enumerate(pairs, 1):
        if len(pair) < 2:
            raise InputError(f"{merges}:{number}: not a pair of pieces")
    parts = (part for a, b in pairs for part in (a, b, a + b) if part not in pieces)
    behind = enumerate(dict.fromkeys(parts), 1 + max(pieces.values()))
    numbers = {**pieces, **{part: i for i, part in behind}}
    model = tokenizers.models.BPE(
        numbers, [(a, b) for a, b in pairs], unk_token=unknown, end_of_word_suffix="</w>"
    )
    content: dict[str, Any] = json.loads(tokenizers.Tokenizer(model).to_str())
    return content


class Given:
    """Lines to pieces and pieces to strings, by the names that SentencePiece has for it."""

    def __init__(self, model: bytes) -> None:
        import tokenizers  # needed for imported encoders alone: requirements-interchange.txt

        record = json.loads(model)
        try:
            self._tokenizer = tokenizers.Tokenizer.from_str(json.dumps(record["tokenizer"]))
        except Exception as error:  # what it raises has no other type
            raise InputError(f"tokenizer.json is none of tokenizers: {error}") from error
        self._tokenizer.encode_special_tokens = True  # a literal special token is text
        numbers = self._tokenizer.get_vocab(with_added_tokens=True)
        for name, special in zip(NAMES, record["specials"], strict=True):
            if special not in numbers:
                raise InputError(f"tokenizer.json has no token {special!r}, meant as {name}")
        first = [numbers[x] for x in record["specials"]]
        xlm = record.get("xlm")
        size = xlm["pieces"] if xlm else max(numbers.values()) + 1
        by_words = xlm and xlm["language"]
        self._words = moses.words(xlm["language"], xlm["plain"]) if by_words else None
        self.order = [*first, *(i for i in range(size) if i not in set(first))]
        self._number = {there: here for here, there in enumerate(self.order)}
        written = {number: piece for piece, number in numbers.items()}
        spell = _spelling(record["tokenizer"])
        rest = [spell(written.get(there, "")) for there in self.order[N_SPECIAL:]]
        self._pieces = [*NAMES, *rest]

    def get_piece_size(self) -> int:
        return len(self.order)

    def id_to_piece(self, number: Any) -> Any:
        if isinstance(number, list):
            return [self._pieces[i] for i in number]
        return self._pieces[number]

    def get_score(self, numbers: list[int]) -> list[float]:
        """The same for all: pieces are not ranked."""
        return [0.0] * len(numbers)

    def encode(
        self, lines: list[str], add_eos: bool = False, num_threads: int = 1
    ) -> list[list[int]]:
        end, number = [EOS] if add_eos else [], self._number
        texts = [self._words(line) for line in lines] if self._words else lines
        found = self._tokenizer.encode_batch_fast(
            texts, is_pretokenized=bool(self._words), add_special_tokens=False
        )
        return [[*(number.get(x, UNK) for x in line.ids), *end] for line in found]


def _spelling(tokenizer: Mapping[str, Any]) -> Any:
    """A function from a piece as the tokenizer writes it to one with "▁" for a blank."""
    model = tokenizer["model"]
    if model.get("type") == "WordPiece":
        prefix = model.get("continuing_subword_prefix", "##")
        return lambda x: x.removeprefix(prefix) if x.startswith(prefix) else "▁" + x
    if "ByteLevel" in json.dumps([tokenizer.get("pre_tokenizer"), tokenizer.get("decoder")]):
        byte = _bytes_by_letter()

        def decoded(piece: str) -> str:
            if not all(letter in byte for letter in piece):  # an added token
                return piece
            text = bytes(byte[letter] for letter in piece).decode("utf-8", "replace")
            return text.replace(" ", "▁")

        return decoded
    if suffix := model.get("end_of_word_suffix"):  # fastBPE, of XLM
        return lambda x: x.removesuffix(suffix) + "▁" if x.endswith(suffix) else x
    return lambda x: x


@lru_cache(maxsize=1)
def _bytes_by_letter() -> dict[str, int]:
    """How byte-level BPE writes bytes: those that print as themselves, the rest from U+0100 on."""
    prints = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [byte for byte in range(256) if byte not in prints]
    return {chr(b): b for b in prints} | {chr(0x100 + i): b for i, b in enumerate(rest)}
