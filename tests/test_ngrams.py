"""The baselines of held-out perplexity."""

import numpy as np
import pytest

from xl_jax.pretrain.ngrams import Ngrams


def test_ngrams_are_distributions_and_bigrams_know_what_follows() -> None:
    rows = np.array([[5, 6, 7, 6, 7, 6], [6, 7, 5, 6, 7, 7]])
    ngrams = Ngrams([rows], 8)
    for before in (0, 5, 6, 7):
        losses = ngrams.losses(np.full(8, before), np.arange(8))
        for name in ("unigram", "bigram"):
            assert np.exp(-losses[name]).sum() == pytest.approx(1)
    after_six = ngrams.losses(np.array([6]), np.array([7]))
    assert after_six["bigram"][0] < after_six["unigram"][0]
