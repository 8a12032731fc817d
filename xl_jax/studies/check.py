"""What can be known of a study before anything is trained: masks, corpora, and the languages and
files that its evaluations name."""

import glob
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from absl import flags

from xl_jax import cli
from xl_jax.config import PROBE, Config, Tuning
from xl_jax.config.tune_flag import tune_flag
from xl_jax.errors import InputError, unknown
from xl_jax.evaluate.context import FILES, language_pairs
from xl_jax.evaluate.flags import EvalFlags
from xl_jax.evaluate.linear_probe import LABELS
from xl_jax.evaluate.runner import check_tasks
from xl_jax.model.shared_model import SharedModel
from xl_jax.prepare.request import folder_of
from xl_jax.studies.grid import StudyRun
from xl_jax.studies.study import Study
from xl_jax.text.corpora import open_corpora


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
        for name, given in study.evaluations.items():
            if (key := f"{name} {config.languages}") in seen:
                continue
            seen.add(key)
            try:
                _check_evaluation(given, config)
            except InputError as error:
                raise InputError(f"evaluation {name!r}: {error}") from error


def _prepared(config: Config) -> bool:
    """Whether the tokens are there, so that nobody needs the text."""
    return folder_of(config, Path(config.data.dir)).exists()


def read_flags(given: Sequence[str]) -> tuple[EvalFlags, Tuning]:
    """The flags of an evaluation and its settings of fine-tuning.

    Raises:
      InputError: an unknown flag, task or field of `--tune`, or flags that do not go together.
    """
    values = flags.FlagValues()
    parsed = EvalFlags(values)
    tune = tune_flag(lambda: parsed.task.value)
    cli.parse(["eval.py", *(x for x in given if not tune.take(x))], values)
    tune.load()
    tuning = parsed.tuning(tune.value())
    check_tasks(parsed.task.value)
    parsed.check()
    if parsed.of_labels == PROBE and tuning.task not in LABELS:
        raise InputError(f"{PROBE}: labels of {' or '.join(LABELS)}, not of {tuning.task}")
    return parsed, tuning


def _check_evaluation(given: Sequence[str], config: Config) -> None:
    """Raises InputError: see `read_flags`; or a language or a file that is missing."""
    parsed, tuning = read_flags(given)
    options = parsed.options(config.probe)
    if not parsed.other.value:  # whose languages are not known yet
        if parsed.of_labels:
            _check_labels(tuning, config.languages)
        else:
            language_pairs(config.languages, config.languages, options, one_run=True)
    for name in FILES:
        if (value := getattr(options, name)) != getattr(config.probe, name):
            for path in re.split("[;,]", value):
                for one in _filled(path, config):
                    _check_there(f"--data.{name}={value}", one)
    for spec in _specs(parsed, tuning, config) if parsed.of_labels else ():
        _, files, path = spec.partition("files:")
        for one in _filled(path.partition("#")[0], config) if files else ():
            _check_there(spec, one)


def _check_labels(tuning: Tuning, languages: Sequence[str]) -> None:
    for name in (tuning.source, *tuning.targets):
        if name and name not in languages:
            raise unknown("language of the evaluation", name, languages)


def _specs(parsed: EvalFlags, tuning: Tuning, config: Config) -> Iterator[str]:
    """The data that are read, of the flags or else of the settings."""
    yield from (tuning.train, tuning.dev)
    if parsed.test.value:
        yield from parsed.test.value
    elif isinstance(tuning.test, str):
        yield tuning.test
    else:
        yield from (spec for x, spec in tuning.test.items() if x in config.languages)


def _filled(path: str, config: Config) -> Iterator[str]:
    """The path for the languages that it has to be there for: `{language}` is that of training,
    since test data of others may be missing."""
    source, *targets = config.languages
    filled = path.replace("{language}", source).replace("{source}", source)
    yield from dict.fromkeys(filled.replace("{target}", x) for x in targets or [source])


def _check_there(flag: str, path: str) -> None:
    if not glob.glob(os.path.expanduser(path), recursive=True):
        raise InputError(f"{flag}: no file {path!r}")
