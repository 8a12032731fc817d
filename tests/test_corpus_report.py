"""The report of a preparation, for people and for programs."""

import json
from pathlib import Path

import pytest

from tests.text_toy import WORDS, make, random_lines, write_text
from xl_jax.config import Clean, Data
from xl_jax.prepare import corpus_report


def test_the_report_says_what_became_of_the_text(tmp_path: Path) -> None:
    lines = random_lines(400, 0)
    bad = [b"bad \xff", b"soft\xc2\xadhyphen la", b"mi"]
    (tmp_path / "a").write_bytes("\n".join(lines).encode() + b"\n" + b"\n".join(bad) + b"\n")
    specs = {"a": f"files:{tmp_path}/a", "b": write_text(tmp_path / "b", 300, 1, WORDS[6:])}
    data = make(
        tmp_path,
        specs,
        "union",
        32,
        clean=Clean(shortest=3),
        data=Data(windows="line", length=16, heldout=0.1, test=0.1),
    )
    report = json.loads((data.folder / "report.json").read_text())
    a = report["languages"]["a"]
    assert a["bytes"] == (tmp_path / "a").stat().st_size and a["documents"] == 402
    assert a["cleaning"] == {"control": 1, "invalid_utf8": 1, "too_short": 1}
    assert a["first"] == [f"invalid_utf8 first in {tmp_path}/a: line 401"]
    assert sum(a[split]["lines"] for split in corpus_report.SPLITS) == 401
    assert a["train"]["tokens"] == data.train["a"].n_tokens == data.counts[0].sum()
    text = sum(len(x) + 1 for x in lines) * a["train"]["lines"] / 401
    assert a["bytes_per_token"] == pytest.approx(text / a["train"]["tokens"], rel=0.05)
    assert 0 < a["unknown"] < 0.01  # of "soft-hyphen"
    halves, other, between = report["domain"]
    assert halves["languages"] == ["a", "a"] and between["languages"] == ["a", "b"]
    assert halves["words"] < 0.1 < between["words"] < 1 and other["words"] < 0.1
    shown = (data.folder / "report.txt").read_text()
    assert "lines changed or dropped: 1 control, 1 invalid_utf8, 1 too_short" in shown
    assert f"invalid_utf8 first in {tmp_path}/a: line 401" in shown
    assert corpus_report.text(report) + "\n" == shown
