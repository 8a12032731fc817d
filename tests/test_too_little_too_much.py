"""Text that is too little to train or measure on, texts of no size, and more files than may be
open."""

import os
import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.text_toy import WORDS, config, make, write_text
from xl_jax.config import NO_TEXT, Data
from xl_jax.errors import InputError
from xl_jax.prepare import pipeline, prepared, stages


@pytest.mark.parametrize(("windows", "length"), [("stream", 64), ("line", 512)])
def test_text_too_little_for_a_row_is_told_with_its_numbers(
    tmp_path: Path, windows: str, length: int
) -> None:
    text = write_text(tmp_path / "a", 24, 0)
    data = make(tmp_path, {"a": text}, size=30, data=Data(windows="line", length=16, heldout=0.1))
    train, heldout = data.train["a"].n_tokens, data.heldout["a"].stream_length
    assert 0 < heldout < 64 < train < 512
    message = (
        f"corpus of a, {text!r}: {train} training tokens and {heldout} held-out ones (ends of "
        f"lines included) are too few for rows of {length} tokens: take more text, a larger "
        "data.heldout (it is 0.1) or a smaller data.length"
    )
    rows = Data(windows=windows, length=length, heldout=0.1)
    with pytest.raises(InputError, match=re.escape(message)):
        make(tmp_path, {"a": text}, size=30, data=rows)
    make(tmp_path, {"a": text}, size=30, data=Data(windows="stream", length=heldout, heldout=0.1))


def test_a_language_without_text_is_no_smallest_one(tmp_path: Path) -> None:
    specs = {x: write_text(tmp_path / x, n, 0, WORDS) for x, n in (("a", 100), ("b", 300))}
    more = {"data": Data(windows="line", length=16, heldout=0.1, tokens=-1)}
    cut = make(tmp_path, {**specs, "none": NO_TEXT}, "joint", **more)
    whole = make(tmp_path, {**specs, "none": NO_TEXT}, "joint")
    a, b = (cut.train[x].n_tokens for x in "ab")
    assert a == whole.train["a"].n_tokens and a - 30 < b <= a < whole.train["b"].n_tokens
    assert cut.train["none"].n_tokens == 0


@contextmanager
def open_files(more: int) -> Iterator[None]:
    """So many more than are open already."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/dev/fd")) + more, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_work_that_too_many_open_files_stop_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A preparation holds the files of one text at a time; opening what it has made takes all."""
    monkeypatch.setattr(stages, "PART", 400)
    specs = {x: write_text(tmp_path / x, 200, i) for i, x in enumerate("ab")}
    refused = r"data.*: '[ab]\.\w+' has \d+ parts of two files, more than this process may open; "
    with open_files(20), pytest.raises(RuntimeError, match=f"{refused}raise .*: ulimit -n 65536"):
        make(tmp_path, specs)
    (left,) = (tmp_path / "data").glob(".*/parts")
    parts = len(list(left.glob("a.heldout.*.starts.npy")))
    assert parts > 12
    said: list[str] = []
    with open_files(3 * parts), pytest.raises(RuntimeError, match=refused):
        pipeline.prepare(config(specs), tmp_path / "data", said.append)
    assert said[0] == f"going on with what {left.parent} holds"
    (folder,) = (tmp_path / "data").iterdir()
    assert [len(x.parts) for x in prepared.read(folder).train.values()] == [parts] * 2
