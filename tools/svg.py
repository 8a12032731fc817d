"""The drawings of the documents: their shapes, as lines of SVG, and their command."""

import argparse
import sys
from collections.abc import Callable, Iterable
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main(doc: str, command: str, picture: Path, draw: Callable[[], str]) -> None:
    """The command of a drawing: writes it, or with --check exits with 1 where it is not up to date.

    Args:
      doc: what --help says.
      command: that writes it, for the message.
    """
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=doc, formatter_class=layout)
    parser.add_argument("--check", action="store_true", help="write nothing, compare")
    check, drawn = parser.parse_args().check, draw()
    if not check:
        picture.write_text(drawn, encoding="utf-8")
    elif not picture.exists() or picture.read_text(encoding="utf-8") != drawn:
        sys.exit(f"{picture.relative_to(ROOT)} is not up to date: {command}")


def document(width: float, height: float, shapes: Iterable[str]) -> str:
    """A picture with a white ground, so that it reads on dark pages too."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'font-family="sans-serif" font-size="11">'
    )
    ground = f'<rect width="{width:g}" height="{height:g}" fill="white"/>'
    return "\n".join([head, ground, *shapes, "</svg>"]) + "\n"


def box(x: float, y: float, width: float, height: float, fill: str) -> str:
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="5" fill="{fill}" '
        f'stroke="#678"/>'
    )


def text(
    x: float, y: float, words: str, size: int = 11, bold: bool = False, anchor: str = "middle"
) -> str:
    """Centred at x, or with its start or end there; y is its base line."""
    weight = ' font-weight="bold"' if bold else ""
    return (
        f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" font-size="{size}"{weight}>'
        f"{escape(words)}</text>"
    )


def line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float = 1) -> str:
    return (
        f'<path d="M{x1:g} {y1:g}L{x2:g} {y2:g}" stroke="{colour}" stroke-width="{width:g}" '
        f'fill="none"/>'
    )


def disc(x: float, y: float, colour: str) -> str:
    return f'<circle cx="{x:g}" cy="{y:g}" r="5" fill="{colour}"/>'


def diamond(x: float, y: float, colour: str) -> str:
    """Hollow, so that it is told from a disc without its colour."""
    path = f"M{x - 6:g} {y:g}L{x:g} {y - 6:g}L{x + 6:g} {y:g}L{x:g} {y + 6:g}Z"
    return f'<path d="{path}" fill="white" stroke="{colour}" stroke-width="2"/>'


def tip(x: float, y: float, colour: str, left: bool) -> str:
    """The head of an arrow that points to (x, y) from the right or the left: it goes on there."""
    back = x + 7 if left else x - 7
    return f'<path d="M{x:g} {y:g}L{back:g} {y - 4:g}L{back:g} {y + 4:g}Z" fill="{colour}"/>'


def arrow(x1: float, y1: float, x2: float, y2: float) -> str:
    """A curve downward from (x1, y1), with a head at (x2, y2)."""
    bend = (y2 - y1) / 2
    return (
        f'<path d="M{x1:g} {y1:g}C{x1:g} {y1 + bend:g} {x2:g} {y2 - bend:g} {x2:g} {y2:g}" '
        f'fill="none" stroke="#9ab" stroke-width="1.4"/>\n'
        f'<path d="M{x2 - 3:g} {y2 - 6:g}L{x2:g} {y2:g}L{x2 + 3:g} {y2 - 6:g}" fill="#678"/>'
    )
