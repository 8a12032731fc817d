"""The run directory: what a run was asked, its tokens, its checkpoints, its results.

config.json  data/  checkpoints/  metrics.jsonl  tensorboard/  eval/*.json  *.png
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh

from xl_jax import sharing
from xl_jax.checkpoint import Checkpoints
from xl_jax.config import Config, difference, from_dict, to_dict
from xl_jax.data.prepare import Prepared, prepare
from xl_jax.errors import InputError, unknown
from xl_jax.mesh import one_device
from xl_jax.model import SharedModel, check_sharing, make_model
from xl_jax.step import State, state_shapes


@dataclass(frozen=True, eq=False)
class Run:
    """An opened run directory."""

    folder: Path
    config: Config
    data: Prepared
    model: SharedModel

    @property
    def name(self) -> str:
        """What was shared, and for how long, for titles."""
        sharing = self.config.sharing
        name = sharing if isinstance(sharing, str) else "own sharing rules"
        return f"{name}, {self.config.steps:,} steps"

    def checkpoints(self, log: Callable[[str], None] = print) -> Checkpoints:
        """The newest steps."""
        return Checkpoints(self.folder / "checkpoints", self.config.keep, log)

    def best(self, log: Callable[[str], None] = print) -> Checkpoints:
        """The step of the smallest held-out perplexity of the language `config.best`."""
        return Checkpoints(self.folder / "best", 1, log, best=True)

    def language(self, name: str) -> int:
        """The number of a language of this run.

        Raises:
          InputError: the run does not have it; names those it has.
        """
        if name not in self.config.languages:
            raise unknown(f"language in {self.folder}", name, self.config.languages)
        return self.config.languages.index(name)

    def views(self, params: sharing.Params) -> dict[str, Any]:
        """Every language's ordinary tree of the stacked `params`."""
        names = enumerate(self.config.languages)
        return {x: self.model.view(params, i) for i, x in names}

    def trained(self) -> tuple[int, sharing.Params]:
        """(step, stacked parameters), on one device, of the newest whole checkpoint, or of the best
        one where the config names a language to judge by.

        Raises:
          InputError: there is none.
        """
        found = restore(self, one_device(), best=bool(self.config.best))
        if found is None:
            raise InputError(f"{self.folder}: no checkpoint yet; train first: python train.py")
        step, state = found
        return step, state.params


def start(config: Config, folder: Path, log: Callable[[str], None] = print) -> Run:
    """The run directory for `config`: opened if it is there, made otherwise.

    Raises:
      InputError: it holds a run of another config (with the differing fields), or bad input.
    """
    path = folder / "config.json"
    asked = to_dict(config)
    if path.exists():
        there = to_dict(from_dict(json.loads(path.read_text())))  # with defaults of new fields
        lines = difference(there, asked)
        if lines:
            raise InputError(
                f"{folder} holds a run of another config: {'; '.join(lines)}. "
                "Name another directory with --workdir"
            )
    check_sharing(config)
    run = _open(folder, config, log)
    folder.mkdir(parents=True, exist_ok=True)
    if jax.process_index() == 0:
        path.write_text(json.dumps(asked, indent=1) + "\n")
    return run


def load(folder: Path, log: Callable[[str], None] = print) -> Run:
    """An existing run directory.

    Raises:
      InputError: there is none.
    """
    path = folder / "config.json"
    if not path.exists():
        raise InputError(f"{folder} is no run directory: {path.name} is not there")
    return _open(folder, from_dict(json.loads(path.read_text())), log)


def restore(
    run: Run, mesh: Mesh, log: Callable[[str], None] = print, best: bool = False
) -> tuple[int, State] | None:
    """(step, state) of the newest whole checkpoint (or the best one), on `mesh`; None: no step."""
    if not (run.folder / ("best" if best else "checkpoints")).exists():
        return None
    checkpoints = run.best(log) if best else run.checkpoints(log)
    found = checkpoints.restore(state_shapes(run.model, mesh))
    checkpoints.close()
    return found


def _open(folder: Path, config: Config, log: Callable[[str], None]) -> Run:
    where = Path(config.data.dir) if config.data.dir else folder / "data"
    data = prepare(config, where, log)
    return Run(folder, config, data, make_model(config, data.vocabulary, data.counts))
