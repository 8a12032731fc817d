"""Token shards: lines of piece numbers in two flat arrays on disk, memory-mapped when read."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Shard:
    """Line i is `tokens[starts[i]:starts[i + 1]]`; no special tokens."""

    tokens: np.ndarray  # int32[tokens]
    starts: np.ndarray  # int64[lines + 1]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def line(self, i: int) -> np.ndarray:
        return self.tokens[self.starts[i] : self.starts[i + 1]]

    @property
    def lengths(self) -> np.ndarray:
        return np.diff(self.starts)


def of_lines(lines: Iterable[np.ndarray]) -> Shard:
    """A shard in memory."""
    kept = list(lines)
    starts = np.concatenate([[0], np.cumsum([len(x) for x in kept], dtype=np.int64)])
    return Shard(np.concatenate([np.zeros(0, np.int32), *kept]), starts.astype(np.int64))


def write(folder: Path, name: str, lines: Iterable[np.ndarray]) -> Shard:
    """Writes a shard's two files, tokens as they come, and opens it."""
    tokens = folder / f"{name}.tokens"
    starts = [0]
    with tokens.open("wb") as file:
        for line in lines:
            file.write(np.ascontiguousarray(line, np.int32).tobytes())
            starts.append(starts[-1] + len(line))
    np.save(folder / f"{name}.starts.npy", np.asarray(starts, np.int64))
    return read(folder, name)


def read(folder: Path, name: str) -> Shard:
    """Opens the shard `name` of `folder`."""
    starts = np.load(folder / f"{name}.starts.npy", mmap_mode="r")
    if starts[-1] == 0:  # an empty file cannot be mapped
        return Shard(np.zeros(0, np.int32), starts)
    tokens = np.memmap(folder / f"{name}.tokens", np.int32, mode="r")
    return Shard(tokens, starts)
