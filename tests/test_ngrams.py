"""The baselines of held-out perplexity."""

import numpy as np
import pytest

from xl_jax.pretrain.ngrams import Ngrams
from xl_jax.tokens.special import EOS, PAD

PIECES = np.isin(np.arange(9), [5, 6, 7])  # 8 is another language's
ROWS = np.array([[5, 6, 7, 6, 7, EOS], [6, 7, 5, 6, EOS, PAD], [7, EOS, 6, 7, EOS, PAD]])
NGRAMS = Ngrams([ROWS[:2], ROWS[2:]], PIECES)


def probabilities(kind: str, before: int) -> np.ndarray:
    return np.exp(-NGRAMS.losses(np.full(3, before), np.array([5, 6, 7]))[kind])


@pytest.mark.parametrize("before", [PAD, EOS, 5, 6, 7, 8])
def test_all_probability_is_on_the_pieces_that_can_be_predicted(before: int) -> None:
    for kind in ("unigram", "bigram"):
        assert probabilities(kind, before).sum() == pytest.approx(1)


def test_the_numbers_are_those_of_the_definition() -> None:
    # after the first token of a row: 5 once, 6 four times, 7 four times
    assert probabilities("unigram", 5) == pytest.approx(np.array([1.5, 4.5, 4.5]) / 10.5)
    # after 6: 7 four times, </s> not counted
    backoff = 0.75 / 4 * np.array([1.5, 4.5, 4.5]) / 10.5
    assert probabilities("bigram", 6) == pytest.approx(backoff + [0, 0, 3.25 / 4])
    assert probabilities("bigram", 8) == pytest.approx(probabilities("unigram", 8))  # never seen
