"""What is written is durable before it is seen, and a damaged record is one line."""

import os
from pathlib import Path

import pytest

from xl_jax import atomic_files
from xl_jax.errors import InputError
from xl_jax.json_files import read_json, write_json
from xl_jax.runs import run_directory


def test_a_file_is_on_disk_before_its_name_is_and_then_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        done.append(f"sync {Path(os.readlink(f'/proc/self/fd/{descriptor}')).name}")
        fsync(descriptor)

    def renamed(path: Path, target: Path) -> Path:
        done.append(f"{path.name} -> {target.name}")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    atomic_files.write(tmp_path / "x", "text")
    temporary = f".x.{os.getpid()}.tmp"
    assert done == [f"sync {temporary}", f"{temporary} -> x", f"sync {tmp_path.name}"]
    assert (tmp_path / "x").read_text() == "text"


@pytest.mark.parametrize("content", [b"", b"{", b'{"seed": 0', b"\xff\xfe", b'{"seed": nan?}'])
def test_a_damaged_config_is_one_line_with_its_name(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(InputError) as refused:
        run_directory.load(tmp_path)
    assert str(refused.value).startswith(f"{path} is damaged: ")
    assert "\n" not in str(refused.value)


def test_missing_records_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no run directory: config.json is not there"):
        run_directory.load(tmp_path)
    with pytest.raises(InputError, match="x.json cannot be read: No such file"):
        read_json(tmp_path / "x.json")
    write_json(tmp_path / "x.json", {"a": [1, "é"]})
    assert read_json(tmp_path / "x.json") == {"a": [1, "é"]}


def test_a_name_that_is_no_utf_8_is_written_and_read_again(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.txt")
    write_json(tmp_path / "a.json", {"files": [name, "café"]})
    text = (tmp_path / "a.json").read_text("utf-8")
    assert "caf\\udce9.txt" in text and "café" in text
    assert read_json(tmp_path / "a.json") == {"files": [name, "café"]}
