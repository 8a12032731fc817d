"""What a person sees of a run: tables on screen, a figure in the run directory."""

from collections.abc import Sequence

from xl_jax.errors import InputError
from xl_jax.probe import TASKS, measure
from xl_jax.report import figures, tables
from xl_jax.rundir import Run


def show(run: Run, tasks: Sequence[str] = tuple(TASKS), again: bool = False) -> None:
    """Measures `tasks`, prints their tables, draws their values by layer.

    Raises:
      InputError: see `probe.measure`; or none of the tasks has anything to measure on.
    """
    records, nothing = measure(run, tasks, again)
    if nothing:
        languages = ", ".join(run.config.languages)
        message = (
            f"{', '.join(nothing)}: no translations between {languages} are known; give files: "
            f"python eval.py --workdir={run.folder} --data.pairs=FILE,FILE --data.dictionary=FILE"
        )
        if not records:
            raise InputError(message)
        print(message)
    for text in (tables.by_layer(records), tables.perplexities(records)):
        if text:
            print(f"\n{text}")
    if any("layer" in r for r in records):
        path = run.folder / "layers.png"
        figures.by_layer(records, f"{' and '.join(run.config.languages)}, {run.name}", path)
        print(f"\nfigure: {path}")
