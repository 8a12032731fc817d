"""The flags of commands about one run: --config, --config.FIELD, --workdir."""

import re
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags
from ml_collections import config_dict, config_flags

from xl_jax import cli
from xl_jax.config import Config, from_dict
from xl_jax.errors import InputError, unknown

CONFIG_FILE = "configs/tiny.py"
_CONFIG = r"--?config="
_FLAG = config_flags.DEFINE_config_file(
    "config", None, "File with settings, or FILE:ARG (default: configs/tiny.py).", lock_config=True
)
_WORKDIR = flags.DEFINE_string("workdir", None, "Run directory (default: runs/NAME_OF_CONFIG).")


def config() -> Config:
    """The checked config of --config and --config.FIELD."""
    return from_dict(_FLAG.value)


def workdir() -> Path:
    """--workdir, or runs/ and the config file's name."""
    return Path(_WORKDIR.value or Path("runs") / Path(_config_file(sys.argv)[0]).stem)


def parse(argv: Sequence[str]) -> list[str]:
    """The command line's flags. Raises InputError: no such file or field, or a bad value."""
    path, _ = _config_file(argv)
    if not Path(path).is_file():
        raise unknown("config file", path, map(str, Path("configs").glob("*.py")))
    if not any(re.match(_CONFIG, a) for a in argv):
        argv = [argv[0], f"--config={CONFIG_FILE}", *argv[1:]]
    try:
        return cli.parse(argv)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _config_error(argv, error) from error


def _config_file(argv: Sequence[str]) -> tuple[str, str]:
    """(file, argument) of the last --config flag, or the default."""
    given = [a.partition("=")[2] for a in argv if re.match(_CONFIG, a)]
    path, _, argument = (given[-1] if given else CONFIG_FILE).partition(":")
    return path, argument


def _config_error(argv: Sequence[str], error: Exception) -> InputError:
    """What is wrong with the --config.x flags: an unknown field, or a bad value."""
    if isinstance(error, InputError):
        return error
    path, argument = _config_file(argv)
    get_config = runpy.run_path(path)["get_config"]
    known = _fields(get_config(argument) if argument else get_config())
    for flag in argv:
        field = re.match(r"--?config\.([\w.]+)(=|$)", flag)
        if field and field[1] not in known:
            return unknown("config field", field[1], known)
    return InputError(" ".join(str(error).split()))


def _fields(config: config_dict.ConfigDict, where: str = "") -> list[str]:
    names: list[str] = []
    for name in config:
        value = config[name]
        nested = isinstance(value, config_dict.ConfigDict)
        names += _fields(value, f"{where}{name}.") if nested else [where + name]
    return names
