"""Whether this machine's accelerator computes what it should, and how fast, in one command.

    python tools/device_check.py --json=results/device_NAME.json       aims at 8 minutes on an H100
    python tools/device_check.py --smallest --json=check.json                minute sizes, any CPU
    python tools/device_check.py --only=parity,attention

    parity      loss, gradients and one update beside the CPU's
    attention   cuDNN's beside XLA's, rows of all lengths, several slots
    resume      the same bits through a checkpoint, with and without deterministic programs
    features    sentences/s           finetuning  sentences/s
    paper       the paper's step: time, share of the matmul peak, memory, beside PyTorch, masks
    small       configs/small.py: time, masks, beside PyTorch
    kernels     what the paper's step spends its time in (only by --only=kernels)

Text is random. A check that fails or breaks does not stop the next; the exit code is 1 if any did.
"""

if __name__ == "__main__":
    from xl_jax import stopping

    stopping.listen()  # before the imports below

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tools.benchmarks import record
from xl_jax import cli
from xl_jax.errors import unknown

# what costs little first: compiling for a GPU takes up to a minute a program
USUAL = ("parity", "attention", "resume", "features", "finetuning", "paper", "small")
NAMES = (*USUAL, "kernels")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The flags.

    Raises:
      InputError: an unknown flag or check, or a file that cannot be written.
    """
    parser = cli.ArgumentParser(__doc__)
    parser.add_argument("--smallest", action="store_true", help="minute sizes")
    parser.add_argument("--only", default=",".join(USUAL), help="checks, joined by commas")
    parser.add_argument("--minutes", type=float, default=8, help="no check begins after these")
    parser.add_argument("--json", type=Path, help="file to write the record to")
    args = parser.parse_args(argv)
    args.only = args.only.split(",")
    for name in args.only:
        if name not in NAMES:
            raise unknown("check", name, NAMES)
    cli.check_file("json", args.json)
    return args


def run(args: argparse.Namespace, command: Sequence[str]) -> list[record.Record]:
    """Every check, one after the other; prints and writes what was found so far after each."""
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # PyTorch needs memory too
    os.environ.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", "0.9")
    import jax

    if args.smallest:  # compiling takes longer than running
        jax.config.update("jax_disable_most_optimizations", True)

    from tools.device_checks import correctness, kernels, speed
    from tools.device_checks.programs import Check, Machine, broken

    device = jax.local_devices()[0]
    about = record.about(command, [device.device_kind])
    about["platform_version"] = device.client.platform_version.splitlines()[0]
    for name, value in about.items():
        print(f"{name}: {value}")
    machine = Machine(device, args.smallest)
    checks: dict[str, Check] = {
        "parity": correctness.parity,
        "attention": correctness.attention,
        "resume": correctness.resume,
        "paper": speed.paper_step,
        "small": speed.small_step,
        "finetuning": speed.finetuning,
        "features": speed.features,
        "kernels": kernels.kernels,
    }
    start = time.monotonic()
    found: list[record.Record] = []

    def add(new: record.Record) -> None:
        found.append(new)
        print(line(new), flush=True)
        if args.json:
            record.write(args.json, {**about, "seconds": round(time.monotonic() - start)}, found)

    for name in args.only:
        began = time.monotonic()
        if began - start > 60 * args.minutes:
            reason = f"{args.minutes:g} minutes are up"
            add({"check": name, "outcome": "skipped", "reason": reason})
            continue
        try:
            for new in checks[name](machine):
                add(new)
        except Exception as error:  # what breaks is a finding, and the next check goes on
            add(broken(name, error))
        print(f"  ({name} took {time.monotonic() - began:.0f} s)", flush=True)
    return found


def line(found: record.Record) -> str:
    """A row of the table."""
    value = f"{found['value']:.4g}" if "value" in found else ""
    against = f"{found['relation']} {found['limit']:.4g}" if "limit" in found else ""
    note = found.get("unit", "") if found["outcome"] == "measured" else found.get("reason", "")
    if "of_matmul_peak" in found:
        note += (
            f", {found['tokens_per_second']:,.0f} tokens/s, {found['of_matmul_peak']:.1%} of peak"
        )
    return f"{found['outcome']:<9}{found['check']:<46}{value:>10} {against:<12} {note}".rstrip()


def main(argv: Sequence[str]) -> int:
    args = parse(argv)
    found = run(args, ["python", "tools/device_check.py", *argv])
    outcomes = [x["outcome"] for x in found]
    counts = {x: outcomes.count(x) for x in ("pass", "fail", "error", "measured", "skipped")}
    print(", ".join(f"{n} {name}" for name, n in counts.items() if n))
    return int(counts["fail"] + counts["error"] > 0)


if __name__ == "__main__":
    with cli.one_line_errors():
        sys.exit(main(sys.argv[1:]))
