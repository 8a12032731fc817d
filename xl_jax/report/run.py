"""What a person sees of a run's records: tables on screen, and a figure."""

from collections.abc import Sequence
from pathlib import Path

from xl_jax.analysis.record import Record
from xl_jax.report import figures, overview, style, tables


def show_over_training(records: Sequence[Record], figure: Path) -> None:
    """Prints when each measure rises, and draws its curves to `figure` (.png) and a .pdf."""
    print(f"\n{tables.over_training(records)}")
    style.save(figures.over_training(records), figure)
    print(f"\nfigure: {figure}")


def show(records: Sequence[Record], title: str, figure: Path, details: bool = False) -> None:
    """Prints the tables, and draws values by layer to `figure` (.png) and a .pdf beside it.

    Args:
      details: with intervals, best layers and matrices of CKA.
    """
    texts = [tables.by_layer(records, intervals=details), tables.checkpoints(records)]
    texts += [tables.perplexities(records)]
    if details:
        texts += [tables.at_best_layer(records), tables.matrices(records)]
        texts += [overview.by_pair(records)]
    for text in filter(None, texts):
        print(f"\n{text}")
    if tables.layers(records):
        style.save(figures.by_layer(records, title), figure)
        print(f"\nfigure: {figure}")
