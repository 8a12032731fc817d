"""The text of --config.help and --tune.help: every option with its domain, default and meaning."""

import dataclasses
import textwrap
from typing import Any

from xl_jax.config.domains import Section, options


def listing(flag: str, kind: type[Section], here: Section | None = None) -> str:
    """A paragraph an option: `--flag.field=default`, its meaning and the values that it takes.

    Args:
      here: the config of the file at hand; its values are shown where they are not the defaults.
    """
    paragraphs = []
    for name, field in options(kind):
        default = _default(field)
        head = f"--{flag}.{name}={_shown(default)}"
        if here is not None and (value := _value(here, name)) != default:
            head += f"   (here: {_shown(value)})"
        text = f"{field.metadata['help']}. Takes {field.metadata['domain'].text}."
        indent = " " * 6
        paragraphs.append(
            f"{head}\n{textwrap.fill(text, 96, initial_indent=indent, subsequent_indent=indent)}"
        )
    return "\n".join(paragraphs)


def _default(field: "dataclasses.Field[Any]") -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _value(config: Any, name: str) -> Any:
    for part in name.split("."):
        config = getattr(config, part)
    return config


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
