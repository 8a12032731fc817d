"""How fast a training step is: against PyTorch at the same shapes, by sharing mask, and beside what
feeds it.

    python tools/bench.py step                    tokens/s of xl_jax and of three PyTorch peers
    python tools/bench.py masks                   time of a step by preset, over all_shared
    python tools/bench.py last_layer              time of a step by where that layer is computed
    python tools/bench.py gradients               time of a step by the form of kernels' gradients
    python tools/bench.py virtual                 time of a step with the cores as two devices
    python tools/bench.py operations --threads 1   time of a step by kind of operation
    python tools/bench.py compile                 seconds to compile the step, new and cached
    python tools/bench.py input                   windows/s delivered over windows/s trained on
    python tools/bench.py prepare                 MB/s of text prepared over SentencePiece's own
    python tools/bench.py finetune --steps 20     sentences/s of fine-tuning and of PyTorch's
    python tools/bench.py analysis                CSLS, features, CKA; --parts=candidates
    python tools/bench.py main_job                where the seconds of `python train.py` go
    python tools/bench.py seeds                   runs that differ in their seed, in one program
    python tools/bench.py growth                  how time and memory grow, a table an axis
    python tools/bench.py all --json              every record of results/, and the tables from them
    python tools/bench.py step --rows 8 --no-compile --json results/step.json

Programs take turns, so that a machine that drifts drifts for all; ratios are formed round by round.
Nobody else should use the machine. Figures are of the CPU; beside them stands the floor: what the
operations would take at the rate of a large matrix product, or the bytes at that of a copy.
"""

if __name__ == "__main__":
    from xl_jax import stopping

    stopping.listen()  # before the imports below

import argparse
import dataclasses
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tools.benchmarks import record
from tools.benchmarks.analysis import analysis
from tools.benchmarks.compiling import compiling
from tools.benchmarks.every import every
from tools.benchmarks.finetune import finetune
from tools.benchmarks.floor import floors
from tools.benchmarks.growth import AXES, growth
from tools.benchmarks.input import input_pipeline
from tools.benchmarks.main_job import main_job
from tools.benchmarks.operations import operations
from tools.benchmarks.pod import pod
from tools.benchmarks.prepare import prepare_text
from tools.benchmarks.seeds import seeds
from tools.benchmarks.step import gradients, last_layer, masks, step, virtual
from tools.benchmarks.torch_step import Shape
from xl_jax import cli
from xl_jax.errors import InputError, unknown

COMMANDS = {
    "step": step,
    "masks": masks,
    "last_layer": last_layer,
    "gradients": gradients,
    "virtual": virtual,
    "operations": operations,
    "compile": compiling,
    "input": input_pipeline,
    "pod": pod,
    "prepare": prepare_text,
    "finetune": finetune,
    "analysis": analysis,
    "main_job": main_job,
    "seeds": seeds,
    "growth": growth,
}
ALL = "all"


def parse(argv: Sequence[str]) -> tuple[argparse.Namespace, Shape]:
    """The command's flags and shape.

    Raises:
      InputError: an unknown command or flag, or a number that is not positive.
    """
    parser = cli.ArgumentParser(__doc__)
    parser.add_argument("command", help=", ".join((*COMMANDS, ALL)))
    for field in dataclasses.fields(Shape):
        kind = float if field.name == "dropout" else int
        parser.add_argument(f"--{field.name}", type=kind, default=field.default)
    for name, default in (("rounds", 5), ("steps", 5), ("threads", 2), ("matmul", 2048)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument(
        "--corpus_mb", type=int, default=1000, help="the larger text of `input`, `prepare`"
    )
    parser.add_argument(
        "--text", help="of `prepare`, `growth`: files of lines, NAME=GLOB;... (default: docstrings)"
    )
    parser.add_argument("--axes", default=",".join(AXES), help="of `growth`: %(default)s")
    parser.add_argument("--points", help="of the one axis of `growth`: N,N,...")
    parser.add_argument(
        "--parts", default="csls,features,cka", help="of `analysis`: these, candidates"
    )
    parser.add_argument(
        "--words",
        type=int,
        default=50_000,
        help="of each language, in `csls`; in `candidates` sentences",
    )
    parser.add_argument("--sentences", type=int, default=2000, help="of `features`")
    parser.add_argument("--no-compile", dest="compile", action="store_false")
    parser.add_argument("--presets", default="all_shared,sep_emb,sep_l1_3,sep_l1_6,all_private")
    parser.add_argument("--smallest", action="store_true", help="as little as can be, for a try")
    parser.add_argument(
        "--json",
        type=Path,
        nargs="?",
        const=Path("results"),
        help="file to write the records to; of `all` the folder",
    )
    args = parser.parse_args(argv)
    if args.command not in (*COMMANDS, ALL):
        raise unknown("command", args.command, (*COMMANDS, ALL))
    shape = Shape(**{f.name: getattr(args, f.name) for f in dataclasses.fields(Shape)})
    for name, value in vars(args).items():
        if type(value) is int and value < 1:
            raise InputError(f"--{name} {value} is not positive")
    if args.command == ALL:
        cli.check_folder("json", args.json or Path("results"))
    else:
        cli.check_file("json", args.json)
    return args, shape


def main(argv: Sequence[str]) -> None:
    args, shape = parse(argv)
    if args.command == ALL:
        every(args.json or Path("results"), args.text, args.smallest)
        return
    if hasattr(os, "sched_setaffinity"):  # XLA makes a thread for every core that it may use
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: args.threads])
    os.environ["JAX_PLATFORMS"] = "cpu"
    measurement = record.about(["python", "tools/bench.py", *argv])
    measurement |= {"threads": args.threads, "shape": dataclasses.asdict(shape)}
    for name, value in measurement.items():
        print(f"{name}: {value}")
    records = COMMANDS[args.command](args, shape) + floors(args, shape)
    if args.json:
        record.write(args.json, measurement, records)


if __name__ == "__main__":
    with cli.one_line_errors():
        main(sys.argv[1:])
