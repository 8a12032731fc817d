"""A config from the command line: a file, fields that override it, and the list of all fields."""

import re
import sys
from collections.abc import Callable
from typing import Any

from ml_collections import config_dict

from xl_jax.config import listing, python_file
from xl_jax.config.convert import from_dict, to_config_dict
from xl_jax.config.domains import Section, options
from xl_jax.errors import InputError, unknown


class ConfigFlag:
    """--NAME=FILE or --NAME=FILE:ARGUMENT runs `get_config(ARGUMENT)` of a Python file,
    --NAME.FIELD=VALUE overrides a field of what it returns, --NAME.help lists the fields.

    Args:
      file: what stands for --NAME=FILE where it is not given.
      complete: adds what is missing to a FILE that was given.
      fixed: why no field can be overridden, for commands that only need the file's name.
    """

    def __init__(
        self,
        name: str,
        kind: type[Section],
        file: Callable[[], str],
        complete: Callable[[str], str] = str,
        text: str = "",
    ):
        self.name, self.kind, self.default, self.complete = name, kind, file, complete
        self.fixed = ""
        self.given: str | None = None
        self.fields: dict[str, str] = {}
        self.values: config_dict.ConfigDict | None = None
        self.text = f"{text} --{name}.FIELD=VALUE sets a field, --{name}.help lists all."

    def take(self, argument: str) -> bool:
        """Whether this flag is meant by an argument of the command line; it is kept.

        Raises:
          InputError: it has no value.
        """
        found = re.fullmatch(rf"--?{self.name}(\.([^=]+))?(=(.*))?", argument, re.DOTALL)
        if found is None:
            return False
        field, value = found[2], found[4]
        if field == "help":
            value = ""
        if value is None or (not field and not value):
            raise InputError(f"{argument}: write --{self.name}{found[1] or ''}=VALUE")
        if field and field != "help" and self.fixed:
            raise InputError(f"{argument}: {self.fixed}")
        if field:
            self.fields[field] = value
        else:
            self.given = value
        return True

    @property
    def file(self) -> tuple[str, str]:
        """(path, argument) of the file."""
        file = self.complete(self.given) if self.given else self.default()
        path, _, argument = file.partition(":")
        return path, argument

    def load(self) -> None:
        """Runs the file and overrides its fields; with --NAME.help prints them and exits.

        Raises:
          InputError: no such file or field, a file that does not run, a value that does not parse.
        """
        path, argument = self.file
        path = python_file.find(self.name, path)
        get_config = python_file.load(self.name, path, "get_config")
        made = python_file.call(path, get_config, *filter(None, [argument]))
        if isinstance(made, Section):
            made = to_config_dict(made)
        if not isinstance(made, config_dict.ConfigDict):
            raise InputError(
                f"{self.name} file {path}: get_config() returns no ConfigDict: {made!r}"
            )
        if "help" in self.fields:
            print(listing.listing(self.name, self.kind, from_dict(made, self.kind)))
            sys.exit(0)
        for field, text in self.fields.items():
            self._override(made, field, text)
        self.values = made

    def value(self) -> Any:
        """The checked config. Raises InputError: a value out of its domain."""
        return from_dict(self.values, self.kind)

    def _override(self, values: config_dict.ConfigDict, field: str, text: str) -> None:
        known = dict(options(self.kind))
        first, _, key = field.partition(".")
        if first in known and key and isinstance(values.get(first), config_dict.ConfigDict):
            value: Any = text  # an item of a mapping: --config.corpora.en=SPEC
        elif field in known:
            try:
                value = known[field].metadata["domain"].parse(text)
            except ValueError as error:
                wanted = known[field].metadata["domain"].text
                raise InputError(f"--{self.name}.{field}={text}: must be {wanted}") from error
        else:
            raise unknown(f"{self.name} field", field, known)
        *sections, name = field.split(".", 1) if field not in known else field.split(".")
        for section in sections:
            values = values[section]
        with values.unlocked(), values.ignore_type():
            values[name] = config_dict.ConfigDict(value) if isinstance(value, dict) else value
