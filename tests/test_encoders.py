"""Encoders of a run: vectors computed once while they fit, random encoders of other seeds."""

from pathlib import Path

import numpy as np
import pytest
from stored_run import unpack

from xl_jax.evaluate.encoders import Encoders
from xl_jax.evaluate.vector_cache import VectorCache
from xl_jax.runs import run_directory


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


@pytest.mark.slow
def test_checkpoints_that_are_damaged_are_named_and_left_out(tmp_path: Path) -> None:
    encoders = Encoders(run_directory.load(unpack(tmp_path), lambda _: None))
    said: list[str] = []
    assert [at.step for at in encoders.over_training(said.append)] == [0, 4, 8] and said == []
    parts = (tmp_path / "run/checkpoints/4/state").rglob("d/*")
    data = max(parts, key=lambda path: path.stat().st_size)
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 0xFF
    data.write_bytes(content)
    assert [at.step for at in encoders.over_training(said.append)] == [0, 8]
    assert len(said) == 1 and said[0].startswith("checkpoint of step 4 is damaged: ")
    assert said[0].endswith(": left out")
