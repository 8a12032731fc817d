"""Every record of speed in one go, one process a benchmark, and the documents' tables from them."""

import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tools import tables
from tools.benchmarks import record
from xl_jax.errors import InputError

PROGRAM = Path(__file__).parents[1] / "bench.py"

SMALL = "--rounds=5 --steps=6 --no-compile"
ONE_CORE = f"{SMALL} --threads=1"
TINY_SHAPE = "--layers=2 --width=64 --ffn=256 --length=32"
MIDDLE_SHAPE = "--layers=4 --width=128 --ffn=512 --length=24"

# file in the folder of results -> command line of tools/bench.py
JOBS = {
    "speed_main_job.json": "main_job",
    "speed_step.json": "step --rounds=3 --steps=10",
    "speed_step_dropout.json": "step --rounds=3 --steps=10 --dropout=0.1 --no-compile",
    "speed_step_one_core.json": "step --rounds=3 --steps=10 --threads=1 --no-compile",
    "speed_step_4x128.json": f"step {MIDDLE_SHAPE} {ONE_CORE}",
    "speed_step_4x128_dropout.json": f"step {MIDDLE_SHAPE} --dropout=0.1 {ONE_CORE}",
    "speed_step_4x128_two_cores.json": f"step {MIDDLE_SHAPE} {SMALL}",
    "speed_step_2x64.json": f"step {TINY_SHAPE} {ONE_CORE}",
    "speed_step_2x64_dropout.json": f"step {TINY_SHAPE} --dropout=0.1 {ONE_CORE}",
    "speed_step_2x64_two_cores.json": f"step {TINY_SHAPE} {SMALL}",
    "speed_operations.json": "operations --steps=2 --threads=1",
    "speed_operations_4x128.json": f"operations {MIDDLE_SHAPE} --steps=6 --threads=1",
    "speed_last_layer.json": "last_layer --rounds=5 --steps=10",
    "speed_last_layer_4x128.json": f"last_layer {MIDDLE_SHAPE} --rounds=15 --steps=6",
    "speed_gradients.json": "gradients --rounds=3 --steps=4 --threads=1",
    "speed_gradients_two_cores.json": "gradients --rounds=3 --steps=4",
    "speed_gradients_4x128.json": f"gradients {MIDDLE_SHAPE} --rounds=5 --steps=6 --threads=1",
    "speed_gradients_2x64.json": f"gradients {TINY_SHAPE} --rounds=5 --steps=6 --threads=1",
    "speed_virtual.json": "virtual --rounds=3 --steps=2",
    "speed_virtual_4x128.json": f"virtual {MIDDLE_SHAPE} --rounds=5 --steps=6",
    "speed_masks.json": "masks --rounds=3 --steps=1",
    "speed_seeds.json": "seeds --rounds=6",
    "speed_compile.json": "compile --rounds=1 --presets=all_shared,sep_l1_3,all_private",
    "speed_input.json": "input --rounds=3 --steps=3 --corpus_mb=1000",
    "speed_prepare.json": "prepare --rounds=2 --corpus_mb=1000",
    "speed_finetune.json": "finetune --rounds=3 --steps=20",
    "speed_features.json": "analysis --parts=features --rounds=2",
    "speed_cka.json": "analysis --parts=cka --rounds=1",
    "speed_csls.json": "analysis --parts=csls --words=100000 --rounds=1",
    "growth_step.json": (
        "growth --axes=languages,length,vocabulary,layers --rounds=3 --steps=1"
        " --layers=4 --width=128 --ffn=512 --rows=64"
    ),
    "speed_languages.json": (
        "growth --axes=languages --points=1,16 --rounds=12 --steps=1"
        " --layers=4 --width=128 --ffn=512 --rows=64"
    ),
    "growth_text.json": "growth --axes=text",
    "growth_candidates.json": "growth --axes=candidates",
    "growth_runs.json": "growth --axes=runs",
}
SMALLEST = (
    "--smallest", "--layers=3", "--width=8", "--heads=2", "--ffn=16", "--vocab=600", "--rows=32",
    "--length=16", "--rounds=1", "--steps=1", "--matmul=64", "--corpus_mb=2", "--words=100",
    "--sentences=20", "--presets=sep_emb", "--no-compile",
)  # fmt: skip


def run_process(command: Sequence[str]) -> int:
    """The exit status."""
    return subprocess.run([sys.executable, str(PROGRAM), *command], check=False).returncode


def every(
    folder: Path,
    text: str | None = None,
    smallest: bool = False,
    do: Callable[[Sequence[str]], int] = run_process,
) -> None:
    """Runs the jobs one after the other. What each wrote waits in a hidden folder, so that all are
    of the same commit, until all are there; the same call goes on where it was stopped.

    Args:
      folder: of the records.
      text: given to `prepare` and to `growth` of the text.
      smallest: shapes as small as can be, to try the commands.

    Raises:
      InputError: some jobs failed.
    """
    waiting = folder / ".new"
    waiting.mkdir(parents=True, exist_ok=True)
    start, failed = time.monotonic(), []
    for number, (name, line) in enumerate(JOBS.items(), 1):
        words = [*shlex.split(line), *(SMALLEST if smallest else ())]
        if text and (words[0] == "prepare" or name == "growth_text.json"):
            words.append(f"--text={text}")
        command = [*words, f"--json={waiting / name}"]
        minutes = (time.monotonic() - start) / 60
        head = f"{number} of {len(JOBS)}, {minutes:.0f} min: {name}"
        if _is_done(waiting / name, command):
            print(f"{head} is there already", flush=True)
            continue
        print(f"\n{head}: {shlex.join(words)}", flush=True)
        if do(command):
            failed.append(name)
    if failed:
        raise InputError(f"failed: {', '.join(failed)}; the same command tries these again")
    for name in JOBS:
        (waiting / name).replace(folder / name)
    waiting.rmdir()
    if folder.resolve() == (tables.ROOT / "results").resolve():
        subprocess.run([sys.executable, tables.__file__], check=True)


def _is_done(path: Path, command: Sequence[str]) -> bool:
    """Whether `command` wrote it, with the code as it is now."""
    if not path.exists():
        return False
    found, wanted = record.read(path), record.about(["python", "tools/bench.py", *command])
    return all(found[x] == wanted[x] for x in ("command", "commit"))
