"""Damage of a prepared corpus: noticed, named, and made again from the text."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.text_toy import WORDS, config, make, write_text
from xl_jax.config import Vocab
from xl_jax.errors import InputError
from xl_jax.json_files import fingerprint, read_json, write_json
from xl_jax.prepare import pipeline, prepared
from xl_jax.prepare.prepared import Prepared
from xl_jax.tokens import given
from xl_jax.tokens.special import NAMES
from xl_jax.tokens.vocabulary import Vocabulary


@pytest.fixture
def specs(tmp_path: Path) -> dict[str, str]:
    return {"a": write_text(tmp_path / "a.txt", 300, 0), "t": "twin:a#order=invert"}


def again(tmp_path: Path, specs: dict[str, str], **more: Any) -> tuple[Prepared, list[str]]:
    said: list[str] = []
    return pipeline.prepare(config(specs), tmp_path / "data", said.append, **more), said


def flip(path: Path, later: bool = True) -> None:
    """Changes a bit, and (where `later`) the time of the file, as any program does."""
    content, status = bytearray(path.read_bytes()), path.stat()
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    time = status.st_mtime_ns + (1_000_000_000 if later else 0)
    os.utime(path, ns=(time, time))


@pytest.mark.parametrize(
    "name",
    ["a.train.00000.tokens", "t.heldout.00000.starts.npy", "t.order.00000.tokens", "counts.npy"]
    + ["header.json", "vocab.json", "a.model", "report.json"],
)
def test_a_flipped_bit_is_named_and_the_file_made_again(
    tmp_path: Path, specs: dict[str, str], name: str
) -> None:
    path = make(tmp_path, specs).folder / name
    content = path.read_bytes()
    flip(path)
    data, said = again(tmp_path, specs)
    assert f"{data.folder}: damaged: {name}; made again from the text" in said
    assert path.read_bytes() == content
    assert again(tmp_path, specs)[1] == []
    assert [x.name for x in (tmp_path / "data").iterdir()] == [data.folder.name]


def test_a_damaged_tokenizer_that_was_given_is_taken_again(
    tmp_path: Path, specs: dict[str, str]
) -> None:
    tokenizers = pytest.importorskip("tokenizers", reason="needs given tokenizers")
    pieces = {x: i for i, x in enumerate([*NAMES, *WORDS])}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(pieces, unk_token=NAMES[1]))
    made.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    model = given.keep(json.loads(made.to_str()), NAMES)
    ids, n = np.arange(len(pieces), dtype=np.int32), len(pieces)
    (tmp_path / "data/given").mkdir(parents=True)
    Vocabulary("joint", "shared", n, {"a": model}, {"a": ids}, {"a": 0}).save(
        tmp_path / "data/given"
    )
    text, more = {"a": specs["a"]}, {"vocab": Vocab(mode="joint", type="given")}
    path = make(tmp_path, text, **more).folder / "a.tokenizer.json"
    flip(path)
    make(tmp_path, text, **more)
    assert path.read_bytes() == model


def test_missing_and_shortened_files_are_made_again(tmp_path: Path, specs: dict[str, str]) -> None:
    folder = make(tmp_path, specs).folder
    content = {x.name: x.read_bytes() for x in folder.iterdir()}
    (folder / "header.json").unlink()
    (folder / "a.words.00000.tokens").unlink()
    os.truncate(folder / "t.train.00000.starts.npy", 100)
    said = again(tmp_path, specs)[1]
    assert "a.words.00000.tokens, header.json, t.train.00000.starts.npy" in said[0]
    assert {x: (folder / x).read_bytes() for x in content if x != "verified.json"} == {
        x: c for x, c in content.items() if x != "verified.json"
    }


def test_files_of_known_size_and_time_are_read_only_if_that_is_requested(
    tmp_path: Path, specs: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make(tmp_path, specs).folder / "a.train.00000.tokens"
    read: list[str] = []
    digest = hashlib.file_digest
    monkeypatch.setattr(
        hashlib, "file_digest", lambda file, kind: [read.append(file.name), digest(file, kind)][1]
    )
    again(tmp_path, specs)
    assert read == []
    os.utime(path)  # another time: read once
    assert again(tmp_path, specs)[1] == [] and read == [str(path)]
    assert again(tmp_path, specs)[1] == [] and read == [str(path)]
    flip(path, later=False)
    assert again(tmp_path, specs)[1] == []
    assert "damaged: a.train.00000.tokens" in again(tmp_path, specs, verify=True)[1][0]


def test_a_corpus_of_an_earlier_version_opens_and_gets_digests(
    tmp_path: Path, specs: dict[str, str]
) -> None:
    folder = make(tmp_path, specs).folder
    for name in ("digests.json", "verified.json", "source.json"):
        (folder / name).unlink()
    assert again(tmp_path, specs)[1] == []
    flip(folder / "counts.npy")
    assert "damaged: counts.npy" in again(tmp_path, specs)[1][0]


@pytest.mark.parametrize("name", ["digests.json", "verified.json"])
@pytest.mark.parametrize("harm", [flip, Path.unlink])
def test_lost_digests_of_unchanged_files_are_made_again(
    tmp_path: Path, specs: dict[str, str], name: str, harm: Any
) -> None:
    folder = make(tmp_path, specs).folder
    content = (folder / name).read_bytes()
    harm(folder / name)
    assert again(tmp_path, specs)[1] == []
    assert (folder / name).read_bytes() == content


def test_a_damaged_note_of_the_text_is_told_and_stops_nothing(
    tmp_path: Path, specs: dict[str, str]
) -> None:
    flip(make(tmp_path, specs).folder / "source.json")
    (line,) = again(tmp_path, specs)[1]
    assert "source.json is damaged" in line and "cannot be told" in line


def test_a_note_of_the_text_without_a_digest_is_of_an_earlier_version(
    tmp_path: Path, specs: dict[str, str]
) -> None:
    note = make(tmp_path, specs).folder / "source.json"
    write_json(note, read_json(note)["text"])
    assert again(tmp_path, specs)[1] == []
    write_text(tmp_path / "a.txt", 300, 1)
    (line,) = again(tmp_path, specs)[1]
    assert "the text of a has changed" in line


def test_what_cannot_be_made_again_is_said_in_one_line(
    tmp_path: Path, specs: dict[str, str]
) -> None:
    folder = make(tmp_path, specs).folder
    flip(folder / "a.train.00000.tokens")
    write_text(tmp_path / "a.txt", 300, 1)
    with pytest.raises(InputError, match="tokens is damaged, and its text .* remove .* prepared"):
        again(tmp_path, specs)
    (tmp_path / "a.txt").unlink()
    message = "a.train.00000.tokens: damaged, and cannot be made again: corpus .* no file matches"
    with pytest.raises(InputError, match=message):
        again(tmp_path, specs)
    flip(folder / "digests.json")
    with pytest.raises(InputError, match="digests.json is damaged"):
        again(tmp_path, specs)
    (folder / "digests.json").unlink()
    (folder / "header.json").unlink()
    with pytest.raises(InputError, match="has no header.json: it is not complete; remove it, and"):
        again(tmp_path, specs)


def test_files_that_do_not_belong_together_are_refused(
    tmp_path: Path, specs: dict[str, str]
) -> None:
    data, other = make(tmp_path, specs, size=40), make(tmp_path, specs, size=35)
    for name in ("vocab.json", "a.model"):
        (data.folder / name).write_bytes((other.folder / name).read_bytes())
    with pytest.raises(InputError, match="made with another vocabulary .*digests differ"):
        prepared.read(data.folder)
    header = read_json(other.folder / "header.json")
    header["languages"]["a"]["lines"] += 1
    write_json(other.folder / "header.json", header)
    with pytest.raises(InputError, match=r"a.train has \d+ lines and \d+ tokens, header.json says"):
        prepared.read(other.folder)


def test_names_of_files_stay_inside_the_folder(tmp_path: Path, specs: dict[str, str]) -> None:
    folder = make(tmp_path, specs).folder
    files = {"../../a.txt": "0"}
    write_json(folder / "digests.json", {"files": files, "digest": fingerprint(files, 64)})
    assert again(tmp_path, specs)[1] == []  # the same as damage
    assert "../../a.txt" not in read_json(folder / "digests.json")["files"]
