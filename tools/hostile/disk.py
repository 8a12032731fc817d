"""A disk that is full before the work is done: a small tmpfs, where mounting is allowed."""

import os
import random
import shutil
import subprocess
from pathlib import Path

from tools.hostile.kills import Reference
from tools.hostile.programs import to_the_end
from tools.hostile.stages import Outcome, Trial, judge


def allowed(out: Path) -> bool:
    """Whether this process may mount a tmpfs."""
    folder = out / f"mount{os.getpid()}"
    folder.mkdir()
    try:
        return _mount(folder, "64k") and not _umount(folder)
    finally:
        folder.rmdir()


def full_disk(reference: Reference, number: int, draw: random.Random) -> Trial:
    """A stage on a disk with room for a part of what it writes; then, with room, again."""
    stage = reference.stages[number % len(reference.stages)]
    before, after = (_kilobytes(x) for x in (reference.before(stage), reference.folder))
    room = before + 64 + int(draw.uniform(0, 0.8) * max(after - before, 64))
    folder = reference.out / f"mount{number}"
    folder.mkdir(exist_ok=True)
    _umount(folder)  # of a trial that was cut off
    _mount(folder, f"{room}k")
    try:
        run = Path(shutil.copytree(reference.before(stage), folder / "run"))
        code, said = to_the_end(stage, run)
        harm = f"{stage}: {room} kB, exit code {code}"
        if "Traceback" in said:
            return Trial(harm, Outcome.CRASHED, said[-500:])
        subprocess.run(["mount", "-o", "remount,size=1g", str(folder)], check=True)
        code, more = to_the_end(stage, run)
        outcome = Outcome.LOST if code else judge(reference.expected[stage], run, more)
        return Trial(harm, outcome, (said + more)[-500:])
    finally:
        _umount(folder)
        folder.rmdir()


def _mount(folder: Path, size: str) -> bool:
    call = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    try:
        return subprocess.run(call, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def _umount(folder: Path) -> int:
    return subprocess.run(["umount", "-l", str(folder)], capture_output=True).returncode


def _kilobytes(folder: Path) -> int:
    blocks = sum(-(-x.stat().st_size // 4096) for x in folder.rglob("*") if x.is_file())
    return 4 * (blocks + sum(1 for x in folder.rglob("*")))
