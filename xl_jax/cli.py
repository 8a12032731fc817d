"""What the commands have in common: one-line errors and exit codes.

0 the work is done; 1 it failed; 2 bad input, said in one line before any work; 130 Ctrl-C.
"""

import os
import sys
from collections.abc import Callable, Sequence

from absl import app, flags, logging

from xl_jax.errors import InputError, unknown

Parse = Callable[[Sequence[str]], list[str]]


def parse(argv: Sequence[str]) -> list[str]:
    """The command line's flags. Raises InputError: an unknown flag or a bad value."""
    try:
        return list(flags.FLAGS(argv))
    except flags.UnrecognizedFlagError as error:
        module = flags.FLAGS.find_module_defining_flag
        ours = [name for name in flags.FLAGS if "absl" not in str(module(name))]
        raise unknown("flag", error.flagname, ours) from error
    except flags.Error as error:
        raise InputError(" ".join(str(error).split())) from error


def run(main: Callable[[], None], doc: str, parse: Parse = parse) -> None:
    """Parse the flags and call `main`; never returns. `doc` is the text of --help."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.set_verbosity(logging.WARNING)  # Orbax tells every step it takes
    sys.modules["__main__"].__doc__ = doc
    try:
        app.run(lambda _: main(), flags_parser=parse)
    except InputError as error:
        _fail(f"error: {error}", 2)
    except (FloatingPointError, RuntimeError) as error:
        _fail(f"error: {error}", 1)
    except OSError as error:
        if error.filename is None or error.strerror is None:
            raise
        _fail(f"error: {error.filename}: {error.strerror}", 1)
    except KeyboardInterrupt:
        _fail("interrupted", 130)


def _fail(message: str, code: int) -> None:
    print(message, file=sys.stderr)
    sys.exit(code)
