"""Safetensors files, one tensor in memory at a time.

    8 bytes, the length of the header | header, JSON | the tensors' bytes, one after the other

The format's own library maps whole files into memory, or writes from a copy of everything; a
converter should need little more than the model itself.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from xl_jax.atomic_files import replacing
from xl_jax.errors import InputError

NAME, INDEX = "model.safetensors", "model.safetensors.index.json"
TYPES: dict[str, Any] = {"F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16}
BYTES = {
    "F64": 8,
    "I64": 8,
    "I32": 4,
    "I16": 2,
    "I8": 1,
    "U8": 1,
    "BOOL": 1,
    **{"U16": 2, "U32": 4},
}

BLOCK = 1 << 22  # elements read at once
NO_FORM = (ValueError, KeyError, AttributeError, TypeError)  # JSON of another form


class _Tensor(NamedTuple):
    path: Path
    dtype: str
    shape: tuple[int, ...]
    begin: int  # byte in the file


class Tensors(Mapping[str, np.ndarray]):
    """The tensors of a folder's safetensors file, or of its shards, each read when it is asked for,
    as float32.

    Raises:
      InputError: no such file; pickled weights; a header that does not fit its file.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._there: dict[str, _Tensor] = {}
        for path in _files(folder):
            for name, tensor in _header(path).items():
                if name in self._there:
                    raise InputError(f"{path}: {name} is also in {self._there[name].path.name}")
                self._there[name] = tensor

    def shape(self, name: str) -> tuple[int, ...]:
        return self._there[name].shape

    def __getitem__(self, name: str) -> np.ndarray:
        path, dtype, shape, begin = self._there[name]
        return _read(path, dtype, begin, math.prod(shape)).reshape(shape)

    def blocks(self, name: str) -> Iterator[tuple[int, np.ndarray]]:
        """(first row, rows) of a tensor, some megabytes at a time."""
        path, dtype, shape, begin = self._there[name]
        row = math.prod(shape[1:])
        step = max(1, BLOCK // max(row, 1))
        for start in range(0, shape[0], step):
            n = min(step, shape[0] - start)
            at = begin + start * row * _width(dtype)
            yield start, _read(path, dtype, at, n * row).reshape(n, *shape[1:])

    def __iter__(self) -> Iterator[str]:
        return iter(self._there)

    def __len__(self) -> int:
        return len(self._there)


def write(
    path: Path, shapes: Mapping[str, tuple[int, ...]], read: Callable[[str], np.ndarray]
) -> None:
    """Writes float32 tensors of the given shapes; `read` gives each when its turn comes."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in shapes.items():
        begin, end = end, end + 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with replacing(path) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name, shape in shapes.items():
            tensor = np.ascontiguousarray(read(name), np.float32)
            if tensor.shape != shape:
                raise ValueError(f"{name}: {tensor.shape} was promised as {shape}")
            file.write(tensor.data)


def _read(path: Path, dtype: str, begin: int, n: int) -> np.ndarray:
    if dtype not in TYPES:
        raise InputError(f"{path}: a tensor is of type {dtype}; weights are {', '.join(TYPES)}")
    with path.open("rb") as file:
        file.seek(begin)
        return np.fromfile(file, TYPES[dtype], n).astype(np.float32, copy=False)


def _width(dtype: str) -> int:
    """Bytes of an element; 0 of an unknown type."""
    return np.dtype(TYPES[dtype]).itemsize if dtype in TYPES else BYTES.get(dtype, 0)


def _files(folder: Path) -> list[Path]:
    index = folder / INDEX
    if index.exists():
        try:
            names = sorted(set(map(str, json.loads(index.read_text())["weight_map"].values())))
        except (*NO_FORM, RecursionError) as error:
            raise InputError(f"{index}: not an index of safetensors files") from error
        for name in names:
            if Path(name).name != name or not (folder / name).is_file():
                raise InputError(f"{index}: names {name!r}, which is not in {folder}")
        return [folder / name for name in names]
    if (folder / NAME).is_file():
        return [folder / NAME]
    pickled = [x.name for x in sorted(folder.glob("*.bin")) + sorted(folder.glob("*.pt"))]
    if pickled:
        raise InputError(
            f"{folder} has pickled weights ({pickled[0]}): a pickle runs code when opened, so "
            "it is not. Where you trust it, convert it first: AutoModelForMaskedLM"
            f".from_pretrained({str(folder)!r}).save_pretrained(NEW_DIR)"
        )
    raise InputError(f"{folder}: no {NAME} and no {INDEX}")


def _header(path: Path) -> dict[str, _Tensor]:
    """The tensors of one file: every byte of it belongs to exactly one, or it is refused."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > size - 8:
            raise InputError(f"{path}: {size:,} bytes, shorter than its header: is it whole?")
        text = file.read(length)
    try:
        entries = json.loads(text)
        entries.pop("__metadata__", None)
        found = {}
        for name, e in entries.items():
            begin, stop = map(int, e["data_offsets"])
            found[name] = (str(e["dtype"]), tuple(map(int, e["shape"])), begin, stop)
    except (*NO_FORM, OverflowError, RecursionError) as error:
        raise InputError(f"{path}: no safetensors header") from error
    tensors, end = {}, 0
    for name, (dtype, shape, begin, stop) in sorted(found.items(), key=lambda x: x[1][2:]):
        width = _width(dtype)
        if not width or min(shape, default=0) < 0 or stop - begin != width * math.prod(shape):
            raise InputError(f"{path}: {name}: {dtype}{list(shape)} is not {stop - begin} bytes")
        if begin != end:
            raise InputError(
                f"{path}: {name} begins at byte {begin}, what is before it ends at {end}"
            )
        tensors[name] = _Tensor(path, dtype, shape, 8 + length + begin)
        end = stop
    if 8 + length + end != size:
        raise InputError(
            f"{path}: {size:,} bytes, its header means {8 + length + end:,}: is it whole?"
        )
    return tensors
