"""Configs to and from a `ConfigDict` and JSON, the same way for a run's and for fine-tuning's."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias, TypeVar, overload

from ml_collections import config_dict

from xl_jax.config.domains import Section, as_tuples
from xl_jax.config.run import Config
from xl_jax.errors import InputError, unknown

S = TypeVar("S", bound=Section)
Values: TypeAlias = Mapping[str, Any] | config_dict.ConfigDict


def to_config_dict(config: Section) -> config_dict.ConfigDict:
    """The same fields as a locked `ConfigDict`, for the files in `configs/` and for flags."""

    def convert(section: Section) -> config_dict.ConfigDict:
        result = config_dict.ConfigDict()
        for field in dataclasses.fields(section):
            value = getattr(section, field.name)
            if isinstance(value, Section):
                result[field.name] = convert(value)
            elif field.metadata["domain"].literal:  # a later value may be of another type
                result[field.name] = config_dict.placeholder(object)
                result[field.name] = value
            elif isinstance(value, Mapping):
                result[field.name] = config_dict.ConfigDict(dict(value))
            else:
                result[field.name] = value
        return result

    return convert(config).lock()


def to_dict(config: Section) -> dict[str, Any]:
    """The config as JSON knows it (tuples become lists)."""

    def plain(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {k: plain(v) for k, v in value.items()}
        return [plain(v) for v in value] if isinstance(value, tuple | list) else value

    return plain(dataclasses.asdict(config))


def flattened(config: Section) -> dict[str, Any]:
    """Every field with its section before a dot -> its value, as --config.FIELD names them."""

    def fields(value: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
        for name, x in value.items():
            if isinstance(x, Mapping) and x:
                yield from fields(x, f"{prefix}{name}.")
            else:
                yield f"{prefix}{name}", x

    return dict(fields(to_dict(config), ""))


@overload
def from_dict(values: Values) -> Config: ...
@overload
def from_dict(values: Values, kind: type[S]) -> S: ...
def from_dict(values: Values, kind: type[Any] = Config) -> Any:
    """The checked config of nested `values`, a ConfigDict or JSON.

    Raises:
      InputError: an unknown field (with near names) or a value out of its domain.
    """
    return _build(kind, values.to_dict() if isinstance(values, config_dict.ConfigDict) else values)


def _build(kind: type[S], values: Any) -> S:
    fields = {f.name: f for f in dataclasses.fields(kind)}
    if not isinstance(values, Mapping):
        known = ", ".join(fields)
        raise InputError(f"{kind.where.rstrip('.') or 'config'} = {values!r}: not fields ({known})")
    made: dict[str, Any] = {}
    for name, value in values.items():
        if name not in fields:
            raise unknown("config field", f"{kind.where}{name}", [kind.where + f for f in fields])
        inner = fields[name].type
        if isinstance(inner, type) and issubclass(inner, Section):
            made[name] = _build(inner, value)
        else:
            made[name] = dict(value) if isinstance(value, Mapping) else as_tuples(value)
    return kind(**made)


def difference(old: Mapping[str, Any], new: Mapping[str, Any], where: str = "") -> list[str]:
    """Lines `field: old -> new` for the fields in which two nested dictionaries differ."""
    lines = []
    for name in sorted({*old, *new}):
        a, b = old.get(name), new.get(name)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            lines += difference(a, b, f"{where}{name}.")
        elif a != b:
            lines.append(f"{where}{name}: {a!r} -> {b!r}")
    return lines
