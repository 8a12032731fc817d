"""The flags of commands about one run: --config=FILE, --config.FIELD=VALUE, --workdir; of those
that fine-tune also --tune=FILE, --tune.FIELD=VALUE."""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from xl_jax import cli, mirror
from xl_jax.config import Config, Tuning
from xl_jax.config.command_line import ConfigFlag
from xl_jax.config.tune_flag import tune_flag

CONFIG_FILE = "configs/tiny.py"


def _tasks() -> list[str]:
    return (flags.FLAGS["task"].value if "task" in flags.FLAGS else None) or []


_FLAGS: list[ConfigFlag] = []
CONFIG = ConfigFlag(
    "config",
    Config,
    lambda: CONFIG_FILE,
    text=f"Python file with get_config(), or FILE:ARGUMENT (default: {CONFIG_FILE}).",
)
TUNE = tune_flag(_tasks)


def _define(flag: ConfigFlag) -> None:
    _FLAGS.append(flag)
    flags.DEFINE_string(flag.name, None, flag.text)  # for --help: `parse` takes it out


_define(CONFIG)


def define_workdir() -> None:
    if "workdir" not in flags.FLAGS:  # two commands may be imported by one program
        text = "Run directory, gs://BUCKET/... too (default: runs/NAME_OF_CONFIG)."
        cli.define_folder("workdir", text, bucket=True)


def define_tuning() -> None:
    """Adds --tune and --tune.FIELD to the command's flags."""
    _define(TUNE)


def fix_config(reason: str) -> None:
    """The command takes --config=FILE for the run's name only; `reason` is said to who overrides a
    field."""
    CONFIG.fixed = reason


def config() -> Config:
    """The checked config of --config and --config.FIELD."""
    return CONFIG.value()


def tuning() -> Tuning:
    """The checked settings of --tune and --tune.FIELD."""
    return TUNE.value()


def workdir() -> Path:
    """--workdir, or runs/ and the config file's name; of a bucket the folder that mirrors it."""
    return mirror.here(flags.FLAGS.workdir or Path("runs") / Path(CONFIG.file[0]).stem)


def parse(argv: Sequence[str]) -> list[str]:
    """The command line's flags.

    Raises:
      InputError: no such flag, file or field, or a bad value.
    """
    for flag in _FLAGS:
        flag.given, flag.fields = None, {}
    given = [argv[0], *flags.FLAGS.read_flags_from_files(list(argv[1:]), force_gnu=False)]
    left = cli.parse([x for x in given if not any(flag.take(x) for flag in _FLAGS)])
    for flag in _FLAGS:
        flag.load()
    return left
