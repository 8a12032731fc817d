"""What the commands have in common: flags, one-line errors, exit codes.

0 the work is done; 1 it failed; 2 bad input, said in one line before any work; 130 Ctrl-C.
"""

import os
import re
import runpy
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from absl import app, flags, logging
from ml_collections import config_dict, config_flags

from xl_jax.errors import InputError, unknown

CONFIG_FILE = "configs/tiny.py"
_CONFIG = r"--?config="
CONFIG = config_flags.DEFINE_config_file(
    "config", None, "File with settings, or FILE:ARG (default: configs/tiny.py).", lock_config=True
)
WORKDIR = flags.DEFINE_string("workdir", None, "Run directory (default: runs/NAME_OF_CONFIG).")


def run(main: Callable[[], None], doc: str) -> None:
    """Parse the flags and call `main`; never returns."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.set_verbosity(logging.WARNING)  # Orbax tells every step it takes
    sys.modules["__main__"].__doc__ = doc
    try:
        app.run(lambda _: main(), flags_parser=_parse)
    except InputError as error:
        _fail(str(error), 2)
    except FloatingPointError as error:
        _fail(str(error), 1)
    except KeyboardInterrupt:
        _fail("interrupted", 130)


def workdir() -> Path:
    """--workdir, or runs/ and the config file's name."""
    if WORKDIR.value:
        return Path(WORKDIR.value)
    return Path("runs") / Path(_config_file(sys.argv)[0]).stem


def _parse(argv: Sequence[str]) -> list[str]:
    path, _ = _config_file(argv)
    if not Path(path).is_file():
        raise unknown("config file", path, map(str, Path("configs").glob("*.py")))
    if not any(re.match(_CONFIG, a) for a in argv):
        argv = [argv[0], f"--config={CONFIG_FILE}", *argv[1:]]
    try:
        return list(flags.FLAGS(argv))
    except flags.UnrecognizedFlagError as error:
        module = flags.FLAGS.find_module_defining_flag
        ours = [name for name in flags.FLAGS if "absl" not in str(module(name))]
        raise unknown("flag", error.flagname, ours) from error
    except (AttributeError, KeyError, TypeError, flags.Error, ValueError, OSError) as error:
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


def _fail(message: str, code: int) -> None:
    print(f"error: {message}" if code != 130 else message, file=sys.stderr)
    sys.exit(code)
