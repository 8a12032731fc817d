"""Harm a small run in every way that a machine can, and see that nothing is lost or silent.

    python tools/torture.py --trials=1000 --out=runs/torture --json=results/torture.json
    python tools/torture.py --trials=30 --only=kill,rivals --out=runs/torture --seed=7
    python tools/torture.py --trials=5 --only=damage --stages=prepare,train --out=runs/torture
    python tools/torture.py --trials=1000 --out=runs/torture --part=2/3

    kill       stages (preparing, training, tuning, evaluating) are killed with SIGKILL, SIGTERM
               or SIGINT at random moments, one to three times, and started again
    damage     a file of the finished run is flipped, cut, emptied, deleted or made longer
    rivals     two programs work on one run directory at once
    disk       the disk is full before the stage is done (a tmpfs, where mounting is allowed)

Several parts may work beside one another, when the first has made the reference.
The same command again goes on where it was stopped; trials that were a fault are then made again.

Every trial ends with the same commands once more. `same`: the results are, bit by bit, those of an
undisturbed run; `told`: so too, and the harm was named; `refused`: one line names the harm. The
rest is a fault: `lost`, `silent`, `crashed` (a traceback). Exit code 1 if there is one.
"""

if __name__ == "__main__":
    from xl_jax import stopping

    stopping.listen()  # before the imports below

import argparse
import json
import random
import re
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tools.benchmarks import record
from tools.hostile.damage import check_again, damage
from tools.hostile.disk import allowed, full_disk
from tools.hostile.kills import Reference, kill, rivals
from tools.hostile.programs import hear_ctrl_c
from tools.hostile.stages import GOOD, STAGES, Outcome, Trial
from xl_jax import atomic_files, cli, quiet
from xl_jax.errors import InputError, unknown
from xl_jax.json_files import plain

KINDS: dict[str, Callable[[Reference, int, random.Random], Trial]] = {
    "damage": damage,
    "kill": kill,
    "rivals": rivals,
    "disk": full_disk,
}
SHARES = {"damage": 0.88, "kill": 0.08, "rivals": 0.02, "disk": 0.02}  # a damage is quick


def plan(trials: int, kinds: Sequence[str]) -> list[str]:
    """The kind of each trial: their shares of all, at least one each."""
    total = sum(SHARES[kind] for kind in kinds)
    counts = {kind: max(1, round(trials * SHARES[kind] / total)) for kind in kinds}
    counts[kinds[0]] += trials - sum(counts.values())
    return [kind for kind in kinds for _ in range(counts[kind])]


class Diary:
    """The trials that were made in a folder, a line each; of two of one number the later counts.

    Raises:
      InputError: the folder holds trials of another request, or something else.
    """

    def __init__(self, out: Path, request: dict[str, Any]):
        self.path = out / "trials.jsonl"
        there = self.path.exists()
        if out.exists() and not there and (not out.is_dir() or any(out.iterdir())):
            raise InputError(f"--out={out} is neither empty nor of trials")
        out.mkdir(parents=True, exist_ok=True)
        if not there:
            atomic_files.write(self.path, json.dumps(request) + "\n")
        text = self.path.read_text()
        first, *lines = text.splitlines()
        if json.loads(first) != request:
            raise InputError(f"--out={out} holds other trials: {first}")
        if not text.endswith("\n"):  # cut off
            atomic_files.write(self.path, text + "\n")
        self.made: dict[int, dict[str, Any]] = {}
        for line in lines:
            with suppress(ValueError):
                found = json.loads(line)
                self.made[found["number"]] = found

    def well(self, number: int) -> bool:
        """Whether this trial was made and was no fault."""
        return number in self.made and self.made[number]["outcome"] in GOOD

    def add(self, entry: dict[str, Any]) -> None:
        self.made[entry["number"]] = entry
        with self.path.open("a") as file:
            file.write(json.dumps(entry) + "\n")

    def faults(self) -> list[dict[str, Any]]:
        return [entry for number, entry in self.made.items() if not self.well(number)]

    def records(self) -> list[dict[str, Any]]:
        """Of each kind the numbers of trials, of kills, and of every outcome; of each commit the
        number of trials; every fault."""
        made = list(self.made.values())
        found: list[dict[str, Any]] = []
        for kind in dict.fromkeys(x["kind"] for x in made):
            of_kind = [x for x in made if x["kind"] == kind]
            outcomes = Counter(x["outcome"] for x in of_kind)
            counts = {"trials": len(of_kind), "kills": sum(x["kills"] for x in of_kind)}
            counts |= {str(x): outcomes[x] for x in Outcome}
            found += [{"kind": kind, "metric": x, "value": n} for x, n in counts.items()]
        commits = Counter(x["commit"] for x in made)
        found += [{"commit": x, "trials": n} for x, n in sorted(commits.items())]
        return found + [
            {"kind": x["kind"], "harm": x["harm"], "fault": x["outcome"]} for x in self.faults()
        ]


def make(
    diary: Diary, kinds: list[str], numbers: Sequence[int], args: argparse.Namespace, commit: str
) -> None:
    """The trials of these numbers that were not made, or were a fault."""
    out = args.out.absolute()
    if "disk" in kinds and not allowed(out):
        print("no full disk: mounting a tmpfs is not allowed here")
        kinds = [kind for kind in kinds if kind != "disk"]
    hear_ctrl_c()
    quiet.quieten()  # as in a command
    reference = Reference(out, tuple(args.stages.split(",")), commit)
    if "damage" in kinds:
        check_again(reference)
    each = plan(args.trials, kinds)
    for number in numbers:
        if diary.well(number):
            continue
        trial = KINDS[each[number]](reference, number, random.Random(f"{args.seed} {number}"))
        made = {"number": number, "kind": each[number], "commit": commit, **trial._asdict()}
        diary.add(made)
        print(f"{number + 1} {each[number]}, {trial.harm}: {trial.outcome}", flush=True)
        if trial.outcome not in GOOD:
            print("    " + " ".join(trial.said.split())[-300:], flush=True)


def main(argv: Sequence[str]) -> None:
    parser = cli.ArgumentParser(__doc__)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="decides every harm")
    parser.add_argument("--only", default=",".join(KINDS), help="kinds of harm")
    parser.add_argument("--stages", default=",".join(STAGES), help="of the run, the first ones")
    parser.add_argument("--part", default="1/1", help="I/N: every N-th trial, from the I-th on")
    parser.add_argument("--out", type=Path, required=True, help="an empty directory, or of trials")
    parser.add_argument("--report", action="store_true", help="only of trials that are made")
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
    part = re.fullmatch(r"(\d+)/(\d+)", args.part)
    if not part or not 1 <= (first := int(part[1])) <= (parts := int(part[2])):
        raise InputError(f"--part={args.part}: not I/N, with I from 1 to N")
    cli.check_folder("out", args.out)
    cli.check_file("json", args.json)
    request = {"trials": args.trials, "seed": args.seed, "kinds": kinds, "stages": stages}
    diary = Diary(args.out, plain(request))
    measurement = record.about(["python", "tools/torture.py", *argv])
    if not args.report:
        make(diary, kinds, range(first - 1, args.trials, parts), args, measurement["commit"])
    diary = Diary(args.out, plain(request))  # with what other parts have made
    for x in (records := diary.records()):
        print(", ".join(f"{name} {value}" for name, value in x.items()))
    if args.json:
        record.write(args.json, measurement, records)
    if faults := diary.faults():
        made = len(diary.made)
        raise RuntimeError(f"{len(faults)} of {made} trials lost something or were silent")


if __name__ == "__main__":
    with cli.one_line_errors():
        main(sys.argv[1:])
