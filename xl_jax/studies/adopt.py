"""Finished run directories that were made elsewhere become runs of a study."""

import dataclasses
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from xl_jax.config import from_dict, to_dict
from xl_jax.errors import InputError
from xl_jax.json_files import read_json, write_json
from xl_jax.prepare.request import folder_of
from xl_jax.runs.lock import NAME as LOCK
from xl_jax.studies.grid import DATA, run_id
from xl_jax.studies.runner import Runner


def adopt(runner: Runner, source: Path, log: Callable[[str], None] = print) -> int:
    """Copies every finished run directory under `source` that is a run of the study to its place,
    with its tokens. What decides is its config; its folder's name does not matter.

    Returns:
      how many there were.

    Raises:
      InputError: no such folder.
    """
    if not source.is_dir():
        raise InputError(f"--adopt={source} is no folder")
    wanted = {x.id: x for x in runner.unfinished()}
    count = 0
    for path in sorted(source.rglob("config.json")):
        try:
            run = wanted.get(run_id(to_dict(from_dict(read_json(path)))))
        except InputError:  # of something else, or of another version
            continue
        if run is None or run.folder.exists():
            continue
        elsewhere = dataclasses.replace(runner.works[run.id], folder=path.parent)
        if not elsewhere.finished(elsewhere.stages[0]):
            log(f"{path.parent}: {run.name}, not finished: left where it is")
            continue
        _copy_tokens(path.parent, runner.folder / DATA)
        whole = run.folder.with_name(f".{run.folder.name}")
        shutil.rmtree(whole, ignore_errors=True)
        shutil.copytree(path.parent, whole, symlinks=True, ignore=shutil.ignore_patterns(LOCK))
        write_json(whole / "config.json", to_dict(run.config))
        os.rename(whole, run.folder)
        log(f"{path.parent}: adopted as {run.name}")
        count += 1
    return count


def _copy_tokens(run: Path, data: Path) -> None:
    """The prepared corpus of a run directory, if it is there and not yet in `data`."""
    config = from_dict(read_json(run / "config.json"))
    there = folder_of(config, Path(config.data.dir) if config.data.dir else run / "data")
    here = data / there.name
    if there.is_dir() and not here.exists():
        whole = here.with_name(f".{here.name}.copy")
        shutil.rmtree(whole, ignore_errors=True)
        shutil.copytree(there, whole)
        os.rename(whole, here)
