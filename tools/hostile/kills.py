"""Stages that are killed at a random moment and started again."""

import json
import random
import shutil
import signal
import time
from pathlib import Path
from typing import Any

from tools.hostile.programs import Program, to_the_end
from tools.hostile.stages import STAGES, Outcome, Trial, judge, results

SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
PATIENCE = 30.0  # seconds in which a program that is told to stop has to, on a busy machine
INTERPRETER = 2.0  # seconds in which Python itself may be starting, which hears nothing yet
COLD = 4  # every so many trials programs start with all their imports


class Reference:
    """An undisturbed run: its directory before each stage, and the results and seconds of each.
    It is kept in `out`, and made again for another commit."""

    def __init__(self, out: Path, stages: tuple[str, ...] = STAGES, commit: str = ""):
        self.out, self.stages = out, stages
        self.folder, kept = out / "reference", out / "reference.json"
        self.expected: dict[str, dict[str, Any]] = {}
        self.seconds: dict[str, float] = {}
        of = {"commit": commit, "stages": list(stages)}
        if kept.exists() and (found := json.loads(kept.read_bytes()))["of"] == of:
            self.expected, self.seconds = found["expected"], found["seconds"]
            return
        kept.unlink(missing_ok=True)
        for folder in (self.folder, out / "before"):
            shutil.rmtree(folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        for stage in stages:
            shutil.copytree(self.folder, self.before(stage))
            code, said = to_the_end(stage, self.folder)
            if code:
                raise RuntimeError(f"the undisturbed {stage} failed: {said.strip()[-500:]}")
            self.expected[stage] = results(self.folder)
        for stage in stages:  # as long as it takes where its programs are compiled
            began = time.monotonic()
            to_the_end(stage, self.copy(stage, "timed"))
            self.seconds[stage] = time.monotonic() - began
        kept.write_text(json.dumps({"of": of, "expected": self.expected, "seconds": self.seconds}))

    def before(self, stage: str) -> Path:
        return self.out / "before" / stage

    def copy(self, stage: str, name: str) -> Path:
        """A run directory in which `stage` has not been done; "" the finished one."""
        folder = self.out / name
        shutil.rmtree(folder, ignore_errors=True)
        return Path(shutil.copytree(self.before(stage) if stage else self.folder, folder))


def kill(reference: Reference, number: int, draw: random.Random) -> Trial:
    """One to three kills of one stage, then the same command to its end."""
    stage = reference.stages[number % len(reference.stages)]
    cold = number // len(reference.stages) % COLD == 0
    folder = reference.copy(stage, f"kill{number}")
    harms: list[str] = []
    kills = 0

    def harm() -> str:
        return f"{stage}{' with its imports' * cold}: {', '.join(harms)}"

    for _ in range(draw.randint(1, 3)):
        which = draw.choice(SIGNALS)
        wait = draw.uniform(0, reference.seconds[stage])
        program, began = Program(stage, folder, cold), time.monotonic()
        if program.ends(wait):
            if not cold:
                reference.seconds[stage] = time.monotonic() - began
            harms.append(f"ended before {which.name}")
        else:
            program.send(which)
            kills += 1
            harms.append(f"{which.name} after {wait:.2f} s")
            if not program.ends(PATIENCE):
                program.send(signal.SIGKILL)
                program.end()
                return Trial(harm(), Outcome.LOST, "does not stop", kills)
        code, errors = program.end()
        starting = wait < INTERPRETER and (code == -which or "KeyboardInterrupt" in errors)
        if code in (0, -signal.SIGKILL) or starting:
            continue
        if "Traceback" in errors or "continue" not in errors:
            wrong = Outcome.CRASHED if errors.strip() else Outcome.SILENT
            return Trial(f"{harm()}: exit code {code}", wrong, errors[-500:], kills)
    code, said = to_the_end(stage, folder)
    outcome = Outcome.LOST if code else judge(reference.expected[stage], folder, said)
    shutil.rmtree(folder)
    return Trial(harm(), outcome, said[-500:], kills)


def rivals(reference: Reference, number: int, draw: random.Random) -> Trial:
    """Two programs of the same stage on one run directory."""
    stage = draw.choice([x for x in reference.stages if x != "evaluate"])
    folder = reference.copy(stage, f"rivals{number}")
    first = Program(stage, folder)
    wait = draw.uniform(0, reference.seconds[stage] / 2)
    time.sleep(wait)
    second = Program(stage, folder)
    (one, said), (other, more) = first.end(), second.end()
    outcome = judge(reference.expected[stage], folder, said + more)
    if not (0 in (one, other) and {one, other} <= {0, 2}):
        outcome = Outcome.LOST
    shutil.rmtree(folder)
    harm = f"{stage}: {wait:.2f} s apart, exit codes {one} and {other}"
    return Trial(harm, outcome, more[-300:])
