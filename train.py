"""Pretrain a masked language model of several languages under a sharing mask, then measure it.

    python train.py                                        English and its twin, everything shared
    python train.py --config.sharing=all_private --workdir=runs/private
    python train.py --config=configs/tiny.py --config.seed=1 --workdir=runs/seed1

The run directory keeps config, tokens, checkpoints, metrics and results. The same command again
continues an unfinished run, and repeats a finished one's table.
"""

import sys

from xl_jax import cli, config_flags


def main() -> None:
    from xl_jax.pretrain import Interrupted, pretrain
    from xl_jax.report.show import show
    from xl_jax.rundir import start

    run = start(config_flags.config(), config_flags.workdir())
    print(run.model.describe())
    try:
        pretrain(run)
    except Interrupted as stop:
        print(stop, file=sys.stderr)
        sys.exit(130)
    show(run)


if __name__ == "__main__":
    cli.run(main, __doc__, config_flags.parse)
