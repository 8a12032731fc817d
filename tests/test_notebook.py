"""The notebook: no outputs kept, no logic inside, and its cells run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
PATH = ROOT / "notebooks/quickstart.ipynb"
# Executes a notebook in a kernel, as another process: its event loop warns of much.
EXECUTE = """
import sys, nbformat, nbclient
book = nbformat.read(sys.argv[1], 4)
nbclient.NotebookClient(book, timeout=300, resources={"metadata": {"path": sys.argv[2]}}).execute()
nbformat.write(book, sys.argv[1])
"""
SMALLEST = {
    **dict.fromkeys(["steps", "log_every", "eval_every", "checkpoint_every"], 20),
    "corpora.en": "'synthetic:b#sentences=300,words=120,topics=4'",
    "vocab.size": 60,
    "model.layers": 2,
    "probe.sentences": 20,
    "probe.words": 20,
}


def cells(tag: str = "") -> list[str]:
    book = nbformat.read(PATH, 4)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    return [x.source for x in code if not tag or tag in x.metadata.get("tags", ())]


def test_outputs_are_stripped_and_lines_are_commands_or_show_a_figure() -> None:
    for cell in json.loads(PATH.read_text())["cells"]:
        assert not cell.get("outputs") and cell.get("execution_count") is None
    settings = cells("parameters")
    assert len(settings) == 1
    for source in cells():
        if source not in settings:
            for line in filter(None, source.split("\n")):
                assert line.startswith(("!", "%cd", "from IPython.display", "display(Image(")), line


@pytest.mark.slow
def test_every_cell_but_the_installation_runs(tmp_path: Path) -> None:
    book = nbformat.read(PATH, 4)
    book.cells = [x for x in book.cells if "setup" not in x.metadata.get("tags", ())]
    [place] = [i for i, x in enumerate(book.cells) if "parameters" in x.metadata.get("tags", ())]
    more = " ".join(f"--config.{x}={y}" for x, y in SMALLEST.items())
    ours = [f"PYTHON = {sys.executable!r}", f"RUNS = {str(tmp_path)!r}", f"MORE = {more!r}"]
    book.cells.insert(place + 1, nbformat.v4.new_code_cell("\n".join(ours)))
    nbformat.write(book, tmp_path / "book.ipynb")
    command = [sys.executable, "-c", EXECUTE, str(tmp_path / "book.ipynb"), str(ROOT)]
    environment = {
        **os.environ,
        "IPYTHONDIR": str(tmp_path),
        "JAX_PLATFORMS": "cpu",
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "cache"),  # much is the same in all commands
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    outputs = [x.get("outputs", []) for x in nbformat.read(tmp_path / "book.ipynb", 4).cells]
    shown = [y for x in outputs for y in x]
    assert sum("image/png" in x.get("data", {}) for x in shown) == 2
    text = "".join(x.get("text", "") for x in shown)
    assert text.count("word translation, P@1 %") == 2 and "error:" not in text, text[-3000:]
