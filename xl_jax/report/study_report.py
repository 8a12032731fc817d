"""A study's report: its sections in order, and all its files."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from xl_jax import atomic_files
from xl_jax.report import style
from xl_jax.report.document import Document, Section
from xl_jax.report.formats import csv_files, html, latex, markdown
from xl_jax.report.sections import correlations, curves, heat_maps, layers, masks, runs, table1
from xl_jax.report.study_records import StudyRecords
from xl_jax.report.values import Values


def document(study: StudyRecords) -> Document:
    """What the report says of the study."""
    together = [row for rows in study.groups().values() for row in rows]
    values = Values(dataclasses.replace(study, rows=together))
    text = [study.description] if study.description else []
    return Document(
        study.title,
        [*text, _size(study)],
        list(_sections(values)),
        list(_notes(study)),
        [
            *study.facts.items(),
            *([("report", study.report_command)] if study.report_command else []),
        ],
    )


def write(study: StudyRecords, folder: Path) -> list[Path]:
    """Writes index.html, report.md, report.tex, figures/ and tables/; returns the first three."""
    found = document(study)
    for part in ("figures", "tables"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    drawings = {}
    with style.applied():
        for figure in found.figures:
            drawing = figure.draw()
            style.save(drawing, folder / "figures" / f"{figure.name}.png")
            drawings[figure.name] = style.svg(drawing, figure.name)
    for table in found.tables:
        atomic_files.write(folder / "tables" / f"{table.name}.csv", csv_files.table(table))
        atomic_files.write(folder / "tables" / f"{table.name}.tex", latex.table(table))
    pages = {
        "index.html": html.render(found, drawings),
        "report.md": markdown.render(found),
        "report.tex": latex.render(found),
    }
    for name, content in pages.items():
        atomic_files.write(folder / name, content)
    return [folder / name for name in pages]


def _sections(values: Values) -> Iterator[Section]:
    parts = (table1, masks, layers, heat_maps, correlations)
    for part in parts:
        section = part.section(values)
        if section:
            yield section
    yield from curves.sections(values)
    yield runs.section(values.study)


def _size(study: StudyRecords) -> str:
    done = [run for run in study.runs if run.records]
    seeds = len(study.seeds)
    return (
        f"{len(study.rows)} rows, {seeds} seed{'s' if seeds != 1 else ''}; {len(done)} of "
        f"{len(study.runs)} runs have results."
    )


def _notes(study: StudyRecords) -> Iterator[str]:
    """What a reader must know before the numbers."""
    yield from study.notes
    without = [run for run in study.runs if not run.records]
    if without:
        states: dict[str, int] = {}
        for run in without:
            states[run.state] = states.get(run.state, 0) + 1
        counted = ", ".join(f"{n} {state}" for state, n in states.items())
        yield f"{len(without)} runs have no results ({counted}); their cells are empty."
    seeds: dict[tuple[str, str, str], list[int]] = {}
    for run in study.runs:
        for note in run.notes:
            seeds.setdefault((run.row, run.pair, note), []).append(run.seed)
    for (row, pair, note), found in seeds.items():
        numbers = f"seed{'s' if len(found) > 1 else ''} {', '.join(map(str, found))}"
        yield f"{', '.join(filter(None, (row, pair, numbers)))}: {note}"
