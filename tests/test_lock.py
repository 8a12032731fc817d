"""One trainer a run directory; a dead one is in nobody's way."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from xl_jax.errors import InputError
from xl_jax.runs import lock


def test_a_second_trainer_is_told_who_the_first_is(tmp_path: Path) -> None:
    with lock.training(tmp_path):
        told = rf"process {os.getpid()} on {socket.gethostname()} \(since .*\) trains this run"
        with pytest.raises(InputError, match=told), lock.training(tmp_path):
            pass
        with pytest.raises(InputError, match=told):
            lock.check(tmp_path)
    lock.check(tmp_path)
    with lock.training(tmp_path):
        pass


@pytest.mark.slow
def test_a_killed_trainer_keeps_nothing(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from xl_jax.runs import lock\n"
        "with lock.training(Path(sys.argv[1])):\n print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"held\n"
    with pytest.raises(InputError, match=f"process {process.pid} on "):
        lock.check(tmp_path)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    with lock.training(tmp_path):
        pass


@pytest.mark.parametrize(
    ("host", "age", "free"),
    [("elsewhere", 0, False), ("elsewhere", 2 * lock.DEAD, True), (socket.gethostname(), 0, True)],
)
def test_a_trainer_of_another_host_lives_as_long_as_it_touches_its_lock(
    tmp_path: Path, host: str, age: float, free: bool
) -> None:
    path = tmp_path / lock.NAME
    path.write_text(json.dumps({"host": host, "process": 7, "since": "2026-01-01 00:00:00"}))
    os.utime(path, (time.time() - age,) * 2)
    if free:
        with lock.training(tmp_path):
            pass
    else:
        with pytest.raises(InputError, match="process 7 on elsewhere"), lock.training(tmp_path):
            pass


def test_a_trainer_touches_its_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "BEAT", 0.01)
    with lock.training(tmp_path):
        os.utime(tmp_path / lock.NAME, (0, 0))
        for _ in range(1000):
            if (tmp_path / lock.NAME).stat().st_mtime:
                break
            time.sleep(0.01)
        assert (tmp_path / lock.NAME).stat().st_mtime > 0


def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / lock.NAME).symlink_to(tmp_path / "other")
    with pytest.raises(InputError, match="trainer.lock is a link"), lock.training(tmp_path):
        pass
    assert not (tmp_path / "other").exists()
