"""Generated text and its preparation, for the tests that need prepared tokens."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from xl_jax.config import Config, Data, Vocab
from xl_jax.prepare.pipeline import prepare
from xl_jax.prepare.prepared import Prepared
from xl_jax.prepare.workers import Processes

WORDS = "la mi so re do fa ti ka lo pe nu ga ri".split()


def random_lines(n: int, seed: int, words: Sequence[str] = WORDS) -> list[str]:
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(words, random.integers(6, 14))) for _ in range(n)]


def write_text(path: Path, n: int, seed: int, words: Sequence[str] = WORDS) -> str:
    """The corpus spec of a new file of n random lines."""
    path.write_text("\n".join(random_lines(n, seed, words)) + "\n", encoding="utf-8")
    return f"files:{path}"


def config(
    corpora: Mapping[str, str], mode: str = "disjoint", size: int = 40, **more: Any
) -> Config:
    """Rows of 16 tokens, one line each; `more` replaces whole sections or fields."""
    made: dict[str, Any] = {
        "vocab": Vocab(mode=mode, size=size),
        "data": Data(windows="line", length=16, heldout=0.1),
    }
    return Config(languages=tuple(corpora), corpora=dict(corpora), **(made | more))


def make(folder: Path, corpora: Mapping[str, str], *args: Any, **more: Any) -> Prepared:
    """The prepared tokens of `config`, under `folder`/data; made in this process."""
    return prepare(config(corpora, *args, **more), folder / "data", lambda _: None, Processes(1))


def text_of(data: Prepared, language: str, number: int, kind: str = "train") -> str:
    """A line of a shard as text again."""
    pieces = [
        data.vocabulary.piece(language, int(i)) for i in getattr(data, kind)[language].line(number)
    ]
    return "".join(pieces).replace("▁", " ").strip()
