"""Encoders of a run: vectors computed once while they fit, random encoders of other seeds."""

import numpy as np

from xl_jax.evaluate.vector_cache import VectorCache


def test_vectors_are_computed_once_while_they_fit() -> None:
    cache, computed = VectorCache(limit=300), []

    def ask(key: str, n_bytes: int = 100) -> np.ndarray:
        def compute() -> np.ndarray:
            computed.append(key)
            return np.full(n_bytes, ord(key), np.uint8)

        found = cache.get(key, compute)
        assert (found == ord(key)).all() and cache.bytes <= 300
        return found

    for key in "abcabc":
        ask(key)
    assert computed == ["a", "b", "c"] and cache.bytes == 300
    ask("a")
    ask("d")  # b was used least recently
    for key in "acd":
        ask(key)
    assert computed == ["a", "b", "c", "d"]
    ask("b")
    ask("x", 301)  # too large to keep: the others stay
    ask("x", 301)
    assert computed == ["a", "b", "c", "d", "b", "x", "x"]
    ask("d")
    ask("b")
    assert computed[7:] == [] and cache.bytes == 300
