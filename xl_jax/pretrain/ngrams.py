"""Unigram and bigram baselines for held-out perplexity, on the same tokens as the model."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float, Int


class Ngrams:
    """Add-half unigrams, and bigrams with absolute discounting (0.75) that back off to them."""

    DISCOUNT = 0.75

    def __init__(self, rows: Iterable[Int[np.ndarray, "rows length"]], vocab_size: int):
        self.size = vocab_size
        pairs: dict[int, int] = {}
        unigrams = np.zeros(vocab_size)
        for block in rows:
            unigrams += np.bincount(block[:, 1:].reshape(-1), minlength=vocab_size)
            codes = block[:, :-1].astype(np.int64) * vocab_size + block[:, 1:]
            for code, n in zip(*np.unique(codes, return_counts=True), strict=True):
                pairs[int(code)] = pairs.get(int(code), 0) + int(n)
        self.unigrams = (unigrams + 0.5) / (unigrams + 0.5).sum()
        self.codes = np.asarray(sorted(pairs), np.int64)
        self.counts = np.asarray([pairs[c] for c in self.codes.tolist()], float)
        before = self.codes // vocab_size
        self.context = np.bincount(before, self.counts, vocab_size)
        self.kinds = np.bincount(before, minlength=vocab_size).astype(float)

    def losses(
        self, before: Int[np.ndarray, " n"], target: Int[np.ndarray, " n"]
    ) -> dict[str, Float[np.ndarray, " n"]]:
        """Cross-entropy in nats of each `target` alone, and given the token `before` it."""
        code = before.astype(np.int64) * self.size + target
        place = np.minimum(np.searchsorted(self.codes, code), len(self.codes) - 1)
        seen = np.where(self.codes[place] == code, self.counts[place], 0.0)
        total = np.maximum(self.context[before], 1)
        backoff = np.where(
            self.context[before] > 0, self.DISCOUNT * self.kinds[before] / total, 1.0
        )
        unigram = self.unigrams[target]
        bigram = np.maximum(seen - self.DISCOUNT, 0) / total + backoff * unigram
        return {"unigram": -np.log(unigram), "bigram": -np.log(bigram)}
