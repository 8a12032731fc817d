"""Work in pieces: what is done is not done again, over one process or several."""

import errno
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from xl_jax import atomic_files
from xl_jax.prepare import workers
from xl_jax.prepare.workers import Piece, Processes


def square(number: int, log: str) -> int:
    with open(log, "a") as file:
        file.write(f"{number} {os.getpid()}\n")
    return number * number


def dies(number: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize("most", [1, 2])
def test_what_has_a_record_is_not_done_again(tmp_path: Path, most: int) -> None:
    log = str(tmp_path / "log")
    arguments = {f"n{i}": (i, log) for i in range(5)}
    records = tmp_path / "records"
    records.mkdir()
    (records / "n3.json").write_text("-1")  # an earlier process did it
    with Processes(most) as run:
        for _ in range(2):
            found = workers.each(square, arguments, records, run, "squares")
            assert found == {"n0": 0, "n1": 1, "n2": 4, "n3": -1, "n4": 16}
    done = [line.split() for line in Path(log).read_text().splitlines()]
    assert sorted(number for number, _ in done) == ["0", "1", "2", "4"]
    assert (str(os.getpid()) in {process for _, process in done}) == (most == 1)
    assert not list(records.glob(".*"))


def test_a_piece_that_fails_leaves_no_record(tmp_path: Path) -> None:
    piece = Piece(square, (2, str(tmp_path)), tmp_path / "r.json")  # a folder is no log
    with Processes(1) as run, pytest.raises(IsADirectoryError):
        run([piece], "squares")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_killed_worker_is_told(tmp_path: Path) -> None:
    pieces = [Piece(dies, (i,), tmp_path / f"{i}.json") for i in range(2)]
    with Processes(2) as run, pytest.raises(RuntimeError, match="deaths: a process was killed"):
        run(pieces, "deaths")


def test_files_are_whole_or_not_there(tmp_path: Path) -> None:
    atomic_files.write(tmp_path / "a", "é")
    assert json.dumps((tmp_path / "a").read_text(encoding="utf-8")) == '"\\u00e9"'
    with pytest.raises(RuntimeError), atomic_files.replacing(tmp_path / "a") as file:
        file.write(b"half")
        raise RuntimeError
    assert [(x.name, x.read_text(encoding="utf-8")) for x in tmp_path.iterdir()] == [("a", "é")]


def test_one_at_a_time_and_who_waits_says_for_whom(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    events: list[str] = []
    inside, waits = threading.Event(), threading.Event()

    def second() -> None:
        inside.wait()
        with workers.alone(
            path, tmp_path, "prepares x", lambda text: (said.append(text), waits.set())[1]
        ):
            events.append("second")

    said: list[str] = []
    thread = threading.Thread(target=second)
    thread.start()
    with workers.alone(path, tmp_path, "prepares x", said.append):
        inside.set()
        assert waits.wait(10)
        events.append("first")
    thread.join(10)
    assert events == ["first", "second"] and not path.exists()
    assert said == [f"process {os.getpid()} on {socket.gethostname()} prepares x: waiting for it"]


def test_a_process_without_a_sign_of_life_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "SECONDS_OF_SILENCE", 0.5)
    path, progress = tmp_path / "lock", tmp_path / "work"
    progress.mkdir()

    def wait() -> None:
        with workers.alone(path, progress, "prepares x", lambda _: None):
            pass

    with workers.alone(path, progress, "prepares x", lambda _: None):
        begin = time.time()
        for i in range(4):  # signs of life

            def live(i: int = i) -> None:
                (progress / str(i)).write_text("")

            threading.Timer(0.3 * i, live).start()
        message = (
            f"process {os.getpid()} on .* prepares x .*nothing has changed in {progress} for 0"
        )
        with pytest.raises(RuntimeError, match=message):
            wait()
        assert time.time() - begin > 1.3
    wait()


COMMAND = """
from xl_jax import stopping

if __name__ == "__main__":
    stopping.listen()

import os, time
from pathlib import Path
from xl_jax import cli
from xl_jax.prepare import workers

def main():
    most = int(os.environ["PROCESSES"])
    with workers.Processes(most) as run:
        pieces = [workers.Piece(time.sleep, (60,), Path(f"{i}.json")) for i in range(4)]
        print("begun", flush=True)
        run(pieces, "naps")

if __name__ == "__main__":
    cli.run(main, "")
"""


@pytest.mark.slow
@pytest.mark.parametrize("most", ["1", "2"])
@pytest.mark.parametrize(
    ("number", "code", "said"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
def test_a_command_that_is_told_to_stop_stops_at_once_and_says_so(
    tmp_path: Path, most: str, number: int, code: int, said: str
) -> None:
    (tmp_path / "command.py").write_text(COMMAND)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent), "PROCESSES": most}
    started = subprocess.Popen(
        [sys.executable, "command.py"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert started.stdout and started.stdout.readline() == "begun\n"
    time.sleep(0.5)
    begin = time.time()
    started.send_signal(number)
    _, errors = started.communicate(timeout=30)
    assert time.time() - begin < 5  # of a busy machine
    assert started.returncode == code
    assert errors == f"{said}; the same command continues\n"


@pytest.mark.slow
def test_a_call_apart_returns_its_value_or_raises_its_error() -> None:
    assert workers.apart(partial(divmod, 7, 2)) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        workers.apart(partial(divmod, 7, 0))


@pytest.mark.parametrize("values", [[], [1, 2, 3], [[1, 2], [3, 4]]])
def test_an_array_is_the_file_of_numpy(tmp_path: Path, values: list) -> None:
    array = np.array(values, np.int64)
    atomic_files.write_array(tmp_path / "a.npy", array)
    np.save(tmp_path / "b.npy", array)
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


def test_an_array_that_the_disk_refuses_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError) as refused:  # np.save's has no errno
            atomic_files.write_array(tmp_path / "a.npy", np.zeros(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert refused.value.errno == errno.EFBIG and not list(tmp_path.iterdir())
