"""A language's SentencePiece model as a `tokenizer.json`: the same pieces under their own numbers.

Number i is the model's piece i: the special tokens of `tokens.special`, then the rest in order. A
literal special token in a text (`<mask>`) is read as that token, which is what filling masks needs;
with `split_special_tokens=True` it is text, as it is for the encoders here.
"""

import sys
import unicodedata
from typing import Any

from xl_jax.errors import InputError
from xl_jax.tokens.sentencepiece_model import message
from xl_jax.tokens.special import BOS, EOS, MASK, N_SPECIAL, NAMES, PAD, UNK

TYPES = {1: "unigram", 2: "bpe"}  # of SentencePiece's `TrainerSpec.model_type`
NEVER = -1e6  # the score of a piece that no text becomes


def tokenizer(model: bytes, first: int) -> Any:
    """A `tokenizers.Tokenizer` that gives SentencePiece's ids, and frames a row as in pretraining.

    Args:
      model: a SentencePiece model.
      first: the special token that opens a row (BOS or EOS).

    Raises:
      InputError: a model of another type than bpe and unigram.
    """
    import tokenizers
    from tokenizers import decoders, models, normalizers, pre_tokenizers

    proto = message(model)
    kind = TYPES.get(proto.trainer_spec.model_type)
    pieces = [(p.piece, p.score) for p in proto.pieces]
    if kind == "bpe":
        numbers = {piece: i for i, (piece, _) in enumerate(pieces)}
        made = tokenizers.Tokenizer(
            models.BPE(numbers, _merges(pieces), unk_token=NAMES[UNK], fuse_unk=True)
        )
    elif kind == "unigram":
        scored = [
            (piece, NEVER if i < N_SPECIAL else score) for i, (piece, score) in enumerate(pieces)
        ]
        made = tokenizers.Tokenizer(models.Unigram(scored, UNK, byte_fallback=False))
    else:
        known = " and ".join(TYPES.values())
        raise InputError(f"tokenizer.json holds models of vocab.type {known}; this is neither")
    spec = proto.normalizer_spec
    steps: list[Any] = []
    if spec.precompiled_charsmap:
        steps += [normalizers.Replace(x, y) for x, y in _compositions().items()]
        steps.append(normalizers.Precompiled(spec.precompiled_charsmap))
    if spec.remove_extra_whitespaces:
        blanks = {" {2,}": " ", " $": ""}  # of leading ones Metaspace makes one
        steps += [normalizers.Replace(tokenizers.Regex(x), y) for x, y in blanks.items()]
    made.normalizer = normalizers.Sequence(steps)
    made.pre_tokenizer = pre_tokenizers.Metaspace("▁", prepend_scheme="first")
    made.decoder = decoders.Metaspace("▁", prepend_scheme="first")
    made.add_special_tokens([_special(i) for i in range(N_SPECIAL)])
    made.post_processor = _frame(first)
    return made


def _special(number: int) -> Any:
    import tokenizers

    return tokenizers.AddedToken(NAMES[number], special=True, normalized=False)


def _frame(first: int) -> Any:
    from tokenizers import processors

    begin, end = NAMES[first], NAMES[EOS]
    return processors.TemplateProcessing(
        single=f"{begin} $A {end}",
        pair=f"{begin} $A {end} $B {end}",
        special_tokens=[(begin, first), (end, EOS)],
    )


def _merges(pieces: list[tuple[str, float]]) -> list[tuple[str, str]]:
    """Every way to put a piece together from two others, by the piece's rank: what SentencePiece
    merges, in its order."""
    known = {piece: i for i, (piece, _) in enumerate(pieces) if i >= N_SPECIAL}
    ranked = sorted(known, key=lambda piece: (-pieces[known[piece]][1], known[piece]))
    return [
        (piece[:i], piece[i:])
        for piece in ranked
        for i in range(1, len(piece))
        if piece[:i] in known and piece[i:] in known
    ]


def _compositions() -> dict[str, str]:
    """Pairs of combining characters that are one in NFC (Indic vowel signs). `Precompiled`
    looks up a whole grapheme or single characters, SentencePiece also what lies between."""
    found = {}
    for composed in map(chr, range(0x300, sys.maxunicode + 1)):
        if unicodedata.category(composed)[0] == "M":
            pair = unicodedata.normalize("NFD", composed)
            if len(pair) == 2 and unicodedata.normalize("NFC", pair) == composed:
                found[pair] = composed
    return found


def settings(first: int, length: int) -> dict[str, Any]:
    """The content of `tokenizer_config.json`; `length` in tokens is the longest row."""
    return {
        # 5.x writes another name for the same class, which 4.x does not know
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": NAMES[BOS],
        "eos_token": NAMES[EOS],
        "unk_token": NAMES[UNK],
        "pad_token": NAMES[PAD],
        "cls_token": NAMES[first],
        "sep_token": NAMES[EOS],
        "mask_token": NAMES[MASK],
        "model_max_length": length,
        # XLM looks `token_type_ids` up in its token table: they must not be there
        "model_input_names": ["input_ids", "attention_mask"],
        "clean_up_tokenization_spaces": False,
    }
