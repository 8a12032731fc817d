"""Parquet as a corpus: row groups are parts, any cut gives the same documents, damage is named."""

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xl_jax.errors import InputError
from xl_jax.text.corpora import open_corpora
from xl_jax.text.documents import Document, all_documents


def write(path: Path, columns: dict[str, Any], group: int = 2, **more: Any) -> None:
    pq.write_table(pa.table(columns), path, row_group_size=group, **more)


def source(spec: str) -> Any:
    return open_corpora({"en": spec})["en"].source


def read(spec: str, size: int = 1 << 24) -> tuple[list[Document], Counter[str]]:
    counts: Counter[str] = Counter()
    s = source(spec)
    return [d for part in s.parts(size) for d in s.documents(part, counts)], counts


def test_a_record_is_a_document_and_a_row_group_a_part(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", {"id": [1, 2, 3], "text": ["one\n two ", "", "three"]})
    write(tmp_path / "b.parquet", {"id": [4], "text": ["fôur"]})
    spec = f"files:{tmp_path}/*.parquet"
    expected = [["one", "two"], ["three"], ["fôur"]]
    for size in (1, 1 << 24):
        found, counts = read(spec, size)
        assert found == expected and counts == {"bytes": 9 + 5 + 5}
    files = [str(tmp_path / x) for x in ("a.parquet", "b.parquet")]
    assert source(spec).parts(1) == [((files[0], 0),), ((files[0], 1),), ((files[1], 0),)]
    assert source(spec).parts(1 << 24) == [((files[0], 0), (files[0], 1), (files[1], 0))]
    assert source(spec).size() > 0
    assert list(source(spec).state()) == files


def test_nested_dictionary_and_marked_text(tmp_path: Path) -> None:
    pairs = [{"en": "x", "fr": "y"}, {"en": "z", "fr": None}, None]
    write(tmp_path / "a.parquet", {"translation": pairs})
    found, counts = read(f"files:{tmp_path}/a.parquet#field=translation/fr")
    assert found == [["y"]] and counts["bad_records"] == 2
    coded = pa.array(["same", "same", "other"]).dictionary_encode()
    write(tmp_path / "b.parquet", {"text": coded})
    assert read(f"files:{tmp_path}/b.parquet")[0] == [["same"], ["same"], ["other"]]
    wiki = "\n_START_ARTICLE_\nTitle\n_START_PARAGRAPH_\nOne._NEWLINE_Two."
    write(tmp_path / "c.parquet", {"text": [wiki], "wikidata_id": ["Q1"]})
    assert read(f"files:{tmp_path}/c.parquet#share=1")[0] == [["One.", "Two."]]


def test_records_without_text_are_counted_and_named_or_stop(tmp_path: Path) -> None:
    broken = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"\xff\xfe")]
    )
    column = pa.concat_arrays([pa.array(["a", None]), broken, pa.array(["b"])])
    write(tmp_path / "a.parquet", {"text": column})
    found, counts = read(f"files:{tmp_path}/a.parquet")
    assert found == [["a"], ["b"]]
    assert counts == {
        "bytes": 4,
        "bad_records": 1,
        f"bad_records first in {tmp_path}/a.parquet: row group 0, row 1": 1,
        "invalid_utf8": 1,
        f"invalid_utf8 first in {tmp_path}/a.parquet: row group 1, row 0": 1,
    }
    with pytest.raises(InputError, match="a.parquet: row group 0, row 1: no text in 'text'"):
        read(f"files:{tmp_path}/a.parquet#errors=stop")


def test_a_wrong_column_or_file_is_one_line(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", {"titel": ["x"], "body": ["y"], "n": [1], "list": [["z"]]})
    for keys, message in {
        "": "field = which column\\? texts: titel, body",
        "#field=titles": "unknown column of text in corpus .* 'titles': did you mean 'titel'",
        "#field=n": "unknown column of text .*'n'.*known: body, titel",
        "#documents=blank": "parquet is read alone, a record is a document: documents=blank",
    }.items():
        with pytest.raises(InputError, match=message):
            source(f"files:{tmp_path}/a.parquet{keys}").parts(1)
    (tmp_path / "b.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:-9])
    with pytest.raises(InputError, match="b.parquet: cannot be read as parquet"):
        source(f"files:{tmp_path}/b.parquet").parts(1)
    (tmp_path / "c.txt").write_text("x")
    with pytest.raises(InputError, match="parquet is read alone.*c.txt"):
        source(f"files:{tmp_path}/*")
    write(tmp_path / "d.parquet", {"title": ["x"]})
    with pytest.raises(InputError, match="d.parquet: no column 'body'; the first file has it"):
        source(f"files:{tmp_path}/[ad].parquet#field=body").size()


def test_damage_inside_a_file_is_one_line(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", {"text": [f"line {i}" * 50 for i in range(100)]}, group=100)
    data = bytearray((tmp_path / "a.parquet").read_bytes())
    data[20:200] = b"\xff" * 180
    (tmp_path / "a.parquet").write_bytes(data)
    with pytest.raises(InputError, match="a.parquet: cannot be read as parquet"):
        list(all_documents(source(f"files:{tmp_path}/a.parquet")))
