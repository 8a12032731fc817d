"""What the commands have in common: --help, one-line errors and exit codes.

0 the work is done, or SIGTERM has let it save what goes on from there; 1 it failed; 2 bad input,
said in one line before any work; 130 Ctrl-C; 143 a SIGTERM with nothing to save, see `stopping`.
"""

import argparse
import errno
import os
import signal
import sys
import textwrap
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from absl import app, flags, logging

from xl_jax import quiet, stopping
from xl_jax.errors import InputError, printable, unknown

Parse = Callable[[Sequence[str]], list[str]]

flags.DEFINE_bool("traceback", False, "Of an error, show where in the program it arose.")


def define_folder(
    name: str, text: str, values: flags.FlagValues = flags.FLAGS, bucket: bool = False
) -> Any:
    """A flag that names a folder of this machine, or with `bucket` one of a bucket too."""
    made = flags.DEFINE_string(name, None, text, flag_values=values)
    flags.register_validator(name, _is_named if bucket else _is_local, flag_values=values)
    return made


def _is_named(path: str | None) -> bool:
    if path == "":
        raise flags.ValidationError("names no folder")
    return True


def _is_local(path: str | None) -> bool:
    if path and "://" in path:
        raise flags.ValidationError("cannot be in a bucket; name a folder of this machine")
    return _is_named(path)


def parse(argv: Sequence[str], values: flags.FlagValues = flags.FLAGS) -> list[str]:
    """The command line's flags. Raises InputError: an unknown flag, a bad value, or an argument
    that is no flag."""
    try:
        left = list(values(argv))
    except flags.UnrecognizedFlagError as error:
        raise unknown("flag", error.flagname, _flags(values)) from error
    except flags.Error as error:
        raise InputError(" ".join(str(error).split())) from error
    if left[1:]:
        raise InputError(f"unexpected argument {left[1]!r}: flags are written --name=value")
    return left


def run(main: Callable[[], None], doc: str, parse: Parse = parse) -> None:
    """Parse the flags and call `main`; never returns. `doc` is the text of --help."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.set_verbosity(logging.WARNING)
    quiet.quieten()
    if {"-h", "-help", "--help", "--helpshort"} & set(sys.argv[1:]):
        print(usage(doc))
        sys.exit(0)
    with one_line_errors():
        app.run(lambda _: main(), flags_parser=parse)


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Ends the program with one line on stderr and the exit code of what went wrong."""
    try:
        yield
    except InputError as error:
        _fail(f"error: {error}", 2)
    except (FloatingPointError, RuntimeError) as error:
        _fail(f"error: {error}", 1)
    except BrokenPipeError:  # `... | head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        where = "" if error.filename is None else f"{error.filename}: "
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        more = "; the same command continues when there is room" if full else ""
        _fail(f"error: {where}{error.strerror or error}{more}", 1)
    except KeyboardInterrupt as stop:
        number = next(iter(stop.args), signal.SIGINT)
        _fail(stopping.said(number), 128 + number)


class ArgumentParser(argparse.ArgumentParser):
    """For commands with a positional argument: errors are InputErrors, flags are never guessed."""

    def __init__(self, doc: str | None):
        layout = argparse.RawDescriptionHelpFormatter
        super().__init__(description=doc, formatter_class=layout, allow_abbrev=False)
        self.add_argument("--traceback", action="store_true", help="where an error arose")

    def error(self, message: str) -> Any:
        raise InputError(message)


def check_file(flag: str, path: Path | None) -> None:
    """Raises InputError: the file that `flag` names cannot be written (None: there is none)."""
    if path is None:
        return
    if path.is_dir():
        raise InputError(f"--{flag}={path} is a folder, not a file")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise InputError(f"--{flag}={path} cannot be written")


def check_folder(flag: str, path: Path) -> None:
    """Raises InputError: the folder that `flag` names cannot be made or written; makes nothing."""
    there = next(x for x in (path.absolute(), *path.absolute().parents) if x.exists())
    if not there.is_dir():
        raise InputError(f"--{flag}={path}: {there} is a file")
    if not os.access(there, os.W_OK):
        raise InputError(f"--{flag}={path}: {there} cannot be written")


def usage(doc: str) -> str:
    """The text of --help: the command's own, and its flags."""
    lines = [doc.strip(), "", "Flags:"]
    for name in _flags():
        flag = flags.FLAGS[name]
        shown = "" if flag.default in (None, [], False) else f" (default: {flag.default})"
        lines.append(f"  --{name}" if flag.boolean else f"  --{name}=VALUE")
        lines.append(textwrap.indent(textwrap.fill(f"{flag.help}{shown}", 90), " " * 6))
    return "\n".join(lines)


def _flags(values: flags.FlagValues = flags.FLAGS) -> list[str]:
    """The names of the commands' flags, without those of absl."""
    module = values.find_module_defining_flag
    return sorted(x for x in values if not str(module(x)).startswith("absl"))


def _fail(message: str, code: int) -> None:
    if "--traceback" in sys.argv:
        traceback.print_exc()
    print("\n".join(map(printable, message.splitlines())), file=sys.stderr)
    sys.exit(code)
