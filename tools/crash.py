"""Kill the trainer at random moments, again and again, and see that nothing is lost.

    python tools/crash.py --kills=20 --out=runs/crash     (other flags go to train.py)

Trains a short run without interruption, then the same run with `kill -9`: while it starts, while it
trains, and inside saves (as soon as a half-written checkpoint is seen). After the last kill it is
left to end. The two final states have to agree in every bit; exit code 0 only then.
"""

import argparse
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tools.benchmarks import record
from xl_jax.errors import InputError

ROOT = Path(__file__).resolve().parents[1]
SHORT = ("steps=1200", "log_every=20", "checkpoint_every=20", "eval_every=1000")
SMALL = ("probe.sentences=50", "probe.words=50")  # measuring is not what is tested
KINDS = ("starting", "training", "saving")


def command(out: Path, name: str, file: str, flags: Sequence[str]) -> list[str]:
    """The same training, in a directory of its own."""
    config = [f"--config.{x}" for x in (*SHORT, *SMALL, f"data.dir={out / 'data'}")]
    places = [f"--workdir={out / name}", f"--compilation_cache={out / 'compiled'}"]
    return [sys.executable, str(ROOT / "train.py"), f"--config={file}", *config, *places, *flags]


def half_written(folder: Path) -> bool:
    return any(folder.glob("checkpoints/*tmp*"))


def live(call: Sequence[str], folder: Path, kind: str, seconds: float) -> bool:
    """Starts the trainer and kills it `seconds` after what `kind` waits for. Returns whether that
    left a half-written checkpoint.

    Raises:
      RuntimeError: it ended before.
    """
    metrics = folder / "metrics.jsonl"
    size = metrics.stat().st_size if metrics.exists() else 0

    def trains() -> bool:
        return metrics.exists() and metrics.stat().st_size > size

    reached: dict[str, Callable[[], bool]] = {
        "starting": lambda: True,
        "training": trains,
        "saving": lambda: trains() and half_written(folder),
    }
    with (folder.parent / f"{folder.name}.log").open("a") as log:
        process = subprocess.Popen(call, stdout=log, stderr=log, cwd=ROOT)
    try:
        while not reached[kind]():
            if process.poll() is not None:
                raise RuntimeError(f"the trainer ended before it was killed while {kind}")
            time.sleep(0.001)
        time.sleep(seconds)
        if process.poll() is not None:
            raise RuntimeError(f"the trainer ended before it was killed while {kind}")
    finally:
        process.kill()
        process.wait()
    return half_written(folder)


def moments(kills: int, seed: int) -> Iterator[tuple[str, float]]:
    """(kind, seconds to wait) of every kill: each kind in turn."""
    draw = random.Random(seed)
    longest = {"starting": 8.0, "training": 1.0, "saving": 0.02}
    for i in range(kills):
        kind = KINDS[(i + 1) % len(KINDS)]
        yield kind, draw.uniform(0, longest[kind])


def final_digests(folder: Path) -> tuple[int, dict[str, str]]:
    """(step, digest of every leaf) of a run's newest state, its content verified."""
    from xl_jax.devices.mesh import one_device
    from xl_jax.runs import run_directory
    from xl_jax.runs.checkpoint import leaf_digests

    found = run_directory.restore(run_directory.load(folder), one_device())
    assert found is not None
    return found[0], leaf_digests(found[1])


def main(argv: Sequence[str]) -> None:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="an empty directory")
    parser.add_argument("--config", default="configs/tiny.py")
    parser.add_argument("--json", type=Path, help="file to write the counts to")
    args, flags = parser.parse_known_args(argv)
    if args.out.exists() and any(args.out.iterdir()):
        raise InputError(f"--out={args.out} is not empty")
    out = args.out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    measurement = record.about(["python", "tools/crash.py", *argv])

    def to_the_end(name: str) -> None:
        call = command(out, name, args.config, flags)
        with (out / f"{name}.log").open("a") as log:
            if subprocess.run(call, cwd=ROOT, stdout=log, stderr=log).returncode:
                raise RuntimeError(f"the trainer failed, see {out / name}.log")

    to_the_end("whole")
    killed, folder = command(out, "killed", args.config, flags), out / "killed"
    folder.mkdir()
    left: Counter[str] = Counter()
    for i, (kind, seconds) in enumerate(moments(args.kills, args.seed), 1):
        half = live(killed, folder, kind, seconds)
        left[kind] += half
        steps = sorted(int(x.name) for x in folder.glob("checkpoints/*") if x.name.isdecimal())
        print(f"kill {i}, {kind}: steps on disk {steps}{', one half-written' * half}", flush=True)
    to_the_end("killed")

    expected, found = final_digests(out / "whole"), final_digests(folder)
    damaged = (out / "killed.log").read_text().count("is damaged")
    wrong = [path for path, digest in expected[1].items() if found[1].get(path) != digest]
    print(
        f"{args.kills} kills, {sum(left.values())} of them left a half-written checkpoint "
        f"({dict(left)}), {damaged} restores met a damaged one; step {found[0]:,}, "
        f"{len(expected[1])} leaves, {len(wrong)} differ"
    )
    if args.json:
        counts = {
            "kills": args.kills,
            "half-written checkpoints left": sum(left.values()),
            "damaged checkpoints met": damaged,
            "leaves": len(expected[1]),
            "leaves that differ at the end": len(wrong),
        }
        records = [{"metric": name, "value": n} for name, n in counts.items()]
        record.write(args.json, measurement, records)
    if found[0] != expected[0] or wrong:
        raise RuntimeError(f"the states differ: {', '.join(wrong[:5])}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (InputError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, InputError) else 1)
