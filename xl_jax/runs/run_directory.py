"""The run directory: a run's config, its tokens, its checkpoints, its results.

config.json  data/  checkpoints/  metrics.jsonl  tensorboard/  eval/*.json  *.png
"""

import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh

from xl_jax import mirror
from xl_jax.config import Config, difference, from_dict, to_dict
from xl_jax.devices.mesh import make_mesh, one_device
from xl_jax.devices.multihost import first_alone, is_first
from xl_jax.errors import InputError, unknown
from xl_jax.json_files import read_json, write_json
from xl_jax.model import sharing, start_from
from xl_jax.model.shared_model import SharedModel, make_model
from xl_jax.prepare.pipeline import prepare
from xl_jax.prepare.prepared import Prepared
from xl_jax.prepare.request import folder_of, keeps_start, start_folder
from xl_jax.rules import leaf_paths
from xl_jax.runs import lock
from xl_jax.runs.checkpoint import Checkpoints
from xl_jax.tokens import vocabulary
from xl_jax.training.step import State, init_state, state_shapes

# Fields that do not change what is trained: a run goes on under other values of them.
RESUMABLE_FIELDS = re.compile(
    r"mesh\.|keep(_curve)?:|(log|eval|checkpoint)_every:|skip_nonfinite:|model\.(remat|attention):|probe\.|"
    r"data\.dir:"
)

# What a run's training and measuring write, beside its tokens.
# What every host needs of a run in a bucket.
NEEDED = ("config.json", "data", "checkpoints", "best")
WRITTEN = ("config.json", "metrics.jsonl", "checkpoints", "best", "tensorboard", "profile", "eval")


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

    def checkpoints(
        self, log: Callable[[str], None] = print, read_only: bool = True, at_once: int = 0
    ) -> Checkpoints:
        """The newest steps, and those of the curve."""
        folder, keep, also = self.folder / "checkpoints", self.config.keep, self.config.curve
        named: dict[str, Any] = {"also": also, "at_once": at_once}
        return Checkpoints(folder, keep, log, **self._how(read_only), **named)

    def best(self, log: Callable[[str], None] = print, read_only: bool = True) -> Checkpoints:
        """The step of the smallest held-out perplexity of the language `config.best`."""
        return Checkpoints(self.folder / "best", 1, log, True, **self._how(read_only))

    def _how(self, read_only: bool) -> dict[str, Any]:
        copies = mirror.of(self.folder) is not None  # each host has its own folder then
        return {"metadata": self.metadata, "read_only": read_only, "copies": copies}

    @contextmanager
    def kept(self, log: Callable[[str], None] = print) -> Iterator[None]:
        """See `mirror.kept`; of several processes the first writes to the bucket."""
        with mirror.kept(self.folder, log) if is_first() else nullcontext():
            yield

    @property
    def metadata(self) -> dict[str, Any]:
        """What the state of this run means: written into its checkpoints."""
        template, mask = self.model.template, self.model.mask
        structure: Any = jax.tree.structure(template)
        leaves = zip(leaf_paths(template), structure.flatten_up_to(mask), strict=True)
        return {"vocabulary": self.data.vocabulary.digest, "mask": dict(leaves)}

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

    def trained(self, log: Callable[[str], None] = print) -> tuple[int, sharing.Params]:
        """(step, stacked parameters), on one device, of the newest whole checkpoint, or of the best
        one where the config names a language to judge by, training has judged, and it is whole.

        Raises:
          InputError: there is none.
        """
        where = one_device()
        found = None
        if self.config.best:
            try:
                found = restore(self, where, log, best=True)
            except (InputError, RuntimeError) as error:
                log(f"{error}; the newest checkpoint is used")
        found = found or restore(self, where, log)
        if found is None:
            raise InputError(f"{self.folder}: no checkpoint yet; train first: python train.py")
        step, state = found
        return step, state.params


def start(config: Config, folder: Path, log: Callable[[str], None] = print) -> Run:
    """The run directory for `config`: opened if it is there, made otherwise. A run may go on with
    another mesh, the same slots in more or fewer sequential parts, what else `RESUMABLE_FIELDS`
    names, and for more steps where no schedule depends on their number.

    Raises:
      InputError: it holds a run of another config (with the differing fields); another process
        trains it; it cannot be written; or bad input.
    """
    path = folder / "config.json"
    _fetch(folder)
    check_links(folder)
    requested = to_dict(config)
    if path.exists():
        old = from_dict(read_json(path))  # with defaults of new fields
        lines = difference(_slots(to_dict(old)), _slots(requested))
        lines = [x for x in lines if not RESUMABLE_FIELDS.match(x)]
        if _extends(old, config):
            lines = [x for x in lines if not x.startswith("steps:")]
        if lines:
            raise InputError(
                f"{mirror.name(folder)} holds a run of another config: {'; '.join(lines)}. "
                "Name another directory with --workdir"
            )
    make_mesh(config)
    abstract, data = SharedModel.abstract(config), _data_folder(folder, config)
    if not (abstract.only_starts or config.vocab.type == "given"):  # imports are all frozen
        abstract.check_trains()
    known = path.exists() and keeps_start(config, data)
    origin = _origin(abstract, log) if config.start and not known else None  # before text is read
    _check_writable(folder)

    def open_it() -> Run:
        lock.check(folder)
        if not is_first():
            mirror.pull(folder, NEEDED)
        keep_start(config, data, log, origin)
        run = _open(folder, config, log)
        if is_first():
            write_json(path, requested)
            mirror.push(folder)
        return run

    return first_alone(open_it, f"preparing {mirror.name(folder)}")


def _fetch(folder: Path) -> None:
    """Copies what a bucket holds of the run to every host, before work.

    Raises:
      InputError: it cannot be read, or written; another process trains the run.
    """
    mirrored = mirror.of(folder)
    if mirrored is None:
        return

    def fetch() -> None:
        if not is_first():
            mirrored.pull(NEEDED)
            return
        mirrored.bucket.check_writable()
        lock.check(folder)
        mirrored.pull()
        mirrored.push()

    first_alone(fetch, f"copying {mirrored.bucket.url}")


def keep_start(
    config: Config, data: Path, log: Callable[[str], None] = print, origin: Run | None = None
) -> None:
    """Copies the vocabulary of the run `config.start` into `data`, the folder of prepared corpora,
    if it is not there: from then on preparing and opening do not need that run.

    Args:
      origin: that run, where it is open.

    Raises:
      InputError: it is not there, has no checkpoint, or its vocabulary or parameters do not fit.
    """
    if not config.start or keeps_start(config, data):
        return
    origin = origin or _origin(SharedModel.abstract(config), log)
    kept = start_folder(config, data)
    kept.mkdir(parents=True, exist_ok=True)
    origin.data.vocabulary.save(kept)


def check_links(folder: Path, names: Iterable[str] = WRITTEN) -> None:
    """Raises InputError: one of `names` in a run directory, or what is in it, is a symbolic link,
    which might lead out of the run directory."""
    for path in (folder / name for name in names):
        inside = (Path(x, name) for x, *found in os.walk(path) for name in chain(*found))
        for x in (path, *inside):
            if x.is_symlink():
                raise InputError(f"{x} is a symbolic link: nothing is written through it")


def load(folder: Path, log: Callable[[str], None] = print) -> Run:
    """An existing run directory.

    Raises:
      InputError: there is none.
    """
    path = folder / "config.json"
    mirror.pull(folder)
    if not path.exists():
        where = mirror.name(folder)
        raise InputError(f"{where} is no run directory: {path.name} is not there")
    config = from_dict(read_json(path))
    if config.model.attention == "cudnn" and jax.default_backend() != "gpu":
        xla = replace(config.model, attention="xla")  # the same function, on any machine
        config = replace(config, model=xla)
    return _open(folder, config, log)


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


def _origin(model: SharedModel, log: Callable[[str], None]) -> Run:
    """The run that `config.start` names.

    Raises:
      InputError: it is not there, has no checkpoint, or its vocabulary or parameters do not fit.
    """
    origin = load(mirror.here(model.config.start), log)
    checkpoints = origin.folder / "checkpoints"
    if not checkpoints.exists() or not any(x.name.isdecimal() for x in checkpoints.iterdir()):
        raise InputError(
            f"start = {model.config.start!r}: it has no checkpoint yet; train it first"
        )
    start_from.check_vocabulary(model.config, origin.config)
    start_from.plan(model, origin.model)
    return origin


def first_state(run: Run, mesh: Mesh, log: Callable[[str], None] = print) -> State:
    """The state at step 0: random numbers, or the parameters of the run `config.start`.

    Raises:
      InputError: that run is not there or does not fit, or its vocabulary has changed.
    """
    state, start = init_state(run.model, mesh), run.config.start
    if not start:
        return state
    origin = _origin(run.model, log)
    kept = start_folder(run.config, run.data.folder.parent)
    if vocabulary.load(kept).digest != origin.data.vocabulary.digest:
        raise InputError(
            f"start = {start!r}: its vocabulary is another one than when {kept} was copied from "
            "it; remove that folder, and the tokens are made anew"
        )
    step, trained = origin.trained(log)
    plan = start_from.plan(run.model, origin.model)
    log(f"starting from {start}, step {step:,}; {start_from.summary(plan, run.model)}")
    params = start_from.merge(state.params, trained, plan, origin.data.vocabulary.n_pieces)
    return state._replace(params=params)


def _check_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror}") from error


def _extends(old: Config, new: Config) -> bool:
    """Whether `new` trains for more steps, and the first ones would not have been other steps."""
    depends = new.optim.schedule == "cosine" or new.batch.schedule or new.masking.last_rate
    return new.steps > old.steps and not depends


def _slots(config: dict[str, Any]) -> dict[str, Any]:
    """With all slots of a step side by side: how many go at once does not matter."""
    batch = config["batch"]
    slots = batch["accum"] * batch["slots"]
    return {**config, "batch": {**batch, "accum": 1, "slots": slots}}


def _data_folder(folder: Path, config: Config) -> Path:
    """Where the prepared corpus is. A relative `data.dir` is relative to the working directory of
    the training; from another one it is looked for in the folders above the run."""
    if not config.data.dir:
        return folder / "data"
    given = Path(config.data.dir)
    above = [parent / given for parent in folder.absolute().parents]
    there = [x for x in (given, *above) if folder_of(config, x).exists()]
    return there[0] if there else given


def _open(folder: Path, config: Config, log: Callable[[str], None]) -> Run:
    data = prepare(config, _data_folder(folder, config), log)
    return Run(folder, config, data, make_model(config, data.vocabulary, data.counts))
