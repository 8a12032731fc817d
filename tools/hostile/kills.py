"""Stages that are killed at a random moment and started again."""

import random
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from tools.hostile.stages import STAGES, Outcome, Trial, judge, results, start, to_the_end

SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
PATIENCE = 30.0  # seconds in which a program that is told to stop has to


class Reference:
    """An undisturbed run: its directory before each stage, and the results and seconds of each."""

    def __init__(self, out: Path, stages: tuple[str, ...] = STAGES):
        self.out, self.stages = out, stages
        self.folder = out / "reference"
        self.expected: dict[str, dict[str, Any]] = {}
        self.seconds: dict[str, float] = {}
        self.folder.mkdir(parents=True)
        for stage in stages:
            shutil.copytree(self.folder, self.before(stage))
            began = time.monotonic()
            code, said = to_the_end(stage, self.folder, out)
            if code:
                raise RuntimeError(f"the undisturbed {stage} failed: {said.strip()[-500:]}")
            self.seconds[stage] = time.monotonic() - began
            self.expected[stage] = results(self.folder)

    def before(self, stage: str) -> Path:
        return self.out / "before" / stage

    def copy(self, stage: str, name: str) -> Path:
        """A run directory in which `stage` has not been done."""
        return Path(shutil.copytree(self.before(stage), self.out / name))


def kill(reference: Reference, number: int, draw: random.Random) -> Trial:
    """One to three kills of one stage, then the same command to its end."""
    stage = reference.stages[number % len(reference.stages)]
    folder = reference.copy(stage, f"kill{number}")
    harms = []
    for _ in range(draw.randint(1, 3)):
        which = draw.choice(SIGNALS)
        wait = draw.uniform(0, reference.seconds[stage])
        process, began = start(stage, folder, reference.out), time.monotonic()
        try:
            process.wait(wait)
            reference.seconds[stage] = time.monotonic() - began  # compiled programs are kept
            harms.append(f"ended before {which.name}")
        except subprocess.TimeoutExpired:
            process.send_signal(which)
            harms.append(f"{which.name} after {wait:.2f} s")
        try:
            _, errors = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return Trial("kill", f"{stage}: {harms[-1]}", Outcome.LOST, "does not stop")
        if "Traceback" in errors:
            return Trial("kill", f"{stage}: {harms[-1]}", Outcome.CRASHED, errors[-500:])
    code, said = to_the_end(stage, folder, reference.out)
    outcome = Outcome.LOST if code else judge(reference.expected[stage], folder, said)
    shutil.rmtree(folder)
    return Trial("kill", f"{stage}: {', '.join(harms)}", outcome, said[-500:])


def rivals(reference: Reference, number: int, draw: random.Random) -> Trial:
    """Two programs of the same stage on one run directory."""
    stage = draw.choice([x for x in reference.stages if x != "evaluate"])
    folder = reference.copy(stage, f"rivals{number}")
    first = start(stage, folder, reference.out)
    wait = draw.uniform(0, reference.seconds[stage] / 2)
    time.sleep(wait)
    second = start(stage, folder, reference.out)
    said = [process.communicate()[1] for process in (first, second)]
    codes = (first.returncode, second.returncode)
    outcome = judge(reference.expected[stage], folder, "".join(said))
    if not (0 in codes and set(codes) <= {0, 2}):
        outcome = Outcome.LOST
    shutil.rmtree(folder)
    return Trial(
        "rivals", f"{stage}: {wait:.2f} s apart, exit codes {codes}", outcome, said[1][-300:]
    )
