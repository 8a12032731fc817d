"""Parse command lines as the commands themselves would, and do nothing else.

    python tests/parse_commands.py < COMMANDS > PROBLEMS

COMMANDS is a JSON list of lists: alternatives of words such as ["train.py", "--config.seed=1"].
The answer is a list of strings, "" where one of the alternatives parses. Every command line is
parsed in a fork of this process, by the program's own parser: flags, fields, values.
"""

import argparse
import contextlib
import importlib
import io
import json
import os
import re
import runpy
import sys
from collections.abc import Callable
from typing import Any

from absl import app

from xl_jax.errors import InputError

for module in ("ml_collections.config_flags", "tools.bench", "xl_jax.config"):
    importlib.import_module(module)  # what most programs import: once, before the forks


def parse_only() -> None:
    """Has absl and argparse leave as soon as the flags are read."""

    def run(main: Any, flags_parser: Callable[[list[str]], Any]) -> None:
        try:
            flags_parser(sys.argv)
        except InputError as error:
            if re.search("Missing value for flag|: write --", str(error)):  # it is only named
                raise SystemExit(0) from error
            raise
        if module := sys.modules.get("xl_jax.config_flags"):
            module.config()  # the values of the fields
            if any(word.startswith("--tune") for word in sys.argv):
                module.tuning()
        raise SystemExit(0)

    def parse_args(self: Any, *given: Any) -> None:
        _, rest = known(self, *given)
        if rest:
            self.error(f"unrecognized arguments: {' '.join(rest)}")
        raise SystemExit(0)

    known = argparse.ArgumentParser.parse_known_args
    app.run = run
    argparse.ArgumentParser.parse_args = parse_args  # type: ignore[method-assign, assignment]
    argparse.ArgumentParser.parse_known_args = parse_args  # type: ignore[method-assign, assignment]


def problem(words: list[str]) -> str:
    """What is wrong with a command line, "" for nothing."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        said, code = io.StringIO(), 1
        try:
            with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
                sys.argv = list(words)
                runpy.run_path(words[0], run_name="__main__")
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except InputError as error:
            said.write(f"error: {error}")
        except BaseException as error:
            said.write(f"{type(error).__name__}: {error}")
        text = "" if code == 0 else last_line(said.getvalue()) or f"exit code {code}"
        os.write(write, text.encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as answer:
        text = answer.read().decode()
    os.waitpid(child, 0)
    return text


def last_line(said: str) -> str:
    return said.strip().split("\n")[-1][:300]


def main() -> None:
    parse_only()
    problems = []
    for alternatives in json.load(sys.stdin):
        found: list[str] = []
        for words in alternatives:
            found.append(problem(words))
            if not found[-1]:
                break
        problems.append("" if "" in found else " / ".join(dict.fromkeys(found)))
    json.dump(problems, sys.stdout)


if __name__ == "__main__":
    main()
