"""The plan of a preparation, against what the preparation comes to."""

import gzip
from pathlib import Path

import pytest

from tests.text_toy import config, make, random_lines, write_text
from xl_jax.config import Anchors, Vocab
from xl_jax.errors import InputError
from xl_jax.prepare import estimate


@pytest.mark.slow
@pytest.mark.parametrize("compressed", [False, True])
def test_a_sample_tells_the_size_of_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compressed: bool
) -> None:
    monkeypatch.setattr(estimate, "BYTES", 4000)
    lines = "\n".join(random_lines(3000, 0)).encode()
    name = "a.gz" if compressed else "a"
    (tmp_path / name).write_bytes(gzip.compress(lines, 1) if compressed else lines)
    specs = {"a": f"files:{tmp_path}/{name}", "t": "twin:a"}
    found = estimate.estimate(config(specs), processes=2)
    data = make(tmp_path, specs)
    for language in specs:
        about = found["languages"][language]
        n = data.train[language].n_tokens + data.heldout[language].n_tokens
        assert about["tokens"] == pytest.approx(n, rel=0.02 if compressed else 0.05)
        assert about["lines"] == pytest.approx(3000, rel=0.02 if compressed else 0.05)
    kept = sum(path.stat().st_size for path in data.folder.glob("*.train.*"))
    assert found["kept"] == pytest.approx(kept, rel=0.5) and found["disk"] > found["kept"]
    assert found["pieces"] == found["asked"] == 40 and 0 < found["seconds"] < 60
    assert not [x for x in tmp_path.iterdir() if x.name not in (name, "data")]


def test_copies_take_more_time_and_disk(tmp_path: Path) -> None:
    (tmp_path / "d").write_text("la mi\n")
    specs = {x: write_text(tmp_path / x, 500, 0) for x in "ab"}
    one, four = (
        estimate.estimate(
            config(specs, anchors=Anchors(f"a-b={tmp_path}/d", copies=n)), processes=1
        )
        for n in (1, 4)
    )
    assert four["kept"] > 2 * one["kept"]
    assert four["languages"]["a"]["tokens"] > 3 * one["languages"]["a"]["tokens"]


def test_a_vocabulary_too_large_for_the_sample_is_said(tmp_path: Path) -> None:
    specs = {"a": write_text(tmp_path / "a", 500, 0)}
    found = estimate.estimate(config(specs, vocab=Vocab(mode="joint", size=4000)))
    assert found["asked"] == 4000 and found["pieces"] < 4000
    assert "(tokens of a vocabulary of" in estimate.text(found)


def test_text_without_lines_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("\n \n")
    with pytest.raises(InputError, match="corpus of a, .*: no line of text"):
        estimate.estimate(config({"a": f"files:{tmp_path}/a"}))


@pytest.mark.parametrize(
    ("bytes_", "text"),
    [
        (999.0, "999 B"),
        (1e3, "1.0 kB"),
        (54_321.0, "54 kB"),
        (2.5e9, "2.5 GB"),
        (3e13, "30.0 TB"),
    ],
)
def test_sizes_in_words(bytes_: float, text: str) -> None:
    assert estimate.readable_size(bytes_) == text
