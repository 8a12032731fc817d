"""What a person sees of a run: tables on screen, a figure in the run directory."""

from collections.abc import Sequence

from xl_jax.config import EvalOptions
from xl_jax.errors import InputError
from xl_jax.evaluate.runner import USUAL, measure
from xl_jax.report import figures, tables
from xl_jax.runs.run_directory import Run


def show(
    run: Run,
    tasks: Sequence[str] = USUAL,
    again: bool = False,
    other: Run | None = None,
    asked: EvalOptions | None = None,
) -> None:
    """Measures `tasks`, prints their tables, draws their values by layer.

    Raises:
      InputError: see `runner.measure`; or none of the tasks has anything to measure on.
    """
    found = measure(run, tasks, again, other, asked)
    if found.nothing:
        languages = ", ".join(run.config.languages)
        message = (
            f"{', '.join(found.nothing)}: no translations between {languages} are known; give "
            f"files: python eval.py --workdir={run.folder} --data.pairs=FILE,FILE "
            "--data.dictionary=FILE (induction: --data.map_dictionary=FILE too)"
        )
        if not found.records:
            raise InputError(message)
        print(message)
    records = found.records
    texts = [tables.by_layer(records), tables.checkpoints(records), tables.perplexities(records)]
    if asked:
        texts += [tables.matrices(records), tables.intervals(records)]
    for text in filter(None, texts):
        print(f"\n{text}")
    if any("layer" in r for r in records):
        one = len(found.files) == 1
        path = found.files[0].with_suffix(".png") if one else run.folder / "layers.png"
        figures.draw(records, f"{' and '.join(run.config.languages)}, {run.name}", path)
        print(f"\nfigure: {path}")
