"""Work in pieces: what is done is not done again, over one process or several."""

import json
import os
import signal
import threading
from pathlib import Path

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


def test_one_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    events: list[str] = []
    inside, waits = threading.Event(), threading.Event()

    def second() -> None:
        inside.wait()
        with workers.alone(path, waits.set):
            events.append("second")

    thread = threading.Thread(target=second)
    thread.start()
    with workers.alone(path, lambda: None):
        inside.set()
        assert waits.wait(10)
        events.append("first")
    thread.join(10)
    assert events == ["first", "second"] and not path.exists()
