"""A run in a bucket goes on anywhere, to the same bits. The bucket is a folder (file://), behind
the interface that all kinds have."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import jax
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from test_distributed import finish, processes
from test_run import QUIET, config_file, small, stop_after

from xl_jax import mirror
from xl_jax.config import Mesh
from xl_jax.devices.mesh import one_device
from xl_jax.errors import InputError
from xl_jax.evaluate.runner import measure
from xl_jax.pretrain.loop import pretrain
from xl_jax.runs import bucket_lock, lock, run_directory
from xl_jax.runs.checkpoint import leaf_digests

pytestmark = pytest.mark.slow


def test_a_bucket_without_rights_is_one_line_before_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: Any, **__: Any) -> Any:
        raise PermissionError("403: no rights for you\nmore")

    for name in ("pipe_file", "cat_file", "find"):
        monkeypatch.setattr(MemoryFileSystem, name, forbidden)
    monkeypatch.setenv(mirror.CACHE, str(tmp_path))
    folder = mirror.here("memory://bucket/run")
    with pytest.raises(InputError, match="^memory://bucket/run cannot be written: 403: no rights"):
        run_directory.start(small(tmp_path), folder, **QUIET)
    with pytest.raises(InputError, match="^memory://bucket/run cannot be read: 403: no rights"):
        run_directory.load(folder, **QUIET)
    assert not list(folder.glob("[!.]*"))


def test_a_second_machine_is_told_who_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket_lock, "SETTLED", 0.0)
    monkeypatch.setattr(bucket_lock, "WATCHED", 0.2)
    monkeypatch.setattr(lock, "BEAT", 0.05)
    monkeypatch.setenv(mirror.CACHE, str(tmp_path / "one"))
    one = mirror.here(f"file://{tmp_path}/bucket")
    monkeypatch.setenv(mirror.CACHE, str(tmp_path / "other"))
    other = mirror.here(f"file://{tmp_path}/bucket")
    told = f"file://{tmp_path}/bucket: process .* trains this run"
    with lock.training(one), pytest.raises(InputError, match=told):
        run_directory.start(small(tmp_path), other, **QUIET)
    left = mirror.of(one)
    assert left is not None and left.bucket.read("trainer.lock") is None
    bucket_lock.write(left, {"host": "a", "process": 1, "since": "then"})  # of a dead machine
    with lock.training(other):
        pass


def test_half_by_one_machine_and_half_by_two_others_is_one_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket_lock, "SETTLED", 0.0)
    there, url = tmp_path / "bucket" / "run", f"file://{tmp_path}/bucket/run"
    config = small(tmp_path, mesh=Mesh(data=2), sharing="all_shared")
    config = dataclasses.replace(config, data=dataclasses.replace(config.data, dir=""))
    whole = run_directory.start(config, tmp_path / "whole", **QUIET)
    expected = leaf_digests(jax.device_get(pretrain(whole, **QUIET)))

    monkeypatch.setenv(mirror.CACHE, str(tmp_path / "one"))
    stop_after(run_directory.start(config, mirror.here(url), **QUIET), 4, monkeypatch)
    shutil.rmtree(tmp_path / "one")
    assert {x.name for x in (there / "checkpoints").iterdir()} == {"4"}

    flags = [f"--config={config_file(tmp_path, config)}", f"--workdir={url}"]
    first, second = finish(processes(2, 1, *flags, caches=str(tmp_path / "two")))
    assert (first[0], second[0]) == (0, 0), (first, second)
    assert "continuing from step 4" in first[1] and f"eval.py --workdir={url}" in first[1]
    assert "vocabulary:" not in first[1]  # no text is prepared again
    shards = [list((tmp_path / "two" / x).rglob("a.train*")) for x in ("0", "1")]
    assert shards[0] and len(shards[0]) == len(shards[1])

    monkeypatch.setenv(mirror.CACHE, str(tmp_path / "third"))
    run = run_directory.load(mirror.here(url), **QUIET)
    found = run_directory.restore(run, one_device(), **QUIET)
    assert found is not None and leaf_digests(found[1]) == expected
    assert run.trained()[0] == whole.trained()[0]  # of the best step, too
    with run.kept():
        measure(run, ["perplexity"], **QUIET)
    assert (there / "eval" / "perplexity.json").exists()
    steps = [json.loads(x)["step"] for x in (there / "metrics.jsonl").read_text().splitlines()]
    assert sorted(set(steps)) == [4, 8] and not (there / "trainer.lock").exists()
