"""A command that is told to stop while Python cannot hear it."""

import ast
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from xl_jax import stopping

ROOT = Path(__file__).parents[1]
DEAF = """
import hashlib
print("ready", flush=True)
hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)
"""
SCRIPTS = ["train.py", "eval.py", *(f"tools/{x.name}" for x in (ROOT / "tools").glob("*.py"))]
COMMANDS = [x for x in sorted(SCRIPTS) if re.search(r"import .*\bcli\b", (ROOT / x).read_text())]
SIGNALS = [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]


def told_to_stop(number: int, *call: str, path: str = "") -> tuple[int, str]:
    """(exit code, stderr) of a program that gets the signal when it has said that it is ready."""
    environment = {**os.environ, "PYTHONPATH": f"{path}{os.pathsep}{ROOT}"}
    process = subprocess.Popen(
        [sys.executable, *call],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        process.send_signal(number)
        _, errors = process.communicate(timeout=10)  # of a busy machine
    finally:
        process.kill()
    return process.returncode, errors


def test_a_python_that_is_too_old_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch, pytest.raises(SystemExit, match="2"):
        patch.setattr(sys, "version_info", (3, 10, 13, "final", 0))
        stopping.listen()
    said = "error: Python 3.10.13 is too old: 3.11 or newer is needed\n"
    assert capsys.readouterr().err == said
    least = ".".join(map(str, stopping.OLDEST))
    assert f'requires-python = ">={least}"' in (ROOT / "pyproject.toml").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code", "said"), SIGNALS)
def test_while_it_imports_as_while_xla_compiles(
    number: int, code: int, said: str, tmp_path: Path
) -> None:
    (tmp_path / "absl").mkdir()
    (tmp_path / "absl/__init__.py").write_text(DEAF)
    ended = told_to_stop(number, "eval.py", "--workdir=no/such", path=str(tmp_path))
    assert ended == (code, f"{said}; the same command continues\n")


@pytest.mark.slow
def test_what_work_takes_over_is_left_to_it() -> None:
    """The first signal is the work's, the second one ends the command."""
    text = (
        "import signal, time\nfrom xl_jax import stopping\nstopping.listen()\n"
        "from xl_jax.runs.interrupt import CtrlC\n"
        "with CtrlC() as ctrl_c:\n"
        "    print('ready', flush=True)\n"
        "    while not ctrl_c.pressed: time.sleep(0.01)\n"
        "    time.sleep(0.3)\n"  # while the thread that listens looks what became of it
        "    print('saving', flush=True)\n"
        "    signal.raise_signal(signal.SIGTERM)\n"
        "    print('not reached', flush=True)\n"
    )
    assert told_to_stop(signal.SIGTERM, "-c", text) == (
        143,
        "terminated; the same command continues\n",
    )


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code", "said"), SIGNALS)
def test_work_with_children_gets_an_exception(number: int, code: int, said: str) -> None:
    text = (
        "import sys, time\nfrom xl_jax import stopping\nstopping.listen()\n"
        "from xl_jax import cli\n"
        "with cli.one_line_errors():\n"
        "    try:\n"
        "        with stopping.raised():\n"
        "            print('ready', flush=True)\n"
        "            time.sleep(60)\n"
        "    finally:\n"
        "        time.sleep(0.3)\n"  # while the thread that listens looks what became of it
        "        print('children are told', file=sys.stderr)\n"
    )
    ended = told_to_stop(number, "-c", text)
    assert ended == (code, f"children are told\n{said}; the same command continues\n")


@pytest.mark.parametrize("program", COMMANDS)
def test_every_command_listens_before_it_imports(program: str) -> None:
    statements = ast.parse((ROOT / program).read_text()).body[1:]
    assert ast.unparse(statements[0]) == (
        "if __name__ == '__main__':\n    from xl_jax import stopping\n    stopping.listen()"
    )


def test_there_are_commands() -> None:
    assert {"train.py", "eval.py", "tools/bench.py", "tools/torture.py"} <= set(COMMANDS)


LATE = """
from xl_jax import stopping
stopping.listen()
import os, signal, sys
class Late:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
late = Late()
late.itself = late  # so that it goes when the interpreter does
print("ready", flush=True)
"""


def test_a_signal_to_a_command_that_has_ended_changes_nothing() -> None:
    ended = subprocess.run([sys.executable, "-c", LATE], cwd=ROOT, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "ready\n", "")
