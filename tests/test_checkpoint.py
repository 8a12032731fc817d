"""Checkpoints: what is kept, what is refused, and what is said when the disk is not willing."""

import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xl_jax.errors import InputError
from xl_jax.runs.checkpoint import Checkpoints, leaf_digests, sums_in_blocks

METADATA = {"vocabulary": "abc", "mask": {"layer_1/w": (0, 1), "layer_2/w": (0, 0)}}


def state(n: float = 0.0, width: int = 3) -> dict[str, Any]:
    return {"b": jnp.full((2,), n, jnp.bfloat16), "w": jnp.full((2, width), n, jnp.float32)}


@contextmanager
def opened(folder: Path, keep: int = 3, **more: Any) -> Iterator[Checkpoints]:
    checkpoints = Checkpoints(folder, keep, lambda _: None, **more)
    yield checkpoints
    checkpoints.close()


def steps(folder: Path) -> list[int]:
    return sorted(int(x.name) for x in folder.iterdir())


@pytest.mark.parametrize(("keep", "kept"), [(1, [3]), (2, [2, 3])])
def test_the_newest_are_kept(tmp_path: Path, keep: int, kept: list[int]) -> None:
    with opened(tmp_path / "x", keep) as checkpoints:
        for step in (1, 2, 3):
            checkpoints.save(step, state(step))
    assert steps(tmp_path / "x") == kept


def test_the_best_is_kept(tmp_path: Path) -> None:
    for scores in ({1: 5.0, 2: 3.0, 3: 4.0}, {4: 3.5, 5: 3.0}):  # the second time after a restart
        with opened(tmp_path / "x", 1, best=True) as checkpoints:
            for step, score in scores.items():
                checkpoints.save(step, state(step), score)
    with opened(tmp_path / "x", 1, best=True) as checkpoints:
        found = checkpoints.restore(state())
    assert steps(tmp_path / "x") == [2] and found is not None and found[1]["w"][0, 0] == 2.0


@pytest.mark.parametrize(
    ("like", "metadata", "message"),
    [
        (
            state(width=4),
            METADATA,
            r"step 7 is of another run .*w: 'float32\[2, 3\]' -> '.*2, 4\]'",
        ),
        ({"w": state()["w"]}, METADATA, r"b: 'bfloat16\[2\]' -> None"),
        ({**state(), "new": jnp.ones(1)}, METADATA, r"new: None -> 'float32\[1\]'"),
        (state(), {**METADATA, "vocabulary": "xyz"}, "vocabulary: 'abc' -> 'xyz'"),
        (
            state(),
            {**METADATA, "mask": {**METADATA["mask"], "layer_1/w": (0, 0)}},
            r"mask.layer_1/w: \[0, 1\] -> \[0, 0\]$",
        ),
    ],
)
def test_another_kind_of_run_is_refused(
    tmp_path: Path, like: Any, metadata: Any, message: str
) -> None:
    with opened(tmp_path / "x", metadata=METADATA) as checkpoints:
        checkpoints.save(7, state())
    with opened(tmp_path / "x", metadata=metadata) as checkpoints:
        with pytest.raises(InputError, match=message):
            checkpoints.restore(like)


def test_a_step_that_says_nothing_about_itself_is_read(tmp_path: Path) -> None:
    with opened(tmp_path / "x") as checkpoints:
        checkpoints.save(7, state(1.0))
    shutil.rmtree(tmp_path / "x/7/about")  # as it was before `about`
    with opened(tmp_path / "x", metadata=METADATA) as checkpoints:
        found = checkpoints.restore(state())
    assert found is not None and leaf_digests(found[1]) == leaf_digests(state(1.0))


def half_written(folder: Path) -> Path:
    """What a killed save leaves."""
    path = folder / "9.orbax-checkpoint-tmp-1"
    (path / "state.orbax-checkpoint-tmp-2").mkdir(parents=True)
    return path


def test_a_reader_changes_nothing_and_a_writer_clears_up(tmp_path: Path) -> None:
    with opened(tmp_path / "x") as checkpoints:
        checkpoints.save(7, state(1.0))
    left = half_written(tmp_path / "x")
    with opened(tmp_path / "x", read_only=True) as checkpoints:
        found = checkpoints.restore(state())
    assert found is not None and found[0] == 7 and left.exists()
    with opened(tmp_path / "x") as checkpoints:
        checkpoints.save(8, state(1.0))
    assert steps(tmp_path / "x") == [7, 8]


def test_a_reader_finds_what_a_writer_has_written_since(tmp_path: Path) -> None:
    with opened(tmp_path / "x", 2) as writer:
        for step in (1, 2):
            writer.save(step, state(step))
    reader = Checkpoints(tmp_path / "x", 2, read_only=True)
    with opened(tmp_path / "x", 2) as writer:
        for step in (3, 4):
            writer.save(step, state(step))
    found = reader.restore(state())
    assert found is not None and found[0] == 4 and found[1]["w"][0, 0] == 4.0


def test_a_damaged_newest_step_is_written_again(tmp_path: Path) -> None:
    with opened(tmp_path / "x") as checkpoints:
        for step in (1, 2):
            checkpoints.save(step, state(step))
    shutil.rmtree(tmp_path / "x/2/state/d")
    with opened(tmp_path / "x", read_only=True) as checkpoints:
        found = checkpoints.restore(state())
        assert found is not None and found[0] == 1 and checkpoints.steps == [1, 2]
    with opened(tmp_path / "x") as checkpoints:
        checkpoints.restore(state())
        checkpoints.save(2, state(2.0))
    with opened(tmp_path / "x", read_only=True) as checkpoints:
        found = checkpoints.restore(state())
    assert found is not None and found[0] == 2 and found[1]["w"][0, 0] == 2.0


def test_a_damaged_best_step_is_written_again(tmp_path: Path) -> None:
    with opened(tmp_path / "x", 1, best=True) as checkpoints:
        checkpoints.save(1, state(1.0), score=2.0)
    shutil.rmtree(tmp_path / "x/1/state/d")
    with opened(tmp_path / "x", 1, best=True) as checkpoints:
        checkpoints.discard_damaged(state())
        checkpoints.save(2, state(2.0), score=3.0)
    assert steps(tmp_path / "x") == [2]


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("digests", "float32[2, 3]", "float32[2, 2]"),
        ("digests", '"w"', '"v"'),
        ("digests", "{", "["),
        ("about", '"abc"', '"abb"'),
        ("about", "layer_1/w", "layer_0/w"),
        ("about", "}", ""),
    ],
)
def test_damage_in_what_a_step_says_of_itself_is_no_other_run(
    tmp_path: Path, file: str, old: str, new: str
) -> None:
    with opened(tmp_path / "x", metadata=METADATA) as checkpoints:
        for step in (1, 2):
            checkpoints.save(step, state(step))
    path = tmp_path / "x/2" / file / "metadata"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    said: list[str] = []
    reader = Checkpoints(tmp_path / "x", 2, said.append, metadata=METADATA, read_only=True)
    found = reader.restore(state())
    reader.close()
    assert found is not None and found[0] == 1
    assert len(said) == 1 and said[0].startswith("checkpoint of step 2 is damaged: ")


DAMAGE = {
    "state/d": r"OUT_OF_RANGE: Error reading .* is not valid for value of size \d+$",
    "state/ocdbt.process_0/d": r"OUT_OF_RANGE: .* is not valid for value of size \d+$",
    "state/manifest.ocdbt": r"DATA_LOSS: .* local file '2/state/manifest.ocdbt': Error decoding ",
    "": r"Unterminated string starting at: line 1 column \d+ \(char \d+\)$",
}


@pytest.mark.parametrize("where", DAMAGE)
def test_a_damaged_step_is_one_line_with_its_cause(
    tmp_path: Path,
    where: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing of Orbax's, whoever reads: tracebacks of its threads go to Python's hook."""
    seen: list[object] = []
    monkeypatch.setattr("sys.unraisablehook", seen.append)
    like = {f"x{i}": np.arange(1000.0, dtype=np.float32) + i for i in range(30)}
    with opened(tmp_path / "x", 2) as checkpoints:
        checkpoints.save(1, like)
        checkpoints.save(2, like)
    path = tmp_path / "x/2" / where
    for file in [path] if path.is_file() else [x for x in path.rglob("*") if x.is_file()]:
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    said: list[str] = []
    reader = Checkpoints(tmp_path / "x", 2, said.append, read_only=True)
    found = reader.restore(like)
    reader.close()
    assert found is not None and found[0] == 1
    (line,) = said
    assert re.match(f"checkpoint of step 2 is damaged: {DAMAGE[where]}", line.replace('"', "'")), (
        line
    )
    assert "\n" not in line and not caplog.records and not seen and capfd.readouterr() == ("", "")


def on_devices(n: int, x: np.ndarray, *parts: str) -> jax.Array:
    """An array on n devices, each of which has all of it, or with "a" an equal part of its rows."""
    return jax.device_put(x, jax.NamedSharding(jax.make_mesh((n,), ("a",)), jax.P(*parts)))


@pytest.mark.parametrize("put", [jnp.asarray, lambda x: on_devices(3, x, "a")])
def test_digests_tell_every_element_and_place(put: Any) -> None:
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    digest = leaf_digests({"x": put(x)})
    assert digest == leaf_digests({"x": x})
    for i in range(12):
        other = x.copy()
        other.view(np.uint32).ravel()[i] ^= 1
        assert leaf_digests({"x": put(other)}) != digest
    assert leaf_digests({"x": put(x[::-1])}) != digest


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RuntimeError, match=r"file/checkpoints: cannot be used: [^\n]*$"):
        Checkpoints(tmp_path / "file/checkpoints", 1)


def test_a_full_disk_is_one_line_and_the_step_before_remains(tmp_path: Path) -> None:
    big = {"w": np.random.default_rng(0).standard_normal(1 << 18).astype(np.float32)}
    checkpoints = Checkpoints(tmp_path / "x", 2, lambda _: None)
    checkpoints.save(1, big)
    checkpoints.wait()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, limit[1]))  # as if the disk were full
    try:
        with pytest.raises(RuntimeError, match=r"x: saving (step 2 )?failed: [^\n]*$"):
            checkpoints.save(2, big)
            checkpoints.wait()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    found = Checkpoints(tmp_path / "x", 2, lambda _: None).restore(big)
    assert found is not None and found[0] == 1


def test_a_full_disk_says_that_the_same_command_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise ValueError("RESOURCE_EXHAUSTED: Error writing: No space left on device\nOCDBT")

    checkpoints = Checkpoints(tmp_path / "x", 2, lambda _: None)
    monkeypatch.setattr(checkpoints.manager, "save", full)
    told = "step 1 failed: No space left on device; the same command continues when there is room$"
    with pytest.raises(RuntimeError, match=told):
        checkpoints.save(1, state())


COMMAND = """
import resource, sys
from pathlib import Path
import numpy as np
from xl_jax import cli
from xl_jax.runs.checkpoint import Checkpoints

def main() -> None:
    state = {"w": np.random.default_rng(0).standard_normal(1 << 18).astype(np.float32)}
    checkpoints = Checkpoints(Path(sys.argv[0]), 2)
    checkpoints.save(1, state)
    checkpoints.close()
    (Path(sys.argv[0]) / "1/_CHECKPOINT_METADATA").write_bytes(bytes([255]))
    checkpoints = Checkpoints(Path(sys.argv[0]), 2)
    assert checkpoints.restore(state)[0] == 1
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, resource.RLIM_INFINITY))
    checkpoints.save(2, state)
    checkpoints.wait()

sys.argv = sys.argv[1:]
cli.run(main, "")
"""


@pytest.mark.slow
def test_a_command_says_one_line_and_orbax_none(tmp_path: Path) -> None:
    """Of a step's damaged description, which is not needed, and of a write that fails."""
    ended = subprocess.run(
        [sys.executable, "-c", COMMAND, tmp_path / "x"],
        cwd=Path(__file__).parents[1], capture_output=True, text=True,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout) == (1, "")
    assert re.fullmatch(r"error: .*x: saving (step 2 )?failed: .*\n", ended.stderr)


def test_a_best_step_with_a_damaged_score_is_removed(tmp_path: Path) -> None:
    with opened(tmp_path / "x", 1, best=True) as checkpoints:
        checkpoints.save(1, state(1.0), score=2.0)
    (tmp_path / "x/1/metrics/metrics").write_text("")
    said: list[str] = []
    checkpoints = Checkpoints(tmp_path / "x", 1, said.append, best=True)
    checkpoints.save(2, state(2.0), score=3.0)
    checkpoints.close()
    assert said == ["checkpoint of step 1 is damaged: its score cannot be read"]
    assert steps(tmp_path / "x") == [2]


@pytest.mark.parametrize("shape", [(5,), (3, 1000, 7), (2, (1 << 19) + 3)])
def test_devices_and_the_host_find_the_same_digest(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).standard_normal(shape, np.float32)
    in_blocks = f"float32{list(shape)} " + "".join(f"{i:08x}" for i in sums_in_blocks(x).tolist())
    assert leaf_digests({"x": on_devices(2, x)}) == {"x": in_blocks}


def test_what_is_written_a_little_at_a_time_is_read_as_any_other(tmp_path: Path) -> None:
    large = {"w": jnp.arange(2.0 * (1 << 20)).reshape(2, -1), "b": jnp.ones((2, 3), jnp.bfloat16)}
    with opened(tmp_path / "x", at_once=large["w"].nbytes, metadata=METADATA) as checkpoints:
        checkpoints.save(1, large)
        assert steps(tmp_path / "x") == [1]  # saving has waited for it
    with opened(tmp_path / "x", metadata=METADATA, read_only=True) as checkpoints:
        found = checkpoints.restore(large)
    assert found is not None
    jax.tree.map(np.testing.assert_array_equal, found[1], large)
