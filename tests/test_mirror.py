"""A folder and a bucket that are kept equal. The bucket is memory, or a folder (file://)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from xl_jax import mirror, progress
from xl_jax.errors import InputError
from xl_jax.mirror import Mirror

URL = "memory://bucket/run"
FILES = {
    "config.json": "{}",
    "metrics.jsonl": '{"step": 1}\n',
    "data/0123/a.train.00000.tokens": "ab",
    "data/0123/digests.json": "d",
    "data/0123/header.json": "h",
    "checkpoints/1/_CHECKPOINT_METADATA": "m",
    "checkpoints/1/state/d/x": "array",
}
OTHERS = {  # of one machine, or not finished
    "trainer.lock": "{}",
    "data/.0456/a.train.00000.tokens": "half",
    "checkpoints/2.orbax-checkpoint-tmp-7/state/d/x": "half",
    "data/0789/a.train.00000.tokens": "without header",
}


@pytest.fixture(autouse=True)
def empty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    memory = fsspec.filesystem("memory")
    yield memory
    memory.store.clear()


def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str = "one") -> Mirror:
    monkeypatch.setenv(mirror.CACHE, str(tmp_path / name))
    found = mirror.of(mirror.here(URL))
    assert found is not None
    return found


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def files(folder: Path) -> dict[str, str]:
    paths = [x for x in folder.rglob("*") if x.is_file()]
    names = {x.relative_to(folder).as_posix(): x for x in paths}
    return {x: path.read_text() for x, path in names.items() if "/." not in f"/{x}"}


def objects(memory: Any) -> list[str]:
    return sorted(x.removeprefix("/bucket/run/") for x in list(memory.store))


def test_what_is_finished_goes_there_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty: Any
) -> None:
    one = machine(tmp_path, monkeypatch)
    assert one.folder == tmp_path / "one" / "memory" / "bucket" / "run"
    assert mirror.name(one.folder) == URL and mirror.name(tmp_path) == str(tmp_path)
    write(one.folder, FILES | OTHERS)
    one.push()
    assert objects(empty) == sorted(FILES)
    other = machine(tmp_path, monkeypatch, "other")
    other.pull()
    assert files(other.folder) == FILES


def test_only_what_has_changed_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty: Any
) -> None:
    one = machine(tmp_path, monkeypatch)
    write(one.folder, FILES)
    one.push()
    written = {x: y.created for x, y in empty.store.items()}
    write(one.folder, {"metrics.jsonl": '{"step": 1}\n{"step": 2}\n'})
    one.push()
    again = {x for x, y in empty.store.items() if y.created != written[x]}
    assert again == {"/bucket/run/metrics.jsonl"}
    monkeypatch.setattr(Mirror, "_download", None)  # the bucket is as this machine left it
    one.pull()


def test_new_objects_come_before_old_ones_go_and_the_last_file_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty: Any
) -> None:
    one, did = machine(tmp_path, monkeypatch), list[tuple[str, str]]()
    write(one.folder, FILES)
    one.push()
    for name in ("checkpoints/1/_CHECKPOINT_METADATA", "checkpoints/1/state/d/x"):
        (one.folder / name).unlink()
    write(one.folder, {f"checkpoints/2/{x}": "2" for x in ("_CHECKPOINT_METADATA", "z")})
    write(one.folder, {"zebra.png": "3"})
    bucket, put, remove = one.bucket, one.bucket.put, one.bucket.remove
    monkeypatch.setattr(bucket, "put", lambda path, x: did.append(("put", x)) or put(path, x))
    monkeypatch.setattr(bucket, "remove", lambda x: did.append(("remove", x)) or remove(x))
    one.push()
    assert did == [
        ("put", "zebra.png"),
        ("put", "checkpoints/2/z"),
        ("put", "checkpoints/2/_CHECKPOINT_METADATA"),
        ("remove", "checkpoints/1/_CHECKPOINT_METADATA"),
        ("remove", "checkpoints/1/state/d/x"),
    ]


@pytest.mark.parametrize("pushed", range(len(FILES)))
def test_a_copy_that_was_killed_leaves_no_half_checkpoint_or_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pushed: int
) -> None:
    one = machine(tmp_path, monkeypatch)
    write(one.folder, FILES)
    put, left = one.bucket.put, [pushed]

    def dies(path: Path, name: str) -> Any:
        if not left[0]:
            raise RuntimeError("killed")
        left[0] -= 1
        return put(path, name)

    monkeypatch.setattr(one.bucket, "put", dies)
    with pytest.raises(RuntimeError, match=f"killed; {one.folder} has all of it"):
        one.push()
    other = machine(tmp_path, monkeypatch, "other")
    other.pull()
    got = files(other.folder)
    for unit in ("data/0123", "checkpoints/1"):
        number = len([x for x in got if x.startswith(unit)])
        assert number in (0, len([x for x in FILES if x.startswith(unit)]))
    assert not (other.folder / "checkpoints").exists() or "checkpoints/1/state/d/x" in got
    monkeypatch.setattr(one.bucket, "put", put)
    one.push()  # the same machine goes on
    other.pull()
    assert files(other.folder) == FILES


def test_what_another_machine_did_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = machine(tmp_path, monkeypatch)
    write(one.folder, FILES)
    one.push()
    write(one.folder, {"metrics.jsonl": "mine, never copied", "data/0abc/header.json": "mine"})
    write(one.folder, {"checkpoints/2/_CHECKPOINT_METADATA": "mine, never copied"})
    one.pull()
    assert files(one.folder)["metrics.jsonl"] == "mine, never copied"  # nobody else wrote

    other = machine(tmp_path, monkeypatch, "other")
    other.pull()
    write(other.folder, {"metrics.jsonl": "theirs"})
    other.push()
    one.pull()
    expected = FILES | {"metrics.jsonl": "theirs", "data/0abc/header.json": "mine"}
    assert files(one.folder) == expected
    assert not (one.folder / "checkpoints" / "2").exists()


def test_a_folder_that_is_worked_in_is_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty: Any
) -> None:
    one = machine(tmp_path, monkeypatch)
    write(one.folder, {"config.json": "{}"})
    monkeypatch.setattr(mirror, "EVERY", 0.01)
    with mirror.kept(one.folder):
        while not objects(empty):  # copied while the work goes on
            pass
        write(one.folder, {"metrics.jsonl": "mine"})
        empty.pipe_file("/bucket/run/metrics.jsonl", b"theirs")
        one.pull()
        assert files(one.folder)["metrics.jsonl"] == "mine"


def test_a_long_copy_says_how_far_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one = machine(tmp_path, monkeypatch)
    monkeypatch.setattr(progress, "QUIET", 0.0)
    monkeypatch.setattr(progress, "SECONDS", 0.0)
    write(one.folder, {f"eval/{i}.npy": "x" * 500_000 for i in range(4)})
    one.push()
    lines = capsys.readouterr().err.splitlines()
    told = [f"copying to {URL}: {n} of 2 MB" for n in ("0", "1", "2")]
    assert [x.rpartition(",")[0] for x in lines] == told


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gs://", "gs:// names no folder of a bucket"),
        ("gs:///x", "gs:///x names no folder of a bucket"),
        ("file://x", "file://x names no folder of a bucket"),
        ("memory://a/../b", "names no folder of a bucket"),
        ("gz://a/b", "unknown kind of bucket 'gz://': did you mean 'gs://'"),
    ],
)
def test_what_is_no_bucket(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        mirror.here(name)


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(url: str) -> Any:
        raise ImportError("no")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(InputError, match="gs://a/b: gs:// needs a package: pip install gcsfs"):
        mirror.here("gs://a/b")


def test_no_rights_are_told_before_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty: Any
) -> None:
    one = machine(tmp_path, monkeypatch)

    def forbidden(*_: Any, **__: Any) -> Any:
        raise PermissionError("403: no storage.objects.create for you\nmore")

    monkeypatch.setattr(type(empty), "pipe_file", forbidden)
    said = f"{URL} cannot be written: 403: no storage.objects.create for you$"
    with pytest.raises(InputError, match=said), mirror.kept(one.folder):
        raise AssertionError("work was begun")
    monkeypatch.setattr(type(empty), "find", forbidden)
    with pytest.raises(InputError, match=f"{URL} cannot be read: 403: no storage"):
        one.pull()
