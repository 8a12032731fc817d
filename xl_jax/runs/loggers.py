"""Trackers of other makers, where a run's numbers can go as well: Weights & Biases, MLflow.

Their packages are optional and imported where one is requested. Where the numbers go, and offline
use, is set by their own environment variables (WANDB_MODE, MLFLOW_TRACKING_URI, ...). A run that
continues goes on in the same record: its id is kept in the run directory.
"""

import importlib.util
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from xl_jax.errors import InputError, unknown
from xl_jax.json_files import read_json, write_json

PROJECT = "xl_jax"  # of Weights & Biases; the experiment of MLflow
KEPT = "trackers.json"  # in the run directory: name -> id of the record there


@runtime_checkable
class Logger(Protocol):
    """Gets the numbers of a run."""

    id: str

    def record(self, step: int, values: Mapping[str, Any]) -> None: ...

    def close(self, failed: bool) -> None: ...


def check(names: Sequence[str]) -> None:
    """Raises InputError: an unknown tracker, or one whose package is not installed."""
    for name in names:
        if name not in LOGGERS:
            raise unknown("tracker", name, LOGGERS)
        if importlib.util.find_spec(name) is None:
            raise InputError(f"--track={name} needs a package: pip install {name}")


def open_loggers(
    names: Sequence[str], folder: Path, config: Mapping[str, Any]
) -> dict[str, Logger]:
    """The named trackers, each with the record of the run in `folder`.

    Args:
      config: field of the config, with dots -> value.
    """
    path = folder / KEPT
    kept: dict[str, str] = read_json(path) if path.exists() else {}
    found = {name: LOGGERS[name](folder, config, kept.get(name, "")) for name in names}
    if found:
        write_json(path, kept | {name: logger.id for name, logger in found.items()})
    return found


class WeightsAndBiases:
    """A run of Weights & Biases, continued where `id` names one."""

    def __init__(self, folder: Path, config: Mapping[str, Any], id: str) -> None:
        import wandb

        self._run = wandb.init(
            project=PROJECT,
            name=folder.name,
            dir=str(folder),
            config=dict(config),
            id=id or None,
            resume="allow",
        )
        self.id = str(self._run.id)

    def record(self, step: int, values: Mapping[str, Any]) -> None:
        self._run.log(dict(values), step=step)

    def close(self, failed: bool) -> None:
        self._run.finish(exit_code=int(failed))


class MLflow:
    """A run of MLflow, continued where `id` names one."""

    def __init__(self, folder: Path, config: Mapping[str, Any], id: str) -> None:
        from mlflow import MlflowClient
        from mlflow.entities import Metric, Param

        self._client, self._metric = MlflowClient(), Metric
        if id:
            self._client.set_terminated(id, "RUNNING")
        else:
            known = self._client.get_experiment_by_name(PROJECT)
            experiment = known.experiment_id if known else self._client.create_experiment(PROJECT)
            id = self._client.create_run(experiment, run_name=folder.name).info.run_id
            # MLflow has a limit of 100 parameters a call.
            params = [Param(name, str(value)[:500]) for name, value in config.items()]
            for first in range(0, len(params), 100):
                self._client.log_batch(id, params=params[first : first + 100])
        self.id = str(id)

    def record(self, step: int, values: Mapping[str, Any]) -> None:
        now = int(time.time() * 1000)
        metrics = [self._metric(x, float(value), now, step) for x, value in values.items()]
        self._client.log_batch(self.id, metrics=metrics)

    def close(self, failed: bool) -> None:
        self._client.set_terminated(self.id, "FAILED" if failed else "FINISHED")


LOGGERS: dict[str, Callable[[Path, Mapping[str, Any], str], Logger]] = {  # by package
    "wandb": WeightsAndBiases,
    "mlflow": MLflow,
}
