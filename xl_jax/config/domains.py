"""What every field of a config may hold, said once: its domain is its check, its way in from the
command line, and its line in `--config.help`."""

import ast
import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from xl_jax.errors import InputError, unknown

MOST = 2**31 - 1  # a size or a count on a device is an int32
MOST_TEXT = 2**53  # what counts text on disk is not
SMALLEST, LARGEST = 1.2e-38, 3.4e38  # float32's normal numbers: beyond them devices see 0 and inf


@dataclass(frozen=True)
class Domain:
    """A set of values.

    Args:
      text: the set in words, after "must be".
      holds: whether a value is in it.
      parse: a value from the text of a flag; ValueError: there is none.
      literal: values of several types, so that a `ConfigDict` must not tie the field to one.
      choices: the closed list of names, where it is one.
      limits: what a machine can hold of the set, in words after `text`, where a value is refused.
    """

    text: str
    holds: Callable[[Any], bool]
    parse: Callable[[str], Any] = str
    literal: bool = False
    choices: tuple[str, ...] = ()
    limits: str = ""

    def check(self, name: str, value: Any) -> None:
        """Raises InputError: `value` is not in the domain; `name` is the field's."""
        if not self.holds(value):
            if self.choices:
                raise unknown(name, value, self.choices)
            raise InputError(f"{name} = {value!r}: must be {self.text}{self.limits}")


def option(default: Any, domain: Domain, meaning: str) -> Any:
    """A field of a config: its default, the values it takes, and what it means."""
    return dataclasses.field(default=default, metadata={"domain": domain, "help": meaning})


class Section:
    """A dataclass of options: one that has been made is right. `where` comes before the names of
    its fields in errors and flags."""

    where: ClassVar[str] = ""
    __dataclass_fields__: ClassVar[dict[str, Any]]  # every subclass is a dataclass

    def __init_subclass__(cls, where: str = "") -> None:
        cls.where = where

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if "domain" in field.metadata:
                field.metadata["domain"].check(self.where + field.name, getattr(self, field.name))
        self.agree()

    def agree(self) -> None:
        """Raises InputError: fields that are right alone are wrong together."""


def options(kind: type[Section]) -> Iterator[tuple[str, dataclasses.Field]]:
    """(dotted name, field) of every option of a config, section by section."""
    for field in dataclasses.fields(kind):
        if isinstance(field.type, type) and issubclass(field.type, Section):
            yield from ((f"{field.name}.{name}", inner) for name, inner in options(field.type))
        else:
            yield field.name, field


def integer(least: int = 0, most: int = MOST) -> Domain:
    text, limits = f"a whole number from {least} to {most:,}", ""
    if most in (MOST, MOST_TEXT):
        text, limits = f"a whole number of at least {least}", f", at most {most:,}"
    return Domain(
        text, lambda value: type(value) is int and least <= value <= most, int, limits=limits
    )


def number(interval: str) -> Domain:
    """The finite numbers of an interval in the usual notation, e.g. "[0, 1)" or "(0, inf)"."""
    low, high = map(float, interval[1:-1].split(","))

    def holds(value: Any) -> bool:
        if type(value) not in (int, float) or not low <= value <= high:  # nan is never within
            return False
        outside = (value == low and interval[0] == "(") or (value == high and interval[-1] == ")")
        return not outside and (value == 0 or SMALLEST <= abs(value) <= LARGEST)

    limits = f", {'0 or ' if holds(0) else ''}of size {SMALLEST:g} to {LARGEST:g}"
    return Domain(f"a finite number in {interval}", holds, float, limits=limits)


def boolean() -> Domain:
    names = {"true": True, "false": False, "1": True, "0": False}

    def parse(text: str) -> bool:
        if text.lower() not in names:
            raise ValueError(text)
        return names[text.lower()]

    return Domain("true or false", lambda value: type(value) is bool, parse)


def text(what: str = "a text") -> Domain:
    """May be empty."""
    return Domain(what, lambda value: type(value) is str)


def folder() -> Domain:
    """May be empty."""
    what = "a folder of this machine, not of a bucket"
    return Domain(what, lambda value: type(value) is str and "://" not in value)


def nonempty(what: str) -> Domain:
    return Domain(what, lambda value: type(value) is str and bool(value))


def choice(*names: str) -> Domain:
    return Domain(f"one of {', '.join(names)}", lambda value: value in names, str, choices=names)


def several(each: Domain, least: int = 0) -> Domain:
    """A tuple; on the command line separated by commas, or a Python literal."""

    def holds(value: Any) -> bool:
        return type(value) is tuple and len(value) >= least and all(map(each.holds, value))

    def parse(text: str) -> tuple[Any, ...]:
        if text[:1] in ("(", "["):
            return tuple(as_tuples(_literal(text)))
        return tuple(each.parse(part.strip()) for part in filter(None, text.split(",")))

    text = f"a tuple, each {each.text}" + ", not empty" * (least > 0)
    return Domain(text, holds, parse, limits=each.limits)


def mapping(what: str) -> Domain:
    """Names to texts."""

    def holds(value: Any) -> bool:
        return isinstance(value, Mapping) and all(
            type(k) is str and type(v) is str and k and v for k, v in value.items()
        )

    return Domain(what, holds, _literal)


def rules(what: str, values: Callable[[Any], bool], names: str = "") -> Domain:
    """Ordered (pattern, value) pairs, or a name that matches the pattern `names`."""

    def holds(value: Any) -> bool:
        if type(value) is str:
            return bool(names) and re.fullmatch(names, value) is not None
        return (
            type(value) is tuple
            and bool(value)
            and all(type(x) is tuple and len(x) == 2 and type(x[0]) is str for x in value)
            and all(values(x[1]) for x in value)
        )

    return Domain(what, holds, _literal_or_text, literal=True)


def literal(what: str, holds: Callable[[Any], bool]) -> Domain:
    """A Python literal of a form of its own."""
    return Domain(what, holds, _literal_or_text, literal=True)


def require(holds: bool, message: str) -> None:
    if not holds:
        raise InputError(message)


def pairs(what: str, text: str) -> dict[str, str]:
    """`name=value,name=value` as a dictionary; InputError where a part is not of that form."""
    parts = [part.partition("=") for part in filter(None, text.split(","))]
    for name, found, value in parts:
        require(bool(name and found and value), f"{what} = {text!r}: not name=value,name=value")
    return {name: value for name, _, value in parts}


def as_tuples(value: Any) -> Any:
    """Lists, as JSON has them, as tuples."""
    return tuple(map(as_tuples, value)) if isinstance(value, tuple | list) else value


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise ValueError(text) from error


def _literal_or_text(text: str) -> Any:
    try:
        return as_tuples(_literal(text))
    except ValueError:
        return text
