"""One page that needs nothing else: no script, no network, no other file."""

from collections.abc import Mapping
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from xl_jax.errors import printable
from xl_jax.report.document import Document, Figure, Table


def render(document: Document, drawings: Mapping[str, str]) -> str:
    """The page, with every figure as inline SVG and its data in a table behind it.

    Args:
      drawings: name of a figure -> its <svg>, in which matplotlib has escaped all text.
    """
    loader = PackageLoader("xl_jax.report", "page")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["printable"] = printable
    environment.tests |= {"figure": _is_figure, "table": lambda b: isinstance(b, Table)}
    page: Any = resources.files("xl_jax.report").joinpath("page")
    return environment.get_template("page.html.j2").render(
        document=document,
        css=Markup(page.joinpath("page.css").read_text(encoding="utf-8")),
        script=Markup(page.joinpath("sort.js").read_text(encoding="utf-8")),
        drawings={name: Markup(svg) for name, svg in drawings.items()},
    )


def _is_figure(block: object) -> bool:
    return isinstance(block, Figure)
