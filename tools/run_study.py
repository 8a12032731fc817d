"""Train and measure every run of a study, then compare them in a table and a figure.

    python tools/run_study.py --config=configs/compare_tiny.py --out=studies/compare_tiny
    python tools/run_study.py ... --dry_run      say what would run

The same command again continues: finished runs are kept, unfinished ones go on where they stopped.
"""

import os
from pathlib import Path

from absl import flags
from tqdm import tqdm

from xl_jax import cli
from xl_jax.studies.study import StudyFolder, StudyRun, load_study

CONFIG = flags.DEFINE_string("config", "configs/compare_tiny.py", "File that defines STUDY.")
cli.define_folder("out", "Study directory (default: studies/NAME_OF_CONFIG).")
PARALLEL = flags.DEFINE_integer(
    "parallel", os.cpu_count() or 1, "Runs at a time, a core each.", lower_bound=1
)
DRY_RUN = flags.DEFINE_bool("dry_run", False, "Only print what would run.")


def main() -> None:
    study = load_study(CONFIG.value)
    out = Path(flags.FLAGS.out or f"studies/{Path(CONFIG.value).stem}")
    cli.check_folder("out", out)
    folder = StudyFolder(study, out)
    waiting = [run for run in folder.runs if folder.state[run.name] != "done"]
    if DRY_RUN.value:
        for run in folder.runs:
            print(f"{folder.state[run.name]:8} {run.name}: train.py {' '.join(run.flags)}")
        return
    from xl_jax.prepare.pipeline import prepare
    from xl_jax.report import figures, tables

    folder.write()
    if waiting:  # tokens once, before several processes ask for them
        prepare(study.config_of(next(iter(study.settings))), folder.folder / "data")
    with tqdm(total=len(folder.runs), initial=len(folder.runs) - len(waiting), unit="run") as bar:

        def done(run: StudyRun) -> None:
            bar.update()

        failed = folder.run_all(PARALLEL.value, done)
    records = folder.records()
    if records:
        print("\n" + tables.compare(records))
        path = folder.folder / "comparison.png"
        figures.compare(records, study.title, path)
        print(f"\nfigure: {path}")
    if failed:
        logs = ", ".join(str(run.log) for run in failed)
        raise RuntimeError(f"{len(failed)} of {len(folder.runs)} runs failed; see {logs}")


if __name__ == "__main__":
    cli.run(main, __doc__)
