"""Train and measure every run of a study.

    python tools/run_study.py --config=configs/table1.py:tiny
    python tools/run_study.py --config=configs/table1.py:tiny --dry_run    what would run, and cost
    python tools/run_study.py ... --executor=slurm --slurm=gpus_per_node=1,timeout_min=600
    python tools/run_study.py ... --prepare          only the tokens of all runs
    python tools/run_study.py ... --adopt=FOLDER     take run directories that were made elsewhere

The same command again continues: what is finished is kept, what is not goes on where it stopped. A
study can grow: with another seed, row or evaluation in its file only what is new is done. How to
write one: docs/studies.md.
"""

if __name__ == "__main__":
    from xl_jax import stopping

    stopping.listen()  # before the imports below

import shlex
import sys
from pathlib import Path

from absl import flags

from xl_jax import cli, stopping
from xl_jax.errors import InputError, printable

CONFIG = flags.DEFINE_string(
    "config", "configs/table1.py:tiny", "File with STUDY or get_study(), or FILE:ARGUMENT."
)
cli.define_folder("out", "The study's folder (default: studies/ and the names in --config).")
EXECUTOR = flags.DEFINE_enum("executor", "local", ["local", "slurm"], "Where the runs are done.")
PARALLEL = flags.DEFINE_integer(
    "parallel",
    None,
    "Runs at a time (default: one a core, one alone on an accelerator, 100 jobs of Slurm).",
    lower_bound=1,
)
SLURM = flags.DEFINE_list("slurm", [], "Options of a job as submitit names them: NAME=VALUE,...")
cli.define_folder("adopt", "Only take finished run directories of the study from this folder.")
PREPARE = flags.DEFINE_bool(
    "prepare", False, "Make the tokens of all runs and end: the rest needs no text and no network."
)
DRY_RUN = flags.DEFINE_bool("dry_run", False, "Say what would run and what it costs; run nothing.")


def main() -> None:
    from xl_jax.studies.study import load_study

    jobs = check_flags()
    study = load_study(CONFIG.value)  # before JAX is imported
    from xl_jax.studies.check import check
    from xl_jax.studies.executors import Executor, Local, Slurm, at_once
    from xl_jax.studies.progress import Progress, name
    from xl_jax.studies.runner import Runner, alone

    out = Path(flags.FLAGS.out or Path("studies") / default_name(CONFIG.value))
    cli.check_folder("out", out)
    parallel = PARALLEL.value or (at_once() if EXECUTOR.value == "local" else 100)
    command = shlex.join(["python", *sys.argv])
    runner = Runner(study, out, CONFIG.value, command)
    check(study, runner.unfinished())
    if DRY_RUN.value:
        from xl_jax.studies.cost import estimate

        print(printable_lines(estimate(runner, parallel)))
        return
    with alone(out):
        if flags.FLAGS.adopt:
            from xl_jax.studies.adopt import adopt

            count = adopt(runner, Path(flags.FLAGS.adopt))
            runner = Runner(study, out, CONFIG.value, command)
            runner.write()
            left = len(runner.unfinished())
            print(f"{count} runs adopted, {left} left to do: the same command without --adopt")
            return
        executor: Executor = Local(parallel)
        if EXECUTOR.value == "slurm" and not PREPARE.value:
            executor = Slurm(out / "slurm", jobs)
        runner.write()
        runner.prepare()
        if PREPARE.value:
            count = len(runner.unfinished())
            print(f"the tokens of {count} runs are in {out}: the same command without --prepare")
            return
        with stopping.raised(), Progress(out, parallel) as progress:
            failed = runner.run_all(executor, parallel, progress.show)
    print(progress.summary(list(runner.states.values())))
    for state in failed:
        print(printable(f"{name(state)} failed: {state.error}; log {progress.log(state)}"))
    print(f"report: python tools/report.py --study={shlex.quote(str(out))}")
    if failed:
        raise RuntimeError(f"{len(failed)} of {len(runner.runs)} runs failed")


def check_flags() -> dict[str, object]:
    """The options of --slurm. Raises InputError: flags that do not go together."""
    ends = {
        "--dry_run": DRY_RUN.value, "--adopt": flags.FLAGS.adopt, "--prepare": PREPARE.value,
    }  # fmt: skip
    given = [name for name, value in ends.items() if value]
    if len(given) > 1:
        raise InputError(f"{' and '.join(given)}: each ends the command; give one")
    if SLURM.value and EXECUTOR.value != "slurm":
        raise InputError(f"--slurm={','.join(SLURM.value)}: give --executor=slurm too")
    return slurm_options(SLURM.value)


def printable_lines(text: str) -> str:
    return "\n".join(map(printable, text.splitlines()))


def default_name(config: str) -> str:
    """A folder name for FILE or FILE:ARGUMENT."""
    from xl_jax.file_names import file_name

    file, _, argument = config.partition(":")
    return file_name("-".join(filter(None, [Path(file).stem, argument.replace(",", "-")])))


def slurm_options(given: list[str]) -> dict[str, object]:
    """NAME=VALUE, whole numbers as such. Raises InputError: not of that form."""
    options: dict[str, object] = {}
    for item in given:
        name, found, value = item.partition("=")
        if not found:
            raise InputError(f"--slurm: {item!r} is not NAME=VALUE")
        options[name] = int(value) if value.isdecimal() else value
    return options


if __name__ == "__main__":
    cli.run(main, __doc__)
