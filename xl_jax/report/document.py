"""What a report says, before it is HTML, Markdown, LaTeX or CSV: sections of paragraphs, tables and
figures. All text here is as its author wrote it; each format escapes it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from matplotlib.figure import Figure as Drawing

MISSING = "–"  # an empty cell says that there is nothing


@dataclass(frozen=True)
class Cell:
    """Text, and the number behind it.

    Attributes:
      value, sd, low, high: as numbers, scaled as the text is; None where there is none.
      kind: "", missing, or paper (a figure of the paper's, beside ours).
    """

    text: str
    value: float | None = None
    sd: float | None = None
    low: float | None = None
    high: float | None = None
    kind: str = ""


NONE = Cell(MISSING, kind="missing")


@dataclass(frozen=True)
class Column:
    """Neighbouring columns of one `group` share a heading above theirs."""

    title: str
    group: str = ""
    text: bool = False  # left-aligned; numbers stand to the right


@dataclass(frozen=True)
class Table:
    """Rows in groups; the first cell of a row names it.

    Attributes:
      name: of its files: letters, digits, underscores.
      groups: (title of the group or "", rows).
    """

    name: str
    caption: str
    columns: Sequence[Column]
    groups: Sequence[tuple[str, Sequence[Sequence[Cell]]]]

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"{self.name}: {len(row)} cells for {len(self.columns)} columns")

    @property
    def rows(self) -> list[Sequence[Cell]]:
        return [row for _, rows in self.groups for row in rows]

    @property
    def headings(self) -> list[tuple[str, int]]:
        """(group, number of its columns), in a row above the titles; empty without groups."""
        if not any(column.group for column in self.columns):
            return []
        found: list[tuple[str, int]] = []
        for column in self.columns:
            if found and column.group and found[-1][0] == column.group:
                found[-1] = (column.group, found[-1][1] + 1)
            else:
                found.append((column.group, 1))
        return found


@dataclass(frozen=True)
class Figure:
    """A drawing, made when it is needed, and the table of what it draws.

    Attributes:
      alt: what a reader who cannot see it should know.
    """

    name: str
    caption: str
    alt: str
    draw: Callable[[], Drawing]
    data: Table


@dataclass(frozen=True)
class Section:
    """`command` makes the numbers of the section."""

    name: str
    title: str
    text: Sequence[str] = ()
    blocks: Sequence[Table | Figure] = ()
    command: str = ""

    @property
    def tables(self) -> list[Table]:
        return [b for b in self.blocks if isinstance(b, Table)]

    @property
    def figures(self) -> list[Figure]:
        return [b for b in self.blocks if isinstance(b, Figure)]


@dataclass(frozen=True)
class Document:
    """`notes` are what a reader must know before the numbers: what is missing, what was ignored."""

    title: str
    text: Sequence[str]
    sections: Sequence[Section]
    notes: Sequence[str] = ()
    facts: Sequence[tuple[str, str]] = field(default_factory=tuple)

    @property
    def tables(self) -> list[Table]:
        """Every table, those behind figures too."""
        blocks = [b for section in self.sections for b in section.blocks]
        return [b.data if isinstance(b, Figure) else b for b in blocks]

    @property
    def figures(self) -> list[Figure]:
        return [f for section in self.sections for f in section.figures]


def number(value: float | None, digits: int = 1, sign: bool = False) -> str:
    """With a real minus sign, and a plus where `sign`."""
    if value is None:
        return MISSING
    text = f"{value:{'+' if sign else ''},.{digits}f}"
    if float(text.replace(",", "")) == 0:
        text = text.lstrip("+-")  # no signed zero
    return text.replace("-", "\N{MINUS SIGN}")
