"""A command that is told to stop while Python cannot hear it."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
COMMAND = """
import hashlib
from xl_jax import cli

def main() -> None:
    from xl_jax.runs.interrupt import heard_at_once

    with heard_at_once():
        print("ready", flush=True)
        hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)  # as deaf as XLA's compiler

cli.run(main, "")
"""


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
def test_a_deaf_command_stops_soon(number: int, code: int, said: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND],
        cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        time.sleep(0.2)
        process.send_signal(number)
        _, errors = process.communicate(timeout=10)
    finally:
        process.kill()
    assert (process.returncode, errors) == (code, f"{said}; the same command continues\n")
