"""Arrays kept in a file: the same, or told to be damaged."""

from pathlib import Path

import numpy as np

from xl_jax.analysis import kept_arrays

ARRAYS = {"sums": np.arange(6, dtype=np.float32).reshape(2, 3), "done": np.asarray("7")}


def same(found: dict[str, np.ndarray]) -> bool:
    return all(np.array_equal(found[k], v) and found[k].dtype == v.dtype for k, v in ARRAYS.items())


def test_a_flip_of_any_byte_is_told_or_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "new" / "x.npz"
    kept_arrays.write(path, ARRAYS)
    whole = path.read_bytes()
    said: list[str] = []
    told = 0
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        found = kept_arrays.read(path, said.append)
        told += found is None
        assert found is None or not ARRAYS.keys() <= found.keys() or same(found), at
    assert told == len(said) > len(whole) / 3 and not any("\n" in line for line in said)
    path.write_bytes(whole)
    found = kept_arrays.read(path, said.append)
    assert found is not None and same(found) and len(said) == told


def test_a_file_that_is_cut_or_gone(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    said: list[str] = []
    assert kept_arrays.read(path, said.append) is None and said == []
    kept_arrays.write(path, ARRAYS)
    whole = path.read_bytes()
    for size in (0, 1, 30, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        assert kept_arrays.read(path, said.append) is None
    assert len(said) == 5 and all(x.startswith(f"{path} is damaged: ") for x in said)
