"""CSV: a file a table, numbers as numbers."""

import csv
import io

from xl_jax.report.document import Cell, Table

BESIDE = ("sd", "low", "high")  # columns of their own where a cell has them


def table(found: Table) -> str:
    """A column for the group where there are several, and for what stands beside a number; numbers
    with six digits. Missing cells are empty."""
    grouped = any(title for title, _ in found.groups)
    beside = [
        [name for name in BESIDE if any(getattr(row[i], name) is not None for row in found.rows)]
        for i in range(len(found.columns))
    ]
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    head = ["group"] if grouped else []
    for column, names in zip(found.columns, beside, strict=True):
        title = ": ".join(filter(None, (column.group, column.title)))
        head += [title, *(f"{title}: {name}" for name in names)]
    writer.writerow(head)
    for title, rows in found.groups:
        for row in rows:
            line = [title] if grouped else []
            for cell, names in zip(row, beside, strict=True):
                line += [_value(cell), *(_number(getattr(cell, name)) for name in names)]
            writer.writerow(line)
    return file.getvalue()


def _value(cell: Cell) -> str:
    if cell.kind == "missing":
        return ""
    return cell.text if cell.value is None else _number(cell.value)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
