"""Train and measure every run of a study, then compare them in a table and a figure.

    python tools/run_study.py --config=configs/compare_tiny.py --out=studies/compare_tiny
    python tools/run_study.py ... --dry_run      say what would run

The same command again continues: finished runs are kept, unfinished ones go on where they stopped.
"""

import os
import runpy
from pathlib import Path

from absl import flags
from tqdm import tqdm

from xl_jax import cli
from xl_jax.errors import InputError, unknown
from xl_jax.studies.study import Study, StudyFolder, StudyRun

CONFIG = flags.DEFINE_string("config", "configs/compare_tiny.py", "File that defines STUDY.")
cli.define_folder("out", "Study directory (default: studies/NAME_OF_CONFIG).")
PARALLEL = flags.DEFINE_integer("parallel", os.cpu_count() or 1, "Runs at a time, a core each.")
DRY_RUN = flags.DEFINE_bool("dry_run", False, "Only print what would run.")


def main() -> None:
    from xl_jax.config import from_dict
    from xl_jax.prepare.pipeline import prepare
    from xl_jax.report import figures, tables

    study = _load(CONFIG.value)
    folder = StudyFolder(study, Path(flags.FLAGS.out or f"studies/{Path(CONFIG.value).stem}"))
    waiting = [run for run in folder.runs if folder.state[run.name] != "done"]
    if DRY_RUN.value:
        for run in folder.runs:
            print(f"{folder.state[run.name]:8} {run.name}: train.py {' '.join(run.flags)}")
        return
    folder.write()
    if waiting:  # tokens once, before several processes ask for them
        get_config = runpy.run_path(study.config)["get_config"]
        prepare(from_dict(get_config()), folder.folder / "data")
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


def _load(name: str) -> Study:
    if not Path(name).is_file():
        raise unknown("study file", name, map(str, Path("configs").glob("*.py")))
    found = runpy.run_path(name)
    if "STUDY" not in found:
        raise InputError(f"{name} defines no STUDY (see configs/compare_tiny.py)")
    return found["STUDY"]


if __name__ == "__main__":
    cli.run(main, __doc__)
