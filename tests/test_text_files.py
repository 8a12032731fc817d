"""Text files as a corpus: any cut into parts gives the same documents, damage is named."""

import bz2
import gzip
import json
import lzma
import os
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xl_jax.errors import InputError
from xl_jax.text import text_files
from xl_jax.text.documents import Document, all_documents
from xl_jax.text.text_files import Files, zstd

DROPPED = "not text"  # stands for a line that cannot be read


def read(source: Files, size: int = 1 << 24) -> tuple[list[Document], Counter[str]]:
    counts: Counter[str] = Counter()
    return [d for p in source.parts(size) for d in source.documents(p, counts)], counts


def plain(counts: Counter[str]) -> dict[str, int]:
    """Without the names of first places, which depend on the parts."""
    return {reason: n for reason, n in counts.items() if " first " not in reason}


@pytest.mark.parametrize(
    ("documents", "expected"),
    [
        ("line", [["one"], ["two"], ["three"], ["four"], ["five"]]),
        ("blank", [["one", "two"], ["three"], ["four", "five"]]),
        ("file", [["one", "two", "three"], ["four", "five"]]),
    ],
)
def test_where_a_document_ends(tmp_path: Path, documents: str, expected: list[Document]) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfone\r\n  two \n \t\n\n\nthree")
    (tmp_path / "b.txt").write_bytes(b"\n\nfour\n\xe3\x80\x80\nfive\n\n")
    found, counts = read(Files(f"{tmp_path}/*.txt", documents))
    assert found == expected
    assert plain(counts) == {"bytes": sum(p.stat().st_size for p in tmp_path.iterdir())}


def messy_text(seed: int) -> bytes:
    """Lines of all lengths, blank ones, several ends of line, some that are not UTF-8."""
    random = np.random.default_rng(seed)
    kinds = [b"", b" ", b"\r", b"a b", "é中𝄞".encode(), b"\xff\xfe", b"x" * 30, b"long" * 20, b"\r"]
    return b"\n".join(kinds[i] for i in random.integers(len(kinds), size=60)) + b"\n" * (seed % 2)


def documents_of(text: bytes, by: str) -> list[Document]:
    """The same documents by the shortest program: the whole text at once."""
    lines = []
    for line in text.split(b"\n"):
        try:
            lines.append(
                line.decode().strip(" \r") if len(line) < text_files.LONGEST_LINE else DROPPED
            )
        except UnicodeDecodeError:
            lines.append(DROPPED)
    if by == "line":
        return [[x] for x in lines if x not in ("", DROPPED)]
    blocks: list[list[str]] = [[]]
    for line in lines:
        if line:
            blocks[-1].append(line)
        else:
            blocks.append([])
    found = [[x for x in block if x != DROPPED] for block in blocks]
    return [x for x in found if x]


@pytest.mark.parametrize("by", ["line", "blank"])
@pytest.mark.parametrize("seed", range(3))
def test_any_part_size_gives_the_same_documents_and_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str, seed: int
) -> None:
    monkeypatch.setattr(text_files, "BLOCK", 16)
    monkeypatch.setattr(text_files, "LONGEST_LINE", 50)
    text = messy_text(seed)
    (tmp_path / "a.txt").write_bytes(text)
    (tmp_path / "b.txt").write_bytes(messy_text(seed + 100))
    source = Files(f"{tmp_path}/*.txt", by)
    expected = documents_of(text, by) + documents_of(messy_text(seed + 100), by)
    whole, counts = read(source)
    assert whole == expected
    assert counts["invalid_utf8"] and counts["long_lines"]
    for size in [*range(1, 40), 97, 200, len(text)]:
        found, again = read(source, size)
        assert found == expected
        assert plain(again) == plain(counts)


def test_parts_have_about_the_size_asked_for(tmp_path: Path) -> None:
    for name in range(20):
        (tmp_path / f"{name:02d}.txt").write_text("word\n" * 20)  # 100 bytes
    (tmp_path / "z.txt").write_text("word\n" * 200)
    sizes = [
        sum(min(end, os.path.getsize(path)) - start for path, start, end in part)
        for part in Files(f"{tmp_path}/*.txt").parts(300)
    ]
    assert sizes == [300] * 6 + [200] + [300] * 3 + [100]


@pytest.mark.parametrize(
    ("ending", "opened"), [(".gz", gzip), (".bz2", bz2), (".xz", lzma), (".zst", zstd)]
)
def test_compressed_files_and_damaged_ones(tmp_path: Path, ending: str, opened: Any) -> None:
    text = "\n".join(f"line {i} of some" for i in np.random.default_rng(0).permutation(9000))
    path = tmp_path / f"a.txt{ending}"
    path.write_bytes(opened.compress(text.encode()) + opened.compress(b"\nand one more"))
    found, counts = read(Files(str(path)), 100)
    assert found == [[x] for x in [*text.split("\n"), "and one more"]]
    assert counts["bytes"] == len(text) + 13
    path.write_bytes(opened.compress(text.encode())[:-20])
    with pytest.raises(InputError, match=rf"a.txt\{ending}: cannot be read"):
        read(Files(str(path)))
    path.write_bytes(b"this was never compressed")
    with pytest.raises(InputError, match=rf"a.txt\{ending}: cannot be read"):
        read(Files(str(path)))


@pytest.mark.parametrize("opened", [open, gzip.open])
def test_json_records(tmp_path: Path, opened: Any) -> None:
    records = [
        {"id": 1, "text": "one\n\n two\r\nthree"},
        {"id": 2, "text": ""},
        {"id": 3, "text": "vier é 中"},
        {"id": 4, "other": "no text"},
        {"id": 5, "text": None},
        {"id": 6, "text": "half a letter \ud83d"},
        {"id": 7, "text": "last"},
    ]
    lines = [json.dumps(r) for r in records]
    lines[1:1] = ["", "{'id': 0}", "[1, 2]"]
    path = tmp_path / ("a.jsonl.gz" if opened is gzip.open else "a.jsonl")
    with opened(path, "wt") as file:
        file.write("\n".join(lines))
    expected = [["one", "two", "three"], ["vier é 中"], ["last"]]
    for size in (1, 7, 50, 10_000):
        found, counts = read(Files(str(path)), size)
        assert found == expected
        assert (counts["bad_records"], counts["invalid_utf8"]) == (4, 1)
    assert counts[f"bad_records first in {path}: line 3"] == 1
    assert read(Files(str(path), field="text"))[0] == expected
    with pytest.raises(InputError, match=r"a.jsonl.*: line 3: not a JSON record"):
        read(Files(str(path), errors="stop"))


@pytest.mark.parametrize(
    ("make", "asked", "message"),
    [
        ({}, {}, r"no file matches '.*\*'"),
        ({"folder/a": "x"}, {}, "no file matches"),
        ({"a": ""}, {}, "a is empty"),
        ({"a": "", "b": "x"}, {"errors": "stop"}, "a is empty"),
        (
            {"a.jsonl": '\n{"txt": "x", "id": 1}'},
            {},
            "field in .*a.jsonl: line 2 'text': did you mean 'txt'.* known: id, txt",
        ),
        ({"a": '{"text": "x"}'}, {"field": "body"}, "unknown field in .*a: line 1 'body'"),
        ({"a.jsonl": "text"}, {}, "a.jsonl: line 1: not a JSON record"),
        ({"a.jsonl": '{"text": ""}'}, {"documents": "blank"}, "a record is a document"),
    ],
)
def test_bad_files_are_named_before_any_work(
    tmp_path: Path, make: dict[str, str], asked: dict[str, str], message: str
) -> None:
    for name, text in make.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        Files(f"{tmp_path}/*", **asked)


def test_an_empty_file_among_others_is_counted(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    (tmp_path / "b").write_text("text")
    found, counts = read(Files(f"{tmp_path}/*"))
    assert found == [["text"]] and counts["empty_files"] == 1
    assert counts[f"empty_files first {tmp_path}/a"] == 1


def test_invalid_utf8_is_counted_and_named_or_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"good\nbad \xe9t\xe9\ngood\nbad \xff\n" + b"good\n" * 10 + b"\xff\ngood")
    source = Files(str(path))
    found, counts = read(source)
    assert found == [["good"]] * 13 and counts["invalid_utf8"] == 3
    assert counts[f"invalid_utf8 first in {path}: line 2"] == 1
    _, counts = read(source, 30)
    assert counts[f"invalid_utf8 first in {path}: line 2"] == 1
    assert counts[f"invalid_utf8 first in {path}: line 3 after byte 64"] == 1
    with pytest.raises(InputError, match=r"a: line 2: not UTF-8 text \(invalid contin.*errors=dr"):
        read(Files(str(path), errors="stop"))


def test_a_line_of_50_megabytes_takes_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with path.open("wb") as file:
        file.write(b"before\n")
        for _ in range(50):
            file.write(b"0123456789abcdef" * (1 << 16))
        file.write(b"\nafter\n")
    tracemalloc.start()
    found, counts = read(Files(str(path)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == [["before"], ["after"]]
    assert counts["long_lines"] == 1 and counts[f"long_lines first in {path}: line 2"] == 1
    assert peak < 40 << 20
    assert read(Files(str(path)), 1 << 20)[0] == found


@pytest.mark.parametrize("by", ["blank", "file"])
def test_a_document_without_end_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    monkeypatch.setattr(text_files, "LONGEST_DOCUMENT", 10)
    (tmp_path / "a").write_text("1234\n56789\n0\n\n1234")
    found, counts = read(Files(str(tmp_path / "a"), by))
    if by == "blank":
        assert found == [["1234", "56789", "0"], ["1234"]] and not counts["cut_documents"]
    else:
        assert found == [["1234", "56789", "0"], ["1234"]] and counts["cut_documents"] == 1


def test_sources_are_read_again_from_the_start(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("two\n\n  three  \n")
    (tmp_path / "a.txt").write_text("one\n")
    source = Files(f"{tmp_path}/*.txt")
    assert (
        list(all_documents(source)) == list(all_documents(source)) == [["one"], ["two"], ["three"]]
    )


@pytest.mark.parametrize("ending", ["", ".gz", ".xz"])
def test_all_lines_of_a_file_compressed_or_not_are_read(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"x{ending}"
    content = "\ufeffé\n\nmi\n".encode()
    path.write_bytes({"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}[ending](content))
    assert text_files.read_lines(str(path)) == ["é", "", "mi"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("la\né\n".encode("latin-1"), "x:2: not UTF-8 text .*iconv -f ENCODING -t UTF-8 .*x$"),
        (gzip.compress(b"la", mtime=0), "x: compressed by gzip; its name has to end in .gz"),
    ],
)
def test_lines_in_another_encoding_are_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(InputError, match=message):
        text_files.read_lines(str(tmp_path / "x"))


def test_lines_of_missing_and_damaged_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="x: no such file"):
        text_files.read_lines(str(tmp_path / "x"))
    (tmp_path / "x.gz").write_bytes(gzip.compress(b"la" * 1000)[:20])
    with pytest.raises(InputError, match="x.gz: cannot be read"):
        text_files.read_lines(str(tmp_path / "x.gz"))
