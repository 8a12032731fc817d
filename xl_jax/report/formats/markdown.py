"""Markdown, with figures as links to their PNG files."""

import re
from collections.abc import Iterator

from xl_jax.errors import printable
from xl_jax.report.document import Document, Figure, Section, Table


def render(document: Document, figures: str = "figures") -> str:
    """`figures`: the folder of the PNG files, as the page is to name it."""
    lines = [f"# {escape(document.title)}", ""]
    for text in document.text:
        lines += [escape(text), ""]
    for note in document.notes:
        lines += [f"> {escape(note)}", ""]
    for section in document.sections:
        lines += _section(section, figures)
    if document.facts:
        lines += ["## What made this", ""]
        lines += [f"- {escape(name)}: {escape(value)}" for name, value in document.facts]
    return "\n".join(lines).rstrip() + "\n"


def _section(section: Section, figures: str) -> Iterator[str]:
    yield from (f"## {escape(section.title)}", "")
    for text in section.text:
        yield from (escape(text), "")
    for block in section.blocks:
        if isinstance(block, Figure):
            yield from (f"![{escape(block.caption)}]({figures}/{block.name}.png)", "")
            yield from ("<details><summary>numbers</summary>", "", table(block.data), "</details>")
        else:
            yield from (f"**{escape(block.caption)}**", "", table(block))
        yield ""
    if section.command:
        yield from (code(section.command), "")


def table(found: Table) -> str:
    """A group's title stands in a row of its own; the headings of columns are joined with those
    above them."""
    titles = [": ".join(filter(None, (c.group, c.title))) for c in found.columns]
    lines = [_line([escape(t) for t in titles])]
    lines.append(_line([":---" if c.text else "---:" for c in found.columns]))
    for title, rows in found.groups:
        if title and rows:
            lines.append(_line([f"*{escape(title)}*", *[""] * (len(found.columns) - 1)]))
        lines += [_line([escape(cell.text) for cell in row]) for row in rows]
    return "\n".join(lines) + "\n"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def code(text: str) -> str:
    """A block of code, fenced by more backticks than it holds."""
    longest = max((len(m) for m in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    lines = "\n".join(printable(line) for line in text.splitlines())
    return f"{fence}\n{lines}\n{fence}"


def escape(text: str) -> str:
    """`text` that reads as it is written, and is no markup, HTML or table cell."""
    text = re.sub(r"([\\`*_{}\[\]<>#|~$])", r"\\\1", printable(text))
    return text.replace("&", "&amp;")
