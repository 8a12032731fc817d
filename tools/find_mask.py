"""Which parameters do a run's languages pull the same way, and which would a mask make private?

    python train.py --config.keep_curve=True --workdir=runs/shared
    python tools/find_mask.py --workdir=runs/shared --budget=20000
    python tools/find_mask.py --workdir=runs/shared --budget=20000 --exact=3 --steps=400
    python tools/find_mask.py --workdir=runs/private --tie --exact=3

At every checkpoint that is kept, the gradient of each language's held-out loss is taken, and for
each part of the model, what sharing it gives: how much the languages add to the first-order
decrease of one another's loss, over what each gives itself (Adam's scaling; the noise of gradients
taken out). 100 %: two languages agree in full. 0: they have nothing to do with each other.
Negative: they are in each other's way. Then the parts where sharing gives least are made private,
until the budget of added parameters is used, and the mask is printed as a flag of train.py.

--exact trains: the run goes on from a checkpoint for --steps, over the same batches, as it is and
with each of so many parts private, those first where sharing gives least; held-out losses are
compared. --tie asks the opposite of a run with private parts: what it costs to give all languages
the mean of a part, to first order, and with --exact as it is, and after --steps if there are any.

A checkpoint costs about as much as a step of the held-out rows. The estimate is for the loss, not
for transfer: train the mask to know.
"""

if __name__ == "__main__":
    from xl_jax import stopping

    stopping.listen()  # before the imports below

import argparse
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xl_jax import cli, mirror
from xl_jax.errors import InputError

CALLS = 10  # of the device, where --steps says nothing


def main() -> None:
    parser = cli.ArgumentParser(__doc__)
    parser.add_argument("--workdir", required=True, help="the run directory")
    parser.add_argument("--budget", type=int, help="parameters to add")
    parser.add_argument("--tie", action="store_true", help="tie what is private instead")
    parser.add_argument("--rows", type=int, default=1024, help="held-out rows of a language")
    parser.add_argument(
        "--after", type=int, default=0, help="leave out checkpoints up to this step"
    )
    parser.add_argument("--exact", type=int, default=0, help="parts whose cost is measured")
    parser.add_argument(
        "--steps",
        type=int,
        help="steps to go on for (default: ten calls of the device; --tie: none)",
    )
    parser.add_argument(
        "--json", type=Path, help="write a record of every leaf, part and step here"
    )
    args = parser.parse_args()
    if not args.tie and args.budget is None:
        raise InputError("--budget=N: how many parameters may be added? (or --tie)")
    for name in ("budget", "exact", "steps"):
        least = int(name == "budget")
        if (value := getattr(args, name)) is not None and value < least:
            raise InputError(f"--{name} = {value}: must be at least {least}")

    from tools.benchmarks import record
    from xl_jax.runs.run_directory import load

    run = load(mirror.here(args.workdir))
    records, proposed = (tie if args.tie else untie)(run, args)
    if args.json:
        record.write(args.json, record.about(["python", *sys.argv]) | proposed, records)


def untie(run: Any, args: argparse.Namespace) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """(records of what sharing gives; the mask that is proposed), printed too."""
    from xl_jax.analysis import gradient_agreement as agreement
    from xl_jax.evaluate.gradients import over_training
    from xl_jax.rules import leaf_paths

    records: list[dict[str, Any]] = []
    steps, found = [], []
    begun = time.perf_counter()
    for step, leaves in over_training(run, args.rows):
        if step <= args.after:
            continue
        steps.append(step)
        found.append(agreement.grouped(leaves))
        for leaf in (x for x in leaves if x.size):
            own, others, cosines = leaf.decrease
            values = {"own": own, "others": others, "cosines": list(cosines)}
            records.append({"step": step, "leaf": leaf.pattern, "size": leaf.size, **values})
        print(f"step {step:,}: {time.perf_counter() - begun:.0f} s", flush=True)
    if not found:
        raise InputError(f"{args.workdir} keeps no checkpoint after step {args.after:,}")
    average = agreement.mean(found)
    for when, parts in [
        ("of all", average),
        *zip(map("step {:,}".format, steps), found, strict=True),
    ]:
        records += [
            {"part": x.pattern, "when": when, "value": 100 * x.decrease.gain} for x in parts
        ]
    chosen = agreement.propose(average, args.budget)
    print(table(steps, found, average, {x.pattern for x in chosen}))
    if args.exact:
        least = agreement.by_gain(average)[: args.exact]
        steps_on = CALLS * run.config.steps_per_call if args.steps is None else args.steps
        gains = {x.pattern: f"{100 * x.decrease.gain:.0f} %" for x in least}
        records += exact(run, args.rows, steps_on, "private", gains)
    paths = leaf_paths(run.model.template)
    mask = agreement.with_first([(x.pattern, "private") for x in chosen], rules_of(run), paths)
    added = sum(x.size for x in chosen)
    print(f"\n{added:,} parameters added, of {args.budget:,}:")
    print(f'  --config.sharing="{mask}"')
    return records, {"mask": [list(x) for x in mask], "added": added}


def tie(run: Any, args: argparse.Namespace) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """(records of what tying costs, nothing), printed too."""
    from xl_jax.analysis import gradient_agreement as agreement
    from xl_jax.evaluate.gradients import Gradients

    _, params = run.trained()
    found = agreement.ties(Gradients(run, args.rows).of_tying(params))
    if not found:
        raise InputError(f"{run.folder}: its languages share every parameter")
    width = max(len(x.pattern) for x in found) + 2
    print(f"{'to first order, nats a token':<{width}}{'parameters saved':>18}{'loss':>12}")
    for part in found:
        print(f"{part.pattern:<{width}}{part.size:>18,}{part.change:>+12.4f}")
    records = [{"part": x.pattern, "when": "first order", "value": x.change} for x in found]
    if args.exact:
        changes = {x.pattern: f"{x.change:+.4f}" for x in found[: args.exact]}
        for steps in dict.fromkeys((0, args.steps or 0)):
            records += exact(run, args.rows, steps, "shared", changes)
    return records, {}


def exact(
    run: Any, rows: int, steps: int, value: str, parts: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Records of what it costs to make each of the parts private or shared, printed as they come.
    `parts`: what the estimate says of each pattern."""
    from xl_jax.analysis import gradient_agreement as agreement
    from xl_jax.evaluate.other_masks import OtherMasks
    from xl_jax.rules import leaf_paths

    masks, paths = OtherMasks(run, steps, rows), leaf_paths(run.model.template)
    width = max(map(len, parts)) + 2
    print(f"\n{value}, {steps:,} steps on from step {masks.start:,}: held-out loss, nats a token")
    print(f"{'':<{width}}{'estimate':>10}{'cost':>10}  95 %")
    records = []
    for pattern, estimate in parts.items():
        cost = masks.cost(agreement.with_first([(pattern, value)], rules_of(run), paths))
        span = f"{cost.low:+.4f} to {cost.high:+.4f}"
        print(f"{pattern:<{width}}{estimate:>10}{cost.value:>+10.4f}  {span}", flush=True)
        when = f"{value}, {steps:,} steps on"
        records.append({"part": pattern, "when": when, **cost._asdict()})
    return records


def rules_of(run: Any) -> Any:
    from xl_jax.model import sharing

    given = run.config.sharing
    return sharing.preset(given) if isinstance(given, str) else given


def table(steps: list[int], found: Any, average: Any, private: set[str]) -> str:
    """What sharing gives by part: at up to five of the steps, and over all."""
    shown = sorted({round(i * (len(steps) - 1) / 4) for i in range(5)})
    heads = ["of all", *(f"step {steps[i]:,}" for i in shown)]
    width = max(len(x.pattern) for x in average) + 2
    lines = [
        f"{'what sharing gives, %':<{width}}{'parameters':>12}" + "".join(f"{h:>14}" for h in heads)
    ]
    for k, part in enumerate(average):
        values = [part, *(found[i][k] for i in shown)]
        cells = "".join(f"{100 * x.decrease.gain:>14.0f}" for x in values)
        mark = "  private" if part.pattern in private else ""
        lines.append(f"{part.pattern:<{width}}{part.size:>12,}{cells}{mark}")
    return "\n".join(lines)


if __name__ == "__main__":
    with cli.one_line_errors():
        main()
