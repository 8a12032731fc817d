"""How every drawing looks, and how it becomes a file: PNG, PDF, or SVG for a page."""

import io
import re
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text

from xl_jax.atomic_files import replacing
from xl_jax.errors import printable

# Colours of Okabe and Ito (2008), which are told apart with any kind of colour vision; markers and
# lines tell the same things apart without colour.
BLUE, ORANGE, GREEN, RED, GREY = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#777777"
PURPLE, SKY = "#cc79a7", "#56b4e9"
INK, FAINT, PAPER = "#1f2328", "#d6d9de", "#ffffff"
CYCLE = (BLUE, ORANGE, GREEN, PURPLE, SKY, RED, INK)
MARKERS = "osD^vPX"
# A page names its own colours: those of its dark form are lighter.
NAMES = {
    BLUE: "blue", ORANGE: "orange", GREEN: "green", RED: "red", GREY: "grey", PURPLE: "purple",
    SKY: "sky", INK: "ink", FAINT: "faint", PAPER: "paper",
}  # fmt: skip
WIDTH, LINES = 22, 2  # of a name in a drawing, characters and lines
RC: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 8,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.5,
    "text.color": INK,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "lines.linewidth": 1.4,
    "lines.markersize": 4.5,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "xl_jax",  # the same bytes each time
    "pdf.fonttype": 42,
}


@contextmanager
def applied() -> Iterator[None]:
    """Within it, figures are drawn and saved in this style."""
    with matplotlib.rc_context(RC):
        yield


def lay_out(figure: Figure) -> None:
    """Legends below the axes, which keep their height; names as they are written."""
    as_written(figure)
    legends = figure.findobj(Legend)
    for legend in legends:
        legend.set_in_layout(False)
    figure.tight_layout()
    for legend in legends:
        legend.set_in_layout(True)


def legend_below(figure: Figure, **look: Any) -> None:
    """One legend for all axes, unless it would be of a single thing."""
    handles: dict[str, Any] = {}
    for axis in figure.axes:
        for handle, name in zip(*axis.get_legend_handles_labels(), strict=True):
            handles.setdefault(name, handle)
    if len(handles) < 2:
        return
    where: dict[str, Any] = dict(loc="upper center", bbox_to_anchor=(0.5, 0.005))
    columns = min(4, len(handles))
    labels = [label(name, 2 * WIDTH) for name in handles]
    made = figure.legend(list(handles.values()), labels, ncols=columns, **where, **look)
    for text in made.get_texts():
        text.set_parse_math(False)


def label(text: str, width: int = WIDTH) -> str:
    """A name for a drawing: in lines of `width` characters, of which only the first few are shown;
    the table behind the drawing has it in full."""
    lines = textwrap.wrap(
        printable(text), width, max_lines=LINES, placeholder="…", break_on_hyphens=False
    )
    return "\n".join(lines)


def as_written(figure: Figure) -> None:
    for text in figure.findobj(Text):
        text.set_parse_math(False)  # a dollar sign in a name is no formula


@applied()
def save(figure: Figure, path: Path) -> None:
    """Writes `path`, a .png, and the .pdf beside it; a link of that name is replaced, not
    followed."""
    with replacing(path) as file:
        bare: dict[str, Any] = {"Software": None}
        figure.savefig(file, format="png", dpi=130, bbox_inches="tight", metadata=bare)
    with replacing(path.with_suffix(".pdf")) as file:
        undated = {"CreationDate": None}
        figure.savefig(file, format="pdf", bbox_inches="tight", metadata=undated)


@applied()
def svg(figure: Figure, name: str) -> str:
    """An <svg> to stand in a page: no date, ids of its own, colours by the page's names, sized by
    its width."""
    file = io.StringIO()
    nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
    figure.savefig(file, format="svg", bbox_inches="tight", transparent=True, metadata=nothing)
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.S)
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", text)
    text = re.sub(r"((?:fill|stroke): )(#[0-9a-f]{6})", _named, text)
    text = text.replace("'DejaVu Sans'", "var(--figure-font, 'DejaVu Sans', sans-serif)")
    return re.sub(r'<svg ([^>]*?)width="([\d.]+)pt" height="[\d.]+pt"', _sized, text, count=1)


def _named(match: re.Match[str]) -> str:
    name = NAMES.get(match[2])
    return f"{match[1]}var(--{name}, {match[2]})" if name else match[0]


def _sized(match: re.Match[str]) -> str:
    pixels = round(float(match[2]) * 96 / 72)
    return f'<svg {match[1]}width="{pixels}" style="--width: {pixels}px"'
