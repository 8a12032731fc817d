"""Three kills of the real trainer; `tools/crash.py --kills=20` is the long form."""

from pathlib import Path

import pytest
from test_run import config_file, small

from tools import crash
from tools.benchmarks import record


def test_three_kills_change_no_bit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert {kind for kind, _ in crash.moments(3, seed=0)} == set(crash.KINDS)
    config = config_file(tmp_path, small(tmp_path))
    counts = tmp_path / "crash.json"
    crash.main(["--kills=3", f"--out={tmp_path / 'out'}", f"--config={config}", f"--json={counts}"])
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 4 and said[-1].startswith("3 kills, ")
    assert "step 1,200, " in said[-1] and said[-1].endswith(" leaves, 0 differ")
    found = {r["metric"]: r["value"] for r in record.read(counts)["records"]}
    assert (found["kills"], found["leaves that differ at the end"]) == (3, 0)
    assert found["leaves"] > 10
