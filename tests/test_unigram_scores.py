"""Scores of unigram models are rounded where they are learnt: cuts that are equally good are so in
the 32 bits of SentencePiece and in the 64 bits of tokenizers, which then take the same one."""

from pathlib import Path

import pytest
import sentencepiece

from tests.text_toy import make, random_lines, write_text
from xl_jax.config import Vocab
from xl_jax.tokens import sentencepiece_model
from xl_jax.tokens.sentencepiece_model import GRID, message, on_grid, train_model

SCORES = {"▁": -4.3, "0": -3.1, "00": -4.7, "▁la": -1.3, "▁mi": -2.9, "▁so": -3.3}
# 000 is 0 00 or 00 0: where it stands in the line decides how the sums are rounded
LINES = ["la mi la so " * n + "000" for n in range(60)]


def learnt() -> bytes:
    config = Vocab(type="unigram", size=30)
    return train_model(config, config.size, iter(random_lines(300, 0)), "a")


def with_scores(scores: dict[str, float]) -> bytes:
    proto = message(learnt())
    del proto.pieces[5:]  # after the special tokens
    for piece, score in scores.items():
        proto.pieces.add(piece=piece, score=score)
    return proto.SerializeToString()


def off_grid(model: bytes) -> list[float]:
    return [p.score for p in message(model).pieces if p.score * GRID % 1]


def test_scores_are_multiples_of_a_step_in_both_precisions() -> None:
    assert not off_grid(learnt()) and off_grid(with_scores(SCORES))
    rounded = {p.piece: p.score for p in message(on_grid(with_scores(SCORES))).pieces[5:]}
    assert rounded["0"] == -794 / 256 and rounded["00"] == -1203 / 256  # of -3.1 and -4.7
    assert on_grid(learnt()) == learnt()
    given = [p.score for p in message(learnt()).pieces[:5]]
    assert given == [0] * 5  # special tokens


def test_equally_good_cuts_are_the_same_in_tokenizers() -> None:
    pytest.importorskip("tokenizers", reason="exports are for tokenizers")
    from xl_jax.interchange.tokenizer_json import tokenizer

    def differing(model: bytes) -> int:
        own = sentencepiece.SentencePieceProcessor(model_proto=model).encode(LINES)
        made = tokenizer(model, 2).encode_batch(LINES, add_special_tokens=False)
        return sum(a != b.ids for a, b in zip(own, made, strict=True))

    assert differing(with_scores(SCORES)) > 0
    assert differing(on_grid(with_scores(SCORES))) == 0


def test_what_was_prepared_with_other_scores_stays_valid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpora = {"a": write_text(tmp_path / "a.txt", 300, 0)}
    vocab = Vocab(mode="union", type="unigram", size=30)
    with monkeypatch.context() as earlier:
        earlier.setattr(sentencepiece_model, "on_grid", lambda model: model)
        old = make(tmp_path, corpora, vocab=vocab)
    assert off_grid(old.vocabulary.models["a"])
    again = make(tmp_path, corpora, vocab=vocab)
    assert again.folder == old.folder and again.vocabulary.digest == old.vocabulary.digest
    new = make(tmp_path / "new", corpora, vocab=vocab)
    assert new.folder.name == old.folder.name and new.vocabulary.digest != old.vocabulary.digest
