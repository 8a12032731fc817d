"""Pretrain a masked language model of several languages under a sharing mask, then measure it.

    python train.py                                        English and its twin, everything shared
    python train.py --config.sharing=all_private --workdir=runs/private
    python train.py --config=configs/tiny.py --config.seed=1 --workdir=runs/seed1

The run directory keeps config, tokens, checkpoints, metrics and results. The same command again
continues an unfinished run, and repeats a finished one's table. Ctrl-C and SIGTERM save first.
The mask, leaf by leaf, without training: python tools/show_mask.py --config.sharing=all_private
Several processes, one or many machines: docs/launch.md.
"""

if __name__ == "__main__":
    from xl_jax import stopping

    stopping.listen()  # before the imports below

import sys

from absl import flags

from xl_jax import cli, config_flags, mirror

config_flags.define_workdir()
PROCESSES = flags.DEFINE_string(
    "processes",
    None,
    "This process among others: HOST:PORT,NUMBER,ALL, or auto: JAX finds out (default: one process "
    "or what Slurm, a TPU slice on GKE, or xpk say).",
)
cli.define_folder("compilation_cache", "Keeps compiled programs for the next start.")
PROFILE = flags.DEFINE_integer(
    "profile",
    0,
    "Training steps of which a profiler trace is written, to profile/; whole calls are traced "
    "(config.steps_per_call), so there may be more.",
    0,
)
TRACK = flags.DEFINE_list(
    "track", [], "Trackers that get the numbers of training as well: wandb, mlflow."
)


def main() -> None:
    folder, config = config_flags.workdir(), config_flags.config()
    from xl_jax.devices import multihost

    multihost.start(PROCESSES.value, flags.FLAGS.compilation_cache)
    from xl_jax.evaluate.check import check_eval_options, check_gold
    from xl_jax.evaluate.runner import measure
    from xl_jax.pretrain.loop import pretrain
    from xl_jax.report.run import show
    from xl_jax.runs import loggers
    from xl_jax.runs.interrupt import Interrupted
    from xl_jax.runs.run_directory import start

    check_eval_options(config)
    loggers.check(TRACK.value)
    run = start(config, folder, multihost.say)
    check_gold(run)
    multihost.say(run.model.totals())
    if run.model.equal_rows:
        multihost.say(f"warning: {run.model.equal_rows}")
    try:
        pretrain(run, multihost.say, PROFILE.value, TRACK.value)
    except Interrupted as stop:
        print(stop, file=sys.stderr)
        sys.exit(stop.code)
    if multihost.several():  # measuring is one device's work
        multihost.say(f"trained; measure it: python eval.py --workdir={mirror.name(folder)}")
        return
    with run.kept():
        found = measure(run)
        show(found.records, found.title, found.figure)
    for path in found.files:
        print(f"records: {path}")


if __name__ == "__main__":
    cli.run(main, __doc__, config_flags.parse)
