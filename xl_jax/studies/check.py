"""What can be known of a study before anything is trained: masks, corpora, and the files that its
evaluations name."""

import glob
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from xl_jax.config import TASKS, Config, Tuning
from xl_jax.config.command_line import ConfigFlag
from xl_jax.errors import InputError
from xl_jax.evaluate.runner import check_tasks
from xl_jax.model.shared_model import SharedModel
from xl_jax.prepare.pipeline import folder_of
from xl_jax.studies.grid import StudyRun
from xl_jax.studies.study import Study
from xl_jax.text.corpora import open_corpora

TUNE_FILE = "configs/finetune_paper.py"
LISTS = re.compile(r"--data\.(pairs|map|candidates|dictionary|map_dictionary|links)=(.*)")
SPECS = re.compile(r"--data\.(train|dev|test)=(.*)")


def check(study: Study, runs: Sequence[StudyRun]) -> None:
    """Raises InputError: the first thing that would stop one of the runs, said with its name."""
    seen: set[str] = set()
    for run in runs:
        config = run.config
        corpora = {x: config.corpora[x] for x in config.languages}
        try:
            if not _prepared(config) and (text := str(corpora)) not in seen:
                open_corpora(corpora)
                seen.add(text)
            if (cell := f"{run.row!r} {run.pair!r}") not in seen:
                SharedModel.abstract(config).mask  # noqa: B018  made to see whether it can be
        except InputError as error:
            raise InputError(f"{run.name}: {error}") from error
        seen.add(cell)
        for name, flags in study.evaluations.items():
            if (key := f"{name} {config.languages}") in seen:
                continue
            seen.add(key)
            try:
                _check_evaluation(flags, config)
            except InputError as error:
                raise InputError(f"evaluation {name!r}: {error}") from error


def _prepared(config: Config) -> bool:
    """Whether the tokens are there, so that nobody needs the text."""
    return not config.start and folder_of(config, Path(config.data.dir)).exists()


def _check_evaluation(flags: Sequence[str], config: Config) -> None:
    """Raises InputError: an unknown task, a wrong field of `--tune`, or a file that is missing."""
    given = [x for x in flags if x.startswith("--task=")]
    tasks = [task for x in given for task in x.removeprefix("--task=").split(",")]
    check_tasks(tasks)
    for flag in flags:
        if found := LISTS.fullmatch(flag):
            for path in re.split("[;,]", found[2]):
                for one in _filled(path, config):
                    _check_there(flag, one)
    specs = [found[2] for flag in flags if (found := SPECS.fullmatch(flag))]
    for task in tasks:
        if task in TASKS:
            specs += _tuned(task, flags, {x.partition("=")[0] for x in flags}, config)
    for spec in specs:
        _, files, path = spec.partition("files:")
        for one in _filled(path.partition("#")[0], config) if files else ():
            _check_there(spec, one)


def _tuned(task: str, flags: Sequence[str], given: set[str], config: Config) -> list[str]:
    """The data specs of the settings that no flag gives. Raises InputError: see `Tuning`."""
    flag = ConfigFlag(
        "tune",
        Tuning,
        lambda: f"{TUNE_FILE}:{task}",
        lambda file: file if ":" in file else f"{file}:{task}",
    )
    for argument in flags:
        flag.take(argument)
    flag.load()
    tuning: Tuning = flag.value()
    tests = tuning.test
    if not isinstance(tests, str):
        tests = [spec for language, spec in tests.items() if language in config.languages]
    specs = {"train": [tuning.train], "dev": [tuning.dev]}
    specs["test"] = [tests] if isinstance(tests, str) else tests
    return [x for name, found in specs.items() if f"--data.{name}" not in given for x in found]


def _filled(path: str, config: Config) -> Iterator[str]:
    """The path for the languages that it has to be there for: `{language}` is that of training,
    since test data of others may be missing."""
    source, *targets = config.languages
    filled = path.replace("{language}", source).replace("{source}", source)
    yield from dict.fromkeys(filled.replace("{target}", x) for x in targets or [source])


def _check_there(flag: str, path: str) -> None:
    if not glob.glob(os.path.expanduser(path), recursive=True):
        raise InputError(f"{flag}: no file {path!r}")
