"""Studies whose commands leave what training and measuring would, at once."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from xl_jax.analysis import record
from xl_jax.analysis.record import Record, RecordFile
from xl_jax.config import to_dict
from xl_jax.json_files import read_json, write_json
from xl_jax.studies.executors import Local
from xl_jax.studies.runner import Runner
from xl_jax.studies.stages import Children
from xl_jax.studies.study import Study


class Commands(Children):
    """Takes the place of `train.py` and `eval.py`: leaves their files, and fails as often as the
    file "failures" in the run directory says."""

    def run(self, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> int:
        program, *flags, workdir = command
        run = Path(workdir.removeprefix("--workdir="))
        with (run / "calls").open("a") as file:
            file.write(" ".join([program, *flags]) + "\n")
        with log.open("a") as output:
            output.write("devices: 1 cpu\n")
            failures = run / "failures"
            if left := int(failures.read_text()) if failures.exists() else 0:
                failures.write_text(str(left - 1))
                output.write("error: it went wrong\n")
                return 1
            names = [x.removeprefix("--task=") for x in flags if x.startswith("--task=")]
            if program == "train.py":
                steps = read_json(run / "config.json")["steps"]
                (run / "checkpoints" / str(steps)).mkdir(parents=True, exist_ok=True)
                names = ["retrieval", "perplexity"]
            for name in names:
                path = run / "eval" / f"{name}.json"
                record.write(path, RecordFile(run.name, name, {}, [Record(name, 0.5)]))
                output.write(f"records: {path}\n")
        return 0


def local(parallel: int = 2) -> Local:
    """The local executor with these commands."""
    executor = Local(parallel)
    executor.children = Commands()
    return executor


def study(**more: Any) -> Study:
    given: dict[str, Any] = {
        "title": "A study",
        "config": "configs/tiny.py",
        "rows": {"shared": [], "private": ["--config.sharing=all_private"]},
        "evaluations": {"words": ["--task=translation", "--probe.kernel=rbf"]},
    }
    return Study(**given | more)


def runner(folder: Path, **more: Any) -> Runner:
    """A runner, and in each run directory what a fake training finds there."""
    made = Runner(study(**more), folder, "configs/x.py:a", "python tools/run_study.py")
    for run in made.runs:
        run.folder.mkdir(parents=True, exist_ok=True)
        write_json(run.folder / "config.json", to_dict(run.config))
    return made


def calls(made: Runner) -> dict[str, list[str]]:
    """The commands of each run, by its name."""
    paths = {run.name: run.folder / "calls" for run in made.runs}
    return {x: p.read_text().splitlines() if p.exists() else [] for x, p in paths.items()}
