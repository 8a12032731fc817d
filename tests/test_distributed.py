"""Several processes: who starts them, and that two real ones train as one does."""

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_run import config_file, small

from xl_jax import mirror
from xl_jax.config import Config, Mesh, Optim
from xl_jax.devices import multihost
from xl_jax.devices.mesh import one_device
from xl_jax.errors import InputError
from xl_jax.pretrain.loop import pretrain
from xl_jax.runs import run_directory
from xl_jax.runs.checkpoint import leaf_digests

pytestmark = pytest.mark.slow

SLURM = {"SLURM_JOB_ID": "7", "SLURM_PROCID": "1", "SLURM_STEP_NODELIST": "n[1-2]"}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({**SLURM, "SLURM_STEP_NUM_TASKS": "1"}, None),
        ({**SLURM, "SLURM_STEP_NUM_TASKS": "16"}, {}),
        ({"SLURM_NTASKS": "16"}, None),  # the batch script itself, outside srun
        ({"TPU_WORKER_HOSTNAMES": "localhost"}, None),
        ({"TPU_WORKER_HOSTNAMES": "t-0,t-1", "TPU_WORKER_ID": "0"}, {}),
        ({"TPU_WORKER_HOSTNAMES": "t-0", "MEGASCALE_NUM_SLICES": "2"}, {}),
        (
            {
                "JAX_COORDINATOR_IP": "10.0.0.1",
                "JAX_COORDINATOR_PORT": "1234",
                "NNODES": "2",
                "NODE_RANK": "1",
            },
            {"coordinator_address": "10.0.0.1:1234", "process_id": 1, "num_processes": 2},
        ),
    ],
)
def test_other_processes_are_found_in_the_environment(
    environment: dict[str, str], expected: dict | None
) -> None:
    assert multihost.detect(environment) == expected


@pytest.mark.parametrize("asked", ["", "yes", "host,0,2", "host:1,2,2", "host:1,a,2", "host:1,0"])
def test_a_bad_flag_is_one_line(asked: str) -> None:
    with pytest.raises(InputError, match=f"--processes={asked}: not auto, nor HOST:PORT,NUMBER"):
        multihost.parse(asked)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("localhost", 0))
        return found.getsockname()[1]


def processes(n: int, devices: int, *flags: str, caches: str = "") -> list[subprocess.Popen]:
    """The same command in n processes of so many devices, joined if there are several; each has a
    folder of its own in `caches` for what is in buckets."""
    port = free_port()
    started = []
    for i in range(n):
        joined = [f"--processes=localhost:{port},{i},{n}"] if n > 1 else []
        started.append(
            subprocess.Popen(
                [sys.executable, "train.py", *flags, *joined],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env={
                    **os.environ,
                    "JAX_PLATFORMS": "cpu",
                    "JAX_NUM_CPU_DEVICES": str(devices),
                    mirror.CACHE: f"{caches}/{i}",
                },
            )
        )
    return started


def finish(started: list[subprocess.Popen]) -> list[tuple[int, str, str]]:
    """(exit code, standard output, standard error) of each."""
    try:
        return [(p.returncode, *texts) for p in started for texts in [p.communicate(timeout=900)]]
    finally:
        for process in started:
            process.kill()


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    constant = Optim(lr=1e-2, schedule="constant", warmup=2)  # one program for any number of steps
    folder = tmp_path_factory.mktemp("two")
    return small(folder, mesh=Mesh(data=2), best="", eval_every=8, optim=constant)


@pytest.fixture(scope="module")
def flags(config: Config) -> list[str]:
    return [f"--config={config_file(Path(config.data.dir).parent, config)}"]


def losses(folder: Path) -> list[float]:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [record["loss"] for record in map(json.loads, lines) if "loss" in record]


def test_two_processes_share_the_rows_of_one_slot(config: Config, tmp_path: Path) -> None:
    batch = dataclasses.replace(config.batch, slots=1, accum=2)
    config = dataclasses.replace(config, mesh=Mesh(fsdp=2), batch=batch)
    one, two = tmp_path / "one", tmp_path / "two"
    flags = [f"--config={config_file(tmp_path, config)}", f"--workdir={two}"]
    done = finish(processes(2, 1, *flags))
    assert [code for code, _, _ in done] == [0, 0], done
    pretrain(run_directory.start(config, one, log=print), log=print)
    assert losses(two) == losses(one) and len(losses(one)) == 2


def test_two_processes_train_as_one_and_stop_together(
    config: Config, flags: list[str], tmp_path: Path
) -> None:
    one, two, stopped = (tmp_path / name for name in ("one", "two", "stopped"))
    first = finish(processes(2, 1, *flags, f"--workdir={two}"))
    assert [code for code, _, _ in first] == [0, 0], first
    assert (
        "2 cpu (data 2, fsdp 1, tensor 1) of 2 processes" in first[0][1]
        and "devices" not in first[1][1]
    )
    pretrain(run_directory.start(config, one, log=print), log=print)
    assert losses(two) == losses(one) and len(losses(one)) == 2
    states = [
        run_directory.restore(run_directory.load(x, log=print), one_device()) for x in (one, two)
    ]
    digests = [leaf_digests(found[1]) for found in states if found]
    assert len(digests) == 2 and digests[0] == digests[1]

    long = [f"--config.{x}" for x in ("steps=4000", "checkpoint_every=4000", "eval_every=4000")]
    both = processes(2, 1, *flags, *long, "--config.log_every=2", f"--workdir={stopped}")
    metrics = stopped / "metrics.jsonl"
    while not (metrics.exists() and metrics.stat().st_size):  # wait for the first step
        assert all(p.poll() is None for p in both), finish(both)
        time.sleep(0.05)
    both[1].send_signal(signal.SIGTERM)
    for code, _, errors in finish(both):
        assert code == 0 and "saved; the same command continues" in errors, errors
    assert len(list((stopped / "checkpoints").iterdir())) == 1


def test_what_process_0_finds_wrong_stops_the_others(flags: list[str], tmp_path: Path) -> None:
    bad = "--config.corpora.a=files:/nowhere/*.txt"
    found = finish(processes(2, 1, *flags, bad, f"--workdir={tmp_path / 'bad'}"))
    assert [code for code, _, _ in found] == [2, 2]
    assert "error: " in found[0][2] and "/nowhere/*.txt" in found[0][2]
    assert "failed in process 0, which says why" in found[1][2]
