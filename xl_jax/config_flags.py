"""The flags of commands about one run: --config, --config.FIELD, --workdir; of those that fine-tune
it also --tune, --tune.FIELD."""

import re
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import config_dict, config_flags

from xl_jax import cli
from xl_jax.config import Config, from_dict
from xl_jax.config.finetune import TASKS, Tuning
from xl_jax.config.finetune import from_dict as tuning_from_dict
from xl_jax.errors import InputError, unknown

CONFIG_FILE = "configs/tiny.py"
TUNE_FILE = "configs/finetune_paper.py"
_FLAG = config_flags.DEFINE_config_file(
    "config", None, "File with settings, or FILE:ARG (default: configs/tiny.py).", lock_config=True
)
_TUNE: Any = None  # defined by the commands that fine-tune
_WORKDIR = flags.DEFINE_string("workdir", None, "Run directory (default: runs/NAME_OF_CONFIG).")


def define_tuning() -> None:
    """Adds --tune and --tune.FIELD to the command's flags."""
    global _TUNE
    text = f"File with settings of fine-tuning, or FILE:ARG (default: {TUNE_FILE}:TASK)."
    _TUNE = config_flags.DEFINE_config_file("tune", None, text, lock_config=True)


def tuning() -> Tuning:
    """The checked settings of --tune and --tune.FIELD."""
    return tuning_from_dict(_TUNE.value)


def config() -> Config:
    """The checked config of --config and --config.FIELD."""
    return from_dict(_FLAG.value)


def workdir() -> Path:
    """--workdir, or runs/ and the config file's name."""
    return Path(_WORKDIR.value or Path("runs") / Path(_file(sys.argv, "config")[0]).stem)


def parse(argv: Sequence[str]) -> list[str]:
    """The command line's flags. Raises InputError: no such file or field, or a bad value."""
    names = ["config"] if _TUNE is None else ["config", "tune"]
    argv = _with_task(argv)
    for name in names:
        path, argument = _file(argv, name)
        if not Path(path).is_file():
            raise unknown(f"{name} file", path, map(str, Path("configs").glob("*.py")))
        if not any(re.match(f"--?{name}=", a) for a in argv):
            argument = f":{argument}" if argument else ""
            argv = [argv[0], f"--{name}={path}{argument}", *argv[1:]]
    try:
        return cli.parse(argv)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _bad_flag(argv, names, error) from error


def _file(argv: Sequence[str], name: str) -> tuple[str, str]:
    """(file, argument) of the last --config or --tune flag, or the default."""
    given = [a.partition("=")[2] for a in argv if re.match(f"--?{name}=", a)]
    default = CONFIG_FILE if name == "config" else f"{TUNE_FILE}:{(_task(argv) or TASKS[0])}"
    path, _, argument = (given[-1] if given else default).partition(":")
    return path, argument


def _task(argv: Sequence[str]) -> str:
    """The fine-tuning task of --task, "" for none."""
    given = [a.partition("=")[2] for a in argv if re.match("--?task=", a)]
    return next((x for x in given if x in TASKS), "")


def _with_task(argv: Sequence[str]) -> list[str]:
    """Files of --tune=FILE have settings for every task: FILE:TASK."""
    task = _task(argv)
    bare = re.compile("--?tune=[^:]*")
    return [f"{a}:{task}" if task and bare.fullmatch(a) else a for a in argv]


def _bad_flag(argv: Sequence[str], names: Sequence[str], error: Exception) -> InputError:
    """What is wrong with the --config.x and --tune.x flags: an unknown field, or a bad value."""
    if isinstance(error, InputError):
        return error
    for name in names:
        path, argument = _file(argv, name)
        get_config = runpy.run_path(path)["get_config"]
        known = _fields(get_config(argument) if argument else get_config())
        for flag in argv:
            field = re.match(rf"--?{name}\.([\w.]+)(=|$)", flag)
            if field and field[1] not in known:
                return unknown(f"{name} field", field[1], known)
    return InputError(" ".join(str(error).split()))


def _fields(config: config_dict.ConfigDict, where: str = "") -> list[str]:
    names: list[str] = []
    for name in config:
        value = config[name]
        nested = isinstance(value, config_dict.ConfigDict)
        names += _fields(value, f"{where}{name}.") if nested else [where + name]
    return names
