"""Settings to and from a `ConfigDict` and JSON."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from ml_collections import config_dict

from xl_jax.config.run import Config
from xl_jax.errors import unknown

_LITERALS = (
    "sharing",
    "decay_rules",
    "schedule",
    "rules",
)  # fields that take a name or a literal of pairs


def to_config_dict(config: Config) -> config_dict.ConfigDict:
    """The same fields as a locked `ConfigDict`, for the files in `configs/` and for flags."""

    def convert(value: Any) -> Any:
        result = config_dict.ConfigDict()
        items = (
            value.items()
            if isinstance(value, Mapping)
            else [(f.name, getattr(value, f.name)) for f in dataclasses.fields(value)]
        )
        for name, child in items:
            if name in _LITERALS:
                result[name] = config_dict.placeholder(object)
                result[name] = child
            elif dataclasses.is_dataclass(child) or isinstance(child, Mapping):
                result[name] = convert(child)
            else:
                result[name] = child
        return result

    return convert(config).lock()


def to_dict(config: Config) -> dict[str, Any]:
    """The config as JSON knows it (tuples become lists)."""

    def plain(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {k: plain(v) for k, v in value.items()}
        return [plain(v) for v in value] if isinstance(value, tuple | list) else value

    return plain(dataclasses.asdict(config))


def from_dict(values: Mapping[str, Any] | config_dict.ConfigDict) -> Config:
    """The checked config of nested `values`, a ConfigDict or JSON.

    Raises:
      InputError: an unknown field (with near names) or a value out of its range.
    """

    def build(cls: type, section: Mapping[str, Any], where: str) -> Any:
        fields = {f.name: f for f in dataclasses.fields(cls)}
        made = {}
        for name, value in section.items():
            if name not in fields:
                raise unknown("config field", where + name, [where + f for f in fields])
            kind = fields[name].type
            if isinstance(kind, type) and dataclasses.is_dataclass(kind):
                made[name] = build(kind, value, where + name + ".")
            elif name == "corpora":
                made[name] = dict(value)
            else:
                made[name] = _tuples(value)
        return cls(**made)

    plain = values.to_dict() if isinstance(values, config_dict.ConfigDict) else values
    return build(Config, plain, "")


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, tuple | list) else value


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
