"""A study: rows x pairs x seeds of one config file, what is measured of each run, and what is
expected of it."""

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xl_jax.analysis.expected import Expected
from xl_jax.config import Config, python_file
from xl_jax.config.command_line import ConfigFlag
from xl_jax.config.domains import integer, several
from xl_jax.errors import InputError, unknown

Flags = Sequence[str]  # --config.FIELD=VALUE, or --config=FILE:ARGUMENT
OWN = {"seed": "seeds", "data.dir": "the study's folder"}  # fields that a study sets itself


@dataclass(frozen=True)
class Study:
    """What is run: every row with every pair and every seed, on one config file.

    Attributes:
      rows: name -> flags. `{source}` and `{target}` in them stand for the two languages.
      pairs: name -> flags that choose the languages; empty: those of the config file.
      evaluations: name -> flags of `eval.py`, beside what training measures at its end.
      reference: the row that others are compared with; "" = the first.
    """

    title: str
    config: str
    rows: Mapping[str, Flags]
    seeds: tuple[int, ...] = (0,)
    pairs: Mapping[str, Flags] = field(default_factory=dict)
    evaluations: Mapping[str, Flags] = field(default_factory=dict)
    reference: str = ""
    expected: Sequence[Expected] = ()

    def __post_init__(self) -> None:
        """Raises InputError: it is not of that form."""
        _check_flags("rows", self.rows, ("--config.", "--config="))
        _check_flags("pairs", self.pairs, ("--config.", "--config="), least=0)
        _check_flags("evaluations", self.evaluations, ("--",), least=0)
        several(integer(), least=1).check("seeds of a study", self.seeds)
        if len(set(self.seeds)) < len(self.seeds):
            raise InputError(f"seeds of a study = {self.seeds!r}: a seed repeats itself")
        for what, flags in [*self.rows.items(), *self.pairs.items()]:
            for name, owner in OWN.items():
                if any(x.startswith(f"--config.{name}=") for x in flags):
                    raise InputError(f"{what!r}: --config.{name} belongs to {owner}")
        for name, flags in self.evaluations.items():
            if any(x.partition("=")[0].strip("-") in ("workdir", "config") for x in flags):
                raise InputError(f"evaluation {name!r}: the study names the run itself: {flags}")
        if self.reference and self.reference not in self.rows:
            raise unknown("reference row", self.reference, self.rows)
        for figure in self.expected:
            if figure.row not in self.rows:
                raise unknown("row of an expected value", figure.row, self.rows)
            if figure.pair not in self.names_of_pairs:
                raise unknown("pair of an expected value", figure.pair, self.names_of_pairs)

    @property
    def names_of_pairs(self) -> tuple[str, ...]:
        """ "" alone where the study has none."""
        return tuple(self.pairs) or ("",)

    def flags_of(self, row: str, pair: str = "") -> tuple[str, ...]:
        """The flags of `train.py` for a cell of the study, without seed and folders.

        Raises:
          InputError: `{target}` where there are not two languages.
        """
        given = (f"--config={self.config}", *self.pairs.get(pair, ()))
        own = self.rows[row]
        names = [name for name in ("{source}", "{target}") if any(name in x for x in own)]
        if names:
            languages = _resolved(f"pair {pair!r}", given).languages
            if len(languages) != 2:
                raise InputError(f"row {row!r}: {names[0]} of {', '.join(languages)}?")
            for name, language in zip(("{source}", "{target}"), languages, strict=True):
                own = [x.replace(name, language) for x in own]
        flags = (*given, *own)
        files = [x for x in flags if x.startswith("--config=")]
        return (files[-1], *(x for x in flags if x not in files))

    def config_of(self, row: str, pair: str = "") -> Config:
        """The checked config of a cell, with the seed of its file.

        Raises:
          InputError: an unknown field or a bad value; names row and pair.
        """
        where = f"row {row!r}" + (f", pair {pair!r}" if pair else "")
        return _resolved(where, self.flags_of(row, pair))


def load_study(name: str) -> Study:
    """The study that a file defines: STUDY, or what get_study(ARGUMENT) returns for FILE:ARGUMENT.

    Raises:
      InputError: there is none, a name is given twice, or a row that no run would accept.
    """
    file, found, argument = name.partition(":")
    path = python_file.find("study", file)
    _check_names(path)
    made = python_file.load("study", path, *(["get_study"] if found else ["STUDY", "get_study"]))
    if callable(made):
        made = python_file.call(path, made, *filter(None, [argument]))
    if not isinstance(made, Study):
        raise InputError(f"study file {path}: no Study: {made!r}")
    for row in made.rows:
        for pair in made.names_of_pairs:
            made.config_of(row, pair)
    return made


def _check_flags(what: str, flags: Any, starts: tuple[str, ...], least: int = 1) -> None:
    """Raises InputError: not name -> list of flags."""
    if not isinstance(flags, Mapping) or len(flags) < least:
        raise InputError(f"{what} of a study = {flags!r}: name -> list of flags")
    for name, given in flags.items():
        if not isinstance(name, str) or not name.strip():
            raise InputError(f"{what} of a study: {name!r} is no name")
        if isinstance(given, str) or not all(isinstance(x, str) for x in given):
            raise InputError(f"{what}, {name!r}: {given!r} is not a list of flags")
        for flag in given:
            if not flag.startswith(starts):
                raise InputError(f"{what}, {name!r}: {flag!r} is not {starts[0]}FIELD=VALUE")


def _resolved(where: str, flags: Flags) -> Config:
    """Raises InputError: a file, a field or a value that is wrong; `where` begins the message."""
    files = [x.removeprefix("--config=") for x in flags if x.startswith("--config=")]
    flag = ConfigFlag("config", Config, lambda: files[-1])
    try:
        for argument in flags:
            flag.take(argument)
        flag.load()
        return flag.value()
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _check_names(path: str) -> None:
    """Raises InputError: a dictionary of the file has a name twice, of which Python would keep the
    last."""
    try:
        tree = ast.parse(Path(path).read_text(encoding="utf-8"))
    except (SyntaxError, ValueError):
        return  # said with its line when the file is run
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            seen = set()
            for key in node.keys:
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    if key.value in seen:
                        raise InputError(f"{path}:{key.lineno}: {key.value!r} is named twice")
                    seen.add(key.value)
