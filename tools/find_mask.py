"""Which parameters do a run's languages pull the same way, and which would a mask make private?

    python train.py --config.keep_curve=True --workdir=runs/shared
    python tools/find_mask.py --workdir=runs/shared --budget=20000

At every checkpoint that is kept, the gradient of each language's held-out loss is taken, and for
each part of the model, what sharing it gives: how much the languages add to the first-order
decrease of one another's loss, over what each gives itself (Adam's scaling; the noise of gradients
taken out). 100 %: two languages agree in full. 0: they have nothing to do with each other.
Negative: they are in each other's way. Then the parts where sharing gives least are made private,
until the budget of added parameters is used, and the mask is printed as a flag of train.py.

Training costs nothing more; a checkpoint costs about as much as a step of the held-out rows. It is
a first-order estimate for the loss, not for transfer: train the mask to know.
"""

if __name__ == "__main__":
    from xl_jax import stopping

    stopping.listen()  # before the imports below

import time
from pathlib import Path
from typing import Any

from xl_jax import cli
from xl_jax.errors import InputError


def main() -> None:
    parser = cli.ArgumentParser(__doc__)
    parser.add_argument("--workdir", type=Path, required=True, help="the run directory")
    parser.add_argument("--budget", type=int, required=True, help="parameters to add")
    parser.add_argument("--rows", type=int, default=1024, help="held-out rows of a language")
    parser.add_argument(
        "--after", type=int, default=0, help="leave out checkpoints up to this step"
    )
    parser.add_argument(
        "--json", type=Path, help="write a record of every leaf, part and step here"
    )
    args = parser.parse_args()
    if args.budget < 1:
        raise InputError(f"--budget = {args.budget} adds no parameter")

    from tools.benchmarks import record
    from xl_jax.analysis import gradient_agreement as agreement
    from xl_jax.evaluate.gradients import over_training
    from xl_jax.model import sharing
    from xl_jax.rules import leaf_paths
    from xl_jax.runs.run_directory import load

    run = load(args.workdir)
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
    given = run.config.sharing
    rules = sharing.preset(given) if isinstance(given, str) else given
    mask = agreement.with_private(chosen, rules, leaf_paths(run.model.template))
    added = sum(x.size for x in chosen)
    print(f"\n{added:,} parameters added, of {args.budget:,}:")
    print(f'  --config.sharing="{mask}"')
    if args.json:
        command = f"python tools/find_mask.py --workdir={args.workdir} --budget={args.budget}"
        proposed = {"mask": [list(x) for x in mask], "added": added}
        record.write(args.json, record.about([]) | {"command": command} | proposed, records)


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
