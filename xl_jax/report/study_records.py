"""A study as a report takes it: rows, pairs, seeds, and the records of every run, all in memory."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from xl_jax.analysis.expected import Expected
from xl_jax.analysis.record import Record


@dataclass(frozen=True)
class Row:
    """A setting that runs differ by.

    Attributes:
      name: its key.
      title: what is printed; by default the name.
      group: rows of one group stand together.
      flags: of the command line.
    """

    name: str
    title: str = ""
    group: str = ""
    flags: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        return self.title or self.name


@dataclass(frozen=True)
class RunRecords:
    """One run.

    Attributes:
      row: name of its row.
      pair: of the study, as "en-fr"; "" where the study has one.
      folder: as it is to be named.
      state: done, running, failed, waiting, or missing.
      records: of eval/*.json; those of a task that is trained have its name as `task`.
      training: the lines of metrics.jsonl.
      command: that makes the run, whole.
      notes: what is wrong with it, one line each: files that were left out, an old version.
    """

    row: str
    seed: int
    pair: str = ""
    folder: str = ""
    state: str = "done"
    records: Sequence[Record] = ()
    training: Sequence[Mapping[str, Any]] = ()
    command: str = ""
    notes: Sequence[str] = ()

    @property
    def name(self) -> str:
        parts = [self.row, self.pair, f"seed {self.seed}"]
        return ", ".join(filter(None, parts))


@dataclass(frozen=True)
class StudyRecords:
    """All that a report is made of.

    Attributes:
      reference: name of the row that differences are taken from; "" for none.
      expected: figures to stand beside ours.
      command: that makes the study's runs.
      report_command: that makes this report.
      facts: what else is known, as commit, versions, device: name -> text.
      notes: what is wrong with the study as a whole.
    """

    title: str
    rows: Sequence[Row]
    runs: Sequence[RunRecords]
    reference: str = ""
    expected: Sequence[Expected] = ()
    description: str = ""
    command: str = ""
    report_command: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()

    @property
    def seeds(self) -> list[int]:
        return sorted({run.seed for run in self.runs})

    def of_row(self, row: str) -> list[RunRecords]:
        return [run for run in self.runs if run.row == row]

    def row(self, name: str) -> Row:
        return next(row for row in self.rows if row.name == name)

    def expected_of(self, row: str, pair: str, task: str, metric: str) -> float | None:
        """The published figure of a cell."""
        for one in self.expected:
            if (one.row, one.pair, one.task, one.metric) == (row, pair, task, metric):
                return one.value
        return None

    def expected_delta(self, row: str, task: str, metric: str) -> float | None:
        """Difference of the published figures from those of the reference row, mean over the pairs
        that both have."""
        found = []
        for pair in dict.fromkeys(one.pair for one in self.expected):
            both = [self.expected_of(x, pair, task, metric) for x in (row, self.reference)]
            if both[0] is not None and both[1] is not None:
                found.append(both[0] - both[1])
        return statistics.fmean(found) if found else None

    @property
    def expected_tasks(self) -> list[tuple[str, str]]:
        """(task, metric) of the published figures that differences are known of."""
        found = dict.fromkeys((one.task, one.metric) for one in self.expected)
        known = [row.name for row in self.rows]
        return [x for x in found if any(self.expected_delta(r, *x) is not None for r in known)]

    def groups(self) -> dict[str, list[Row]]:
        """group -> its rows, in their order."""
        found: dict[str, list[Row]] = {}
        for row in self.rows:
            found.setdefault(row.group, []).append(row)
        return found
