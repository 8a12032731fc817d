"""Harm a small run in every way that a machine can, and see that nothing is lost or silent.

    python tools/torture.py --trials=1000 --out=runs/torture --json=results/torture.json
    python tools/torture.py --trials=30 --only=kill,rivals --out=runs/torture --seed=7
    python tools/torture.py --trials=5 --only=damage --stages=prepare,train --out=runs/torture

    kill       stages (preparing, training, tuning, evaluating) are killed with SIGKILL, SIGTERM
               or SIGINT at random moments, one to three times, and started again
    damage     a file of the finished run is flipped, cut, emptied, deleted or made longer
    rivals     two programs work on one run directory at once
    disk       the disk is full before the stage is done (a tmpfs, where mounting is allowed)

Every trial ends with the same commands once more. `same`: the results are, bit by bit, those of an
undisturbed run; `told`: so too, and the harm was named; `refused`: one line names the harm. The
rest is a fault: `lost`, `silent`, `crashed` (a traceback). Exit code 1 if there is one.
"""

import random
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from tools.benchmarks import record
from tools.hostile.damage import check_again, damage
from tools.hostile.disk import allowed, full_disk
from tools.hostile.kills import Reference, kill, rivals
from tools.hostile.stages import GOOD, STAGES, Trial
from xl_jax import cli
from xl_jax.errors import InputError, unknown

KINDS: dict[str, Callable[[Reference, int, random.Random], Trial]] = {
    "damage": damage,
    "kill": kill,
    "rivals": rivals,
    "disk": full_disk,
}
SHARES = {"damage": 0.85, "kill": 0.11, "rivals": 0.02, "disk": 0.02}  # a damage is quick


def plan(trials: int, kinds: Sequence[str]) -> list[str]:
    """The kind of each trial: their shares of all, at least one each."""
    total = sum(SHARES[kind] for kind in kinds)
    counts = {kind: max(1, round(trials * SHARES[kind] / total)) for kind in kinds}
    counts[kinds[0]] += trials - sum(counts.values())
    return [kind for kind in kinds for _ in range(counts[kind])]


def main(argv: Sequence[str]) -> None:
    parser = cli.ArgumentParser(__doc__)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="decides every harm")
    parser.add_argument("--only", default=",".join(KINDS), help="kinds of harm")
    parser.add_argument("--stages", default=",".join(STAGES), help="of the run, the first ones")
    parser.add_argument("--out", type=Path, required=True, help="an empty directory")
    parser.add_argument("--json", type=Path, help="file to write the record to")
    args = parser.parse_args(argv)
    kinds, stages = args.only.split(","), tuple(args.stages.split(","))
    for kind in kinds:
        if kind not in KINDS:
            raise unknown("kind of harm", kind, KINDS)
    if not stages[0] or stages != STAGES[: len(stages)]:
        raise InputError(f"--stages={args.stages}: the first of {', '.join(STAGES)}")
    if args.trials < len(kinds):
        raise InputError(f"--trials={args.trials}: at least one of each kind, {len(kinds)}")
    if args.out.exists() and (not args.out.is_dir() or any(args.out.iterdir())):
        raise InputError(f"--out={args.out} is not an empty directory")
    cli.check_folder("out", args.out)
    cli.check_file("json", args.json)
    out = args.out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    measurement = record.about(["python", "tools/torture.py", *argv])
    if "disk" in kinds and not allowed(out):
        print("no full disk: mounting a tmpfs is not allowed here")
        kinds.remove("disk")

    reference = Reference(out, stages)
    if "damage" in kinds:
        check_again(reference)
    counts: Counter[tuple[str, str]] = Counter()
    faults = []
    for number, kind in enumerate(plan(args.trials, kinds)):
        trial = KINDS[kind](reference, number, random.Random(f"{args.seed} {number}"))
        counts[kind, trial.outcome] += 1
        print(f"{number + 1} {kind}, {trial.harm}: {trial.outcome}", flush=True)
        if trial.outcome not in GOOD:
            faults.append(trial)
            print("    " + " ".join(trial.said.split())[-300:], flush=True)
    for (kind, outcome), n in sorted(counts.items()):
        print(f"{kind}: {n} {outcome}")
    if args.json:
        records = [{"kind": k, "outcome": o, "trials": n} for (k, o), n in sorted(counts.items())]
        records += [{"kind": x.kind, "harm": x.harm, "fault": x.outcome} for x in faults]
        record.write(args.json, measurement, records)
    if faults:
        raise RuntimeError(f"{len(faults)} of {args.trials} trials lost something or were silent")
    shutil.rmtree(out / "before")


if __name__ == "__main__":
    with cli.one_line_errors():
        main(sys.argv[1:])
