"""What the numbers come from: every run, its state, and the command that makes it."""

from xl_jax.report import cells
from xl_jax.report.document import Cell, Column, Section, Table
from xl_jax.report.study_records import RunRecords, StudyRecords


def section(study: StudyRecords) -> Section:
    columns = [
        *(Column("row", text=True), Column("pair", text=True), Column("seed")),
        *(Column("state", text=True), Column("records"), Column("folder", text=True)),
        Column("notes", text=True),
    ]
    groups = [
        (title, [_row(study, run) for row in rows for run in study.of_row(row.name)])
        for title, rows in study.groups().items()
    ]
    tables = [Table("runs", "Every run of the study.", columns, groups)]
    commands = [
        [cells.text(study.row(run.row).shown), cells.count(run.seed), cells.text(run.command)]
        for run in study.runs
        if run.command
    ]
    if commands:
        columns = [Column("row", text=True), Column("seed"), Column("command", text=True)]
        tables.append(Table("commands", "What makes each run.", columns, [("", commands)]))
    return Section("runs", "Runs", [], tables)


def _row(study: StudyRecords, run: RunRecords) -> list[Cell]:
    return [
        cells.text(study.row(run.row).shown),
        Cell(run.pair),
        cells.count(run.seed),
        cells.text(run.state),
        cells.count(len(run.records) or None),
        cells.text(run.folder),
        Cell("; ".join(run.notes)),
    ]
