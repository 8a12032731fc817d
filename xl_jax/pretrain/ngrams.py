"""Unigram and bigram baselines for held-out perplexity, on the same tokens as the model."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Bool, Float, Int

DISCOUNT = 0.75  # of bigram counts
PSEUDOCOUNT = 0.5  # of unigrams


class Ngrams:
    """Add-half unigrams, and bigrams with absolute discounting that back off to them (Ney et al.
    1994).

    Both are distributions over the pieces that masking can hide. Special tokens are not among
    them, so `</s>` and padding take no probability; a special token may come before a piece.

    Args:
      rows: training rows, in blocks; the first token of a row is no target, as in masking.
      targets: the pieces that can be predicted.
    """

    def __init__(
        self, rows: Iterable[Int[np.ndarray, "rows length"]], targets: Bool[np.ndarray, " V"]
    ):
        self.size = len(targets)
        pairs: dict[int, int] = {}  # token before * size + target -> occurrences
        unigrams = np.zeros(self.size)
        for block in rows:
            before, target = block[:, :-1].reshape(-1), block[:, 1:].reshape(-1)
            known = targets[target]
            before, target = before[known].astype(np.int64), target[known]
            unigrams += np.bincount(target, minlength=self.size)
            codes, counts = np.unique(before * self.size + target, return_counts=True)
            for code, n in zip(codes.tolist(), counts.tolist(), strict=True):
                pairs[code] = pairs.get(code, 0) + n
        smoothed = np.where(targets, unigrams + PSEUDOCOUNT, 0)
        self.unigrams = smoothed / smoothed.sum()
        self.codes = np.asarray(sorted(pairs), np.int64)
        self.counts = np.asarray([pairs[c] for c in self.codes.tolist()], float)
        before = self.codes // self.size
        self.context = np.bincount(before, self.counts, self.size)
        self.kinds = np.bincount(before, minlength=self.size).astype(float)

    def losses(
        self, before: Int[np.ndarray, " n"], target: Int[np.ndarray, " n"]
    ) -> dict[str, Float[np.ndarray, " n"]]:
        """Cross-entropy in nats of each `target` alone, and given the token `before` it."""
        code = before.astype(np.int64) * self.size + target
        index = np.minimum(np.searchsorted(self.codes, code), len(self.codes) - 1)
        seen = np.where(self.codes[index] == code, self.counts[index], 0.0)
        total = np.maximum(self.context[before], 1)
        backoff = np.where(self.context[before] > 0, DISCOUNT * self.kinds[before] / total, 1.0)
        unigram = self.unigrams[target]
        bigram = np.maximum(seen - DISCOUNT, 0) / total + backoff * unigram
        return {"unigram": -np.log(unigram), "bigram": -np.log(bigram)}
