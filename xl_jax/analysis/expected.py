"""A published figure, beside which one's own stands."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Expected:
    """A figure of a cell of a study.

    Attributes:
      row, pair: of the study; a pair is "" where the study has none.
      task, metric: as in the files of eval/ ("ner", "f1").
      value: as in their records, rates in 0..1.
      source: where it was published.
    """

    row: str
    pair: str
    task: str
    metric: str
    value: float
    source: str
