"""Executors of studies: what becomes of the processes and jobs that they start."""

import os
import pickle
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from tests.study_toy import runner
from xl_jax.config import python_file
from xl_jax.errors import InputError
from xl_jax.prepare.workers import cores
from xl_jax.studies import study_folder
from xl_jax.studies.executors import Local, Slurm, at_once

FAST = 0.01


def test_runs_that_go_on_together_divide_the_cores() -> None:
    if not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one core, or a system that does not tell")
    both = Barrier(2)

    def mine() -> set[int]:
        both.wait()
        return os.sched_getaffinity(0)

    executor = Local(2)
    a, b = (executor.pool.submit(mine) for _ in range(2))
    assert a.result() and b.result() and not a.result() & b.result()
    assert a.result() | b.result() == os.sched_getaffinity(0)


def test_an_accelerator_has_one_run_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    assert at_once(tmp_path) == cores()
    (tmp_path / "nvidia0").touch()
    assert at_once(tmp_path) == 1
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    assert at_once(tmp_path) == cores()


SLEEPER = """
import pathlib, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
run = pathlib.Path(sys.argv[-1].partition("=")[2])
try:
    (run / "begun").touch()
    time.sleep(60)
except KeyboardInterrupt:
    (run / "saved").touch()
    sys.exit(130)
"""


def test_ctrl_c_lets_the_children_save_and_the_study_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "train.py").write_text(SLEEPER)
    monkeypatch.setattr(python_file, "CHECKOUT", tmp_path)
    made = runner(tmp_path / "s", config=str(Path("configs/tiny.py").absolute()))

    def press(_: Any) -> None:
        if all((run.folder / "begun").exists() for run in made.runs):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made.run_all(Local(2), 2, press, seconds=FAST)
    assert all((run.folder / "saved").exists() for run in made.runs)
    states = study_folder.read(tmp_path / "s").runs
    assert [(x.state, x.stage, x.error) for x in states] == [("waiting", "", "")] * 2


SCRIPT = """
import json, pathlib, sys
run = pathlib.Path(sys.argv[-1].partition("=")[2])
if "fail" in (run / "config.json").read_text():
    sys.exit("error: it went wrong")
(run / "checkpoints" / "4000").mkdir(parents=True)
(run / "eval").mkdir()
text = json.dumps({"run": "x", "task": "perplexity", "records": []})
(run / "eval" / "perplexity.json").write_text(text)
print("records: perplexity.json")
"""


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # files it leaves
def test_jobs_of_submitit_do_the_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its executor that calls the function here; Slurm's has the same two methods."""
    pytest.importorskip("submitit")
    (tmp_path / "train.py").write_text(SCRIPT)
    monkeypatch.setattr(python_file, "CHECKOUT", tmp_path)
    made = runner(tmp_path / "s", config=str(Path("configs/tiny.py").absolute()), evaluations={})
    executor = Slurm(tmp_path / "jobs", {"timeout_min": 5}, cluster="debug")
    assert made.run_all(executor, 2, seconds=FAST) == []
    assert [x.state for x in study_folder.read(tmp_path / "s").runs] == ["done", "done"]


def test_without_slurm_or_with_wrong_options_one_line_says_so(tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    with pytest.raises(InputError, match="--executor=slurm: "):
        Slurm(tmp_path, {})
    with pytest.raises(InputError, match="--executor=slurm: .*gpu_per_node"):
        Slurm(tmp_path, {"gpu_per_node": 1}, cluster="debug")


class Jobs:
    """In the place of submitit's executor: a job a run, which `cancel` stops."""

    def __init__(self) -> None:
        self.cancelled = 0

    def submit(self, function: Any, *arguments: Any) -> "Jobs":
        return self

    def done(self) -> bool:
        return self.cancelled > 0

    def result(self) -> str:
        raise RuntimeError("a job that was cancelled has no result")

    def cancel(self) -> None:
        self.cancelled += 1


def test_ctrl_c_cancels_jobs(tmp_path: Path) -> None:
    made, jobs = runner(tmp_path, evaluations={}), Jobs()
    executor = Slurm.__new__(Slurm)
    executor.executor, executor.jobs = jobs, []

    def press(_: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made.run_all(executor, 2, press, seconds=FAST)
    assert jobs.cancelled and [x.state for x in made.states.values()] == ["waiting", "waiting"]


def test_work_can_be_sent_to_another_machine(tmp_path: Path) -> None:
    work = next(iter(runner(tmp_path).works.values()))
    assert pickle.loads(pickle.dumps(work)) == work
