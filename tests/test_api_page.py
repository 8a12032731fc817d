"""The example of docs/api.md runs, and `import xl_jax` is quick."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from stored_run import unpack

import xl_jax

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
def test_the_example_runs(tmp_path, monkeypatch, capsys):
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)
    unpack(tmp_path / "runs").rename(tmp_path / "runs" / "tiny")
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "docs/api.md", "exec"), {})
    said = capsys.readouterr().out
    assert said.startswith("('a', 'b') after 8 steps\n[")
    assert "\n(3, 16)\n" in said
    assert len(re.findall(r"^[ab] to [ab], layer [012]: \d+\.\d %$", said, re.M)) == 2 * 3
    assert Path("layers.png").stat().st_size > 10_000 and Path("layers.pdf").exists()


def test_the_surface_is_what_the_page_says():
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    for name in dir(xl_jax):
        assert re.search(rf"`(xl_jax\.)?{name}\b", text), name
        assert getattr(xl_jax, name).__name__ == name
    with pytest.raises(AttributeError, match="has no attribute 'laod'"):
        _ = xl_jax.laod


@pytest.mark.slow
def test_importing_the_package_imports_no_jax():
    program = "import sys, xl_jax; print([x for x in ('jax', 'numpy', 'absl') if x in sys.modules])"
    call = [sys.executable, "-c", program]
    done = subprocess.run(call, capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "[]\n"
