"""LaTeX with booktabs; every table also stands alone, for \\input."""

from collections.abc import Iterator, Sequence

from xl_jax.errors import printable
from xl_jax.report.document import Document, Figure, Section, Table

PREAMBLE = r"""\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage{booktabs,graphicx}
\usepackage[margin=2.2cm]{geometry}
\usepackage{textcomp}
\setlength{\belowcaptionskip}{6pt}
"""
SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "'": r"\textquotesingle{}",
    "`": r"\textasciigrave{}",
    "-": r"{-}",  # two of them would be a dash
    "\N{MINUS SIGN}": r"$-$",
    "\N{EN DASH}": r"--",
    "Δ": r"$\Delta$",
}
LONG = 45  # rows: a table that does not fit a page
FEW = 7  # columns of a table that keeps its size


def render(document: Document, figures: str = "figures", tables: str = "tables") -> str:
    """A whole document. `figures`, `tables`: folders, as it is to name them."""
    lines = [PREAMBLE + r"\begin{document}"]
    lines += [rf"\title{{{escape(document.title)}}}", r"\date{}", r"\maketitle"]
    for text in (*document.text, *document.notes):
        lines += [escape(text), ""]
    for section in document.sections:
        lines += _section(section, figures, tables)
    if document.facts:
        lines += [r"\section*{What made this}", r"\begin{itemize}"]
        lines += [rf"\item {escape(name)}: {escape(value)}" for name, value in document.facts]
        lines.append(r"\end{itemize}")
    return "\n".join([*lines, r"\end{document}", ""])


def _section(section: Section, figures: str, tables: str) -> Iterator[str]:
    yield rf"\section{{{escape(section.title)}}}"
    for text in section.text:
        yield from (escape(text), "")
    for block in section.blocks:
        if isinstance(block, Figure):
            yield r"\begin{figure}[htbp]\centering"
            size = r"width=\linewidth,height=0.85\textheight,keepaspectratio"
            yield rf"\includegraphics[{size}]{{{figures}/{block.name}.pdf}}"
            yield rf"\caption{{{escape(block.caption)}}}\label{{fig:{block.name}}}"
            yield r"\end{figure}"
        elif len(block.rows) <= LONG:
            yield rf"\input{{{tables}/{block.name}.tex}}"
    if section.command:
        lines = [rf"\texttt{{{escape(line)}}}" for line in section.command.splitlines()]
        yield from (r"\begin{flushleft}\footnotesize", r" \\ ".join(lines), r"\end{flushleft}")


def table(found: Table) -> str:
    """A floating table; one with many columns is made as wide as the page."""
    wide = len(found.columns) > FEW
    lines = [
        r"\begin{table}[htbp]\centering\small",
        rf"\caption{{{escape(found.caption)}}}\label{{tab:{found.name}}}",
        *([r"\resizebox{\linewidth}{!}{%"] if wide else []),
        rf"\begin{{tabular}}{{{''.join('l' if c.text else 'r' for c in found.columns)}}}",
        r"\toprule",
        *_headings(found),
        _line([c.title for c in found.columns]),
    ]
    for title, rows in found.groups:
        if not rows:
            continue
        lines.append(r"\midrule")
        if title:
            lines.append(
                rf"\multicolumn{{{len(found.columns)}}}{{l}}{{\textit{{{escape(title)}}}}} \\"
            )
        lines += [_line([cell.text for cell in row]) for row in rows]
    lines += [r"\bottomrule", r"\end{tabular}" + ("}" if wide else ""), r"\end{table}", ""]
    return "\n".join(lines)


def _headings(found: Table) -> Iterator[str]:
    if not found.headings:
        return
    yield " & ".join(_heading(*heading) for heading in found.headings) + r" \\"
    yield from _rules(found.headings)


def _heading(title: str, columns: int) -> str:
    return rf"\multicolumn{{{columns}}}{{c}}{{{escape(title)}}}" if title else ""


def _rules(headings: Sequence[tuple[str, int]]) -> Iterator[str]:
    first = 1
    rules = []
    for title, columns in headings:
        if title:
            rules.append(rf"\cmidrule(lr){{{first}-{first + columns - 1}}}")
        first += columns
    yield "".join(rules)


def _line(cells: Sequence[str]) -> str:
    return " & ".join(map(escape, cells)) + r" \\"


def escape(text: str) -> str:
    """`text` that prints as it is written."""
    return "".join(SPECIAL.get(c, c) for c in printable(text))
