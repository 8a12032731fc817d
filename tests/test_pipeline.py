"""Text to tokens: what is in the folder, that work goes on where it was stopped, and bad input."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.text_toy import WORDS, config, make, random_lines, text_of, write_text
from xl_jax.config import Anchors, Clean, Data, Vocab
from xl_jax.errors import InputError
from xl_jax.prepare import gold, pipeline, stages
from xl_jax.prepare.prepared import Prepared
from xl_jax.tokens import shards
from xl_jax.tokens.shards import Shard
from xl_jax.tokens.special import N_SPECIAL

REPOSITORY = Path(__file__).parent.parent


@pytest.mark.parametrize("tokens", [0, 2000])
@pytest.mark.parametrize("name", ["../../x", "a b/*.[c]", "a" * 200])
def test_a_language_of_any_name_stays_in_its_folder(tmp_path: Path, name: str, tokens: int) -> None:
    text = write_text(tmp_path / "a.txt", 300, 0)
    made = {"clean": Clean(duplicates=True), "data": Data(length=16, heldout=0.1, tokens=tokens)}
    data = make(tmp_path / "1/2/3", {name: text, "twin": f"twin:{name}"}, **made)
    assert sorted(x.name for x in tmp_path.iterdir()) == ["1", "a.txt"]
    folders = [x.name for x in (tmp_path / "1/2/3/data").iterdir() if x.is_dir()]
    assert folders == [data.folder.name]
    plain = make(tmp_path / "plain", {"x": text, "twin": "twin:x"}, **made)
    kinds = ("gold", "heldout", "train", "words")
    for kind in kinds:
        ours, theirs = getattr(data, kind), getattr(plain, kind)
        assert tokens_of(ours[name]) == tokens_of(theirs["x"])
        assert tokens_of(ours["twin"]) == tokens_of(theirs["twin"])
    names = {x.name for x in plain.folder.iterdir()}
    assert names >= {f"x.{kind}.00000.tokens" for kind in kinds}


def lines_of(data: Prepared, language: str, kind: str = "train") -> list[str]:
    return [text_of(data, language, i, kind) for i in range(len(getattr(data, kind)[language]))]


def tokens_of(shard: Shard) -> list[list[int]]:
    return [line.tolist() for line in shard]


def contents(folder: Path) -> dict[str, bytes]:
    """Of all files; the times of the last verification are each folder's own."""
    return {x.name: x.read_bytes() for x in folder.iterdir() if x.name != "verified.json"}


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["joint", "union", "disjoint", "local"])
def test_tokens_are_the_text_and_no_document_is_in_two_splits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setattr(stages, "PART", 3000)
    texts = {"a": random_lines(300, 0) * 2, "b": random_lines(300, 1, [*WORDS, "xalu"])}
    for name, lines in texts.items():
        (tmp_path / name).write_text("\n".join(lines))
    specs = {name: f"files:{tmp_path}/{name}" for name in texts}
    more = {"data": Data(windows="line", length=16, heldout=0.1, test=0.2)}
    data = make(tmp_path, specs, mode, **more)
    assert len(data.train["a"].parts) > 3
    for language, lines in texts.items():
        train, heldout, test = (
            lines_of(data, language, kind) for kind in ("train", "heldout", "test")
        )
        assert sorted([*train, *heldout, *test]) == sorted(lines)
        assert train == [line for line in lines if line in {*train}]  # in order
        assert not {*train} & {*heldout} and not ({*train} | {*heldout}) & {*test}
        assert 0.05 < len({*heldout}) / 300 < 0.15 < len({*test}) / 300 < 0.25
    i = list(texts).index("b")
    np.testing.assert_array_equal(data.counts[i], data.train["b"].counts(data.vocabulary.size))
    assert data.header["languages"]["b"]["tokens"] == data.train["b"].n_tokens
    report = json.loads((data.folder / "report.json").read_text())
    assert report["vocabulary"]["mode"] == mode
    assert report["languages"]["a"]["documents"] == 600
    assert report["languages"]["a"]["test"]["lines"] == len(data.test["a"])
    shared = report["overlap"]["pairs"][0]["types"]
    assert (shared > 5) == (mode in ("joint", "union"))


def test_a_growing_text_keeps_its_held_out_documents(tmp_path: Path) -> None:
    lines = random_lines(600, 0)
    (tmp_path / "a").write_text("\n".join(lines[:200]))
    small = make(tmp_path, {"a": f"files:{tmp_path}/a"})
    (tmp_path / "b").write_text("\n".join(lines))
    large = make(tmp_path, {"a": f"files:{tmp_path}/b"})
    expected = {*lines_of(small, "a", "heldout")}
    assert {x for x in lines_of(large, "a", "heldout") if x in lines[:200]} == expected


def test_disjoint_twins_have_no_token_and_no_sentence_in_common(tmp_path: Path) -> None:
    data = make(tmp_path, {"en": write_text(tmp_path / "a.txt", 400, 0), "tw": "twin:en"})
    en, twin = data.train["en"], data.train["tw"]
    used = [np.flatnonzero(row[N_SPECIAL:]) for row in data.counts]
    assert len(used[0]) and not {*used[0]} & {*used[1]}
    assert not {*lines_of(data, "en")} & {*lines_of(data, "tw")}
    assert len(en) + len(twin) + len(data.heldout["en"]) == 400
    assert lines_of(data, "en", "gold") == lines_of(data, "tw", "gold")
    assert lines_of(data, "en", "words") == lines_of(data, "tw", "words")
    frequent = int(data.words["en"].line(0)[0])
    assert data.counts[0, frequent] == data.counts[0, N_SPECIAL:].max()


@pytest.mark.parametrize("order", ["invert", "permute,p=0.5"])
def test_a_parallel_twin_in_another_order_knows_what_aligns_with_what(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    monkeypatch.setattr(stages, "PART", 3000)
    text = write_text(tmp_path / "a.txt", 300, 0)
    data = make(tmp_path, {"en": text, "tw": f"twin:en#text=parallel,order={order}"})
    row_of = np.zeros(data.vocabulary.size, int)
    row_of[data.vocabulary.ids["en"]] = data.vocabulary.ids["tw"]
    base, twin = tokens_of(data.train["en"]), tokens_of(data.train["tw"])
    assert len(base) == len(twin) > 200
    moved = 0
    for a, b in zip(base, twin, strict=True):
        assert sorted(row_of[a]) == sorted(b)
        moved += row_of[a].tolist() != b
        if order == "invert":
            assert row_of[a][::-1].tolist() == b
    assert moved > 200
    for i in range(len(data.gold["tw"])):
        a, b, aligned = (x.line(i) for x in (data.gold["en"], data.gold["tw"], data.order["tw"]))
        np.testing.assert_array_equal(row_of[a[aligned]], b)


@pytest.mark.slow
def test_a_text_is_cut_to_the_size_of_the_smallest_by_whole_documents(tmp_path: Path) -> None:
    specs = {
        x: write_text(tmp_path / x, n, 0, WORDS[i:])
        for i, (x, n) in enumerate([("a", 300), ("b", 900)])
    }
    cut = make(tmp_path, specs, data=Data(windows="line", length=16, heldout=0.1, tokens=-1))
    whole = make(tmp_path, specs)
    a, b = (cut.train[x].n_tokens for x in ("a", "b"))
    assert a == whole.train["a"].n_tokens and a - 30 < b <= a
    kept = lines_of(cut, "b")
    assert kept == [x for x in lines_of(whole, "b") if x in {*kept}]
    assert cut.header["languages"]["b"]["tokens"] == b == cut.counts[1].sum()


@pytest.mark.parametrize("part", [1500, 1 << 20])
def test_repeated_lines_go_wherever_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    monkeypatch.setattr(stages, "PART", part)
    lines = random_lines(200, 0)
    again = [*lines, *lines[:50], "ti ti ti", *lines[150:], "ti ti ti"]
    (tmp_path / "a").write_text("\n".join(again))
    data = make(tmp_path, {"a": f"files:{tmp_path}/a"}, clean=Clean(duplicates=True))
    assert sorted(lines_of(data, "a") + lines_of(data, "a", "heldout")) == sorted(
        [*lines, "ti ti ti"]
    )
    report = json.loads((data.folder / "report.json").read_text())
    assert report["languages"]["a"]["cleaning"] == {"duplicates": 101}


@pytest.mark.slow
def test_words_are_switched_in_training_text_alone_and_differently_in_each_copy(
    tmp_path: Path,
) -> None:
    (tmp_path / "d").write_text("la lax\nmi mix\nso sox\nre rex\n")
    specs = {
        "a": write_text(tmp_path / "a", 400, 0),
        "b": write_text(tmp_path / "b", 400, 1, ["lax", "mix", "zi"]),
    }
    anchors = Anchors(f"a-b={tmp_path}/d", both=False, copies=2)
    data = make(tmp_path, specs, "joint", 60, anchors=anchors)
    plain = make(tmp_path, specs, "joint", 60)
    assert len(data.copies["a"]) == 2 and len(data.copies["b"]) == 1
    first, second = tokens_of(data.copies["a"][0]), tokens_of(data.copies["a"][1])
    assert first != second and len(first) == len(second) == len(plain.train["a"])
    foreign = sum(word.endswith("x") for line in lines_of(data, "a") for word in line.split())
    words = sum(len(line.split()) for line in lines_of(data, "a"))
    report = json.loads((data.folder / "report.json").read_text())["languages"]
    found = report["a"]["anchors"]
    assert found["words"] == 2 * words and found["coverage"] == pytest.approx(4 / 13, abs=0.02)
    assert found["expected"] == pytest.approx(0.3 * 4 / 13, abs=0.006)
    assert foreign / words == pytest.approx(found["switched"], abs=0.01)
    assert found["switched"] == pytest.approx(found["expected"], abs=0.01)
    assert report["b"]["anchors"] is None
    assert tokens_of(data.heldout["a"]) == tokens_of(plain.heldout["a"])
    assert "% switched (9." in (data.folder / "report.txt").read_text()


def test_equal_documents_get_different_words_of_the_dictionary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "PART", 3000)
    (tmp_path / "d").write_text("la\tlax\nmi\tmix\nso so\tsox\ne.g.\tx\n")
    same = "la mi so re do fa ti ka lo pe nu ga ri la mi so re do fa ti"
    (tmp_path / "a").write_text("\n".join([same] * 150 + random_lines(100, 0)))
    specs = {"a": f"files:{tmp_path}/a", "b": write_text(tmp_path / "b", 300, 1, ["lax", "mix"])}
    data = make(tmp_path, specs, "joint", 60, anchors=Anchors(f"a-b={tmp_path}/d"))
    switched = [x for x in lines_of(data, "a") if x.replace("x", "") == same]
    assert len(switched) == 150 and len({*switched}) > 5
    assert (
        "1 of 4 entries of the dictionaries can match" in (data.folder / "report.txt").read_text()
    )


@pytest.mark.slow
def test_a_synthetic_pair_comes_with_gold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gold, "SYNTHETIC_SENTENCES", 50)
    pair = {"a": "synthetic:a", "b": "synthetic:b#sentences=300,words=120,anchors=0.2,topics=4"}
    data = make(tmp_path, pair, size=120)
    assert len(data.gold["a"]) == len(data.gold["b"]) == 50
    assert len(data.words["a"]) == len(data.words["b"]) >= 100


@pytest.mark.slow
def test_the_vocabulary_learns_from_a_bounded_share_of_a_large_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "PART", 2000)
    monkeypatch.setattr(stages, "WORDS", 1000)
    read: list[int] = []
    measure = stages.measure
    monkeypatch.setattr(
        stages, "measure", lambda work, x, i: [read.append(i), measure(work, x, i)][1]
    )
    specs = {"a": write_text(tmp_path / "a", 2000, 0)}
    data = make(tmp_path, specs, vocab=Vocab(mode="disjoint", size=40, sample=1500))
    whole = make(tmp_path, specs)
    n = len(data.train["a"].parts)
    assert n > 20 and len(read) == len(range(0, n, 12)) + n
    assert len(data.train["a"]) == len(whole.train["a"])


def test_the_same_request_is_worked_on_once_and_another_anew(tmp_path: Path) -> None:
    specs = {"en": write_text(tmp_path / "a.txt", 300, 0)}
    first = make(tmp_path, specs)
    (tmp_path / "a.txt").unlink()
    again = make(tmp_path, specs)  # reading tokens needs no text
    assert tokens_of(first.train["en"]) == tokens_of(again.train["en"])
    assert [x.name for x in (tmp_path / "data").iterdir()] == [first.folder.name]
    with pytest.raises(InputError, match="no file matches"):
        make(tmp_path, specs, size=35)
    other = make(tmp_path, {"en": write_text(tmp_path / "b.txt", 300, 0)})
    assert other.folder != first.folder


@pytest.mark.slow
def test_text_that_changed_afterwards_is_told_and_its_tokens_are_kept(tmp_path: Path) -> None:
    specs = {"a": write_text(tmp_path / "a.txt", 300, 0), "t": "twin:a", "s": "synthetic:a"}
    specs["b"] = "synthetic:b#sentences=300,words=120,topics=4"

    def told() -> list[str]:
        said: list[str] = []
        data = pipeline.prepare(config(specs), tmp_path / "data", said.append)
        assert tokens_of(data.train["a"]) == tokens
        return said

    tokens = tokens_of(make(tmp_path, specs).train["a"])
    assert told() == []
    size = (tmp_path / "a.txt").stat().st_size
    with (tmp_path / "a.txt").open("a") as file:
        file.write("la\n")
    (line,) = told()
    assert f"the text of a has changed since it was prepared ({tmp_path}/a.txt: " in line
    assert f"{size:,} bytes then, {size + 3:,} now" in line
    write_text(tmp_path / "a.txt", 300, 0)
    os.utime(tmp_path / "a.txt", ns=(1, 1))
    assert "a.txt: written again, of the same size" in told()[0]


SCRIPT = """
import sys, time
from pathlib import Path
from tests.text_toy import config
from xl_jax.prepare import stages as passes
from xl_jax.prepare.workers import Processes
from xl_jax.prepare.pipeline import prepare

passes.PART = 6000
stage, specs = sys.argv[2], {"a": "files:" + sys.argv[3], "t": "twin:a"}
real = getattr(passes, stage)

def slow(*arguments):
    time.sleep(0.1)
    return real(*arguments)

setattr(passes, stage, slow)

if __name__ == "__main__":
    with Processes(2) as run:
        prepare(config(specs), Path(sys.argv[1]), run=run)
"""


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["measure", "encode"])
def test_work_goes_on_after_kill_9_and_ends_with_the_same_bytes(tmp_path: Path, stage: str) -> None:
    (tmp_path / "run.py").write_text(SCRIPT)
    write_text(tmp_path / "a.txt", 1500, 0)
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}

    def start(folder: str) -> subprocess.Popen:
        command = [sys.executable, "run.py", folder, stage, str(tmp_path / "a.txt")]
        return subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    whole = start("whole")
    killed = start("killed")
    records: list[Path] = []
    while len(records) < 3:  # of about ten
        assert killed.poll() is None, killed.stderr and killed.stderr.read()
        time.sleep(0.01)
        records = list(tmp_path.glob(f"killed/.*/records/{stage}/*.json"))
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert [x.name for x in (tmp_path / "killed").iterdir() if x.is_dir()][0].startswith(".")
    done = {x: x.stat().st_mtime_ns for x in tmp_path.glob(f"killed/.*/records/{stage}/[!.]*")}
    parts = {x.name: x.stat().st_ino for x in tmp_path.glob("killed/.*/parts/a.train.*.npy")}
    again = start("killed")
    out, errors = again.communicate(timeout=60)
    assert again.returncode == 0, errors
    assert b"going on with what" in out
    assert whole.communicate(timeout=60) and whole.returncode == 0
    (finished,) = (tmp_path / "killed").iterdir()
    (expected,) = (tmp_path / "whole").iterdir()
    assert contents(finished) == contents(expected)
    assert len(done) >= 3
    if stage == "encode":  # what was done was not done again
        kept = [name for name, inode in parts.items() if (finished / name).stat().st_ino == inode]
        assert len(kept) >= 2


def test_text_that_changed_meanwhile_is_prepared_from_the_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs = {"a": write_text(tmp_path / "a.txt", 300, 0)}
    with monkeypatch.context() as patch:
        patch.setattr(stages, "encode", fail_with(RuntimeError("stopped")))
        with pytest.raises(RuntimeError, match="stopped"):
            make(tmp_path, specs)
    write_text(tmp_path / "a.txt", 400, 1)
    data = make(tmp_path, specs)
    assert len(data.train["a"]) + len(data.heldout["a"]) == 400


def fail_with(error: Exception) -> Any:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


def test_a_full_disk_is_told_and_the_work_goes_on_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs = {"a": write_text(tmp_path / "a.txt", 300, 0)}
    with monkeypatch.context() as patch:
        full = OSError(errno.ENOSPC, "No space left on device")
        patch.setattr(shards.Writer, "add_stream", fail_with(full))
        with pytest.raises(RuntimeError, match="data: the disk is full; .*the same command contin"):
            make(tmp_path, specs)
    said: list[str] = []
    pipeline.prepare(config(specs), tmp_path / "data", said.append)
    assert said[0].startswith("going on with what")


def test_impossible_sizes_are_said_plainly_and_leave_nothing(tmp_path: Path) -> None:
    specs = {"en": write_text(tmp_path / "a.txt", 300, 0)}
    with pytest.raises(
        InputError, match=r"vocab.size = 9000 .* text of en: it gives at most \d+ bpe"
    ):
        make(tmp_path, specs, size=9000)
    with pytest.raises(InputError, match=r"vocab.size = 10 .*: its characters alone need \d+"):
        make(tmp_path, specs, size=10)
    assert not list((tmp_path / "data").iterdir())


def test_empty_and_tiny_corpora_are_errors(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("\n\n")
    with pytest.raises(InputError, match="corpus of en, .*empty.txt': no line of text"):
        make(tmp_path, {"en": f"files:{tmp_path}/empty.txt"})
    (tmp_path / "zh.txt").write_text("\n".join(random_lines(50, 0)))
    with pytest.raises(InputError, match="corpus of en, .*script=Han': no line of text"):
        make(tmp_path, {"en": f"files:{tmp_path}/zh.txt#script=Han"})
    with pytest.raises(InputError, match="too few for rows of 16 tokens"):
        make(tmp_path, {"en": write_text(tmp_path / "tiny.txt", 1, 0)}, size=20)
