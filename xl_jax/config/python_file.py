"""Python files that hold configs and studies: run, and what is wrong with them said in one line."""

import runpy
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from xl_jax.errors import InputError, unknown

CHECKOUT = Path(__file__).parents[2]


def find(kind: str, path: str) -> str:
    """The path of a file that is named from here or from the checkout; `kind` of file, for errors.

    Raises:
      InputError: there is none.
    """
    for found in (Path(path), CHECKOUT / path):
        if found.is_file():
            return str(found)
    known = [str(x.relative_to(CHECKOUT)) for x in CHECKOUT.glob("configs/*.py")]
    raise unknown(f"{kind} file", path, known)


def load(kind: str, path: str, *names: str) -> Any:
    """What the file defines as the first of `names` that it defines.

    Raises:
      InputError: it does not run (with the line), or defines none of them.
    """
    with _one_line(path):
        found = runpy.run_path(path)
    for name in names:
        if name in found:
            return found[name]
    raise InputError(f"{kind} file {path} defines no {' or '.join(names)}")


def call(path: str, function: Any, *arguments: Any) -> Any:
    """The value of a function that the file defines.

    Raises:
      InputError: it fails (with the line).
    """
    with _one_line(path):
        return function(*arguments)


@contextmanager
def _one_line(path: str) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        found = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in found if frame.filename == path]
        message = str(error)
        if isinstance(error, SyntaxError) and error.filename:
            path, lines, message = error.filename, [error.lineno], error.msg
        where = f"{path}:{lines[-1]}" if lines else path
        text = f"{type(error).__name__}: {' '.join(message.split())}"
        raise InputError(f"{where}: {text}") from error
