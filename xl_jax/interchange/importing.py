"""Encoders of `transformers` become a run directory of ours, which every task of `eval.py` opens.

One folder may serve several languages (mBERT, XLM-R: everything shared); several folders are one
language each (monolingual BERTs: nothing shared, each with its own vocabulary). Beside what a run
directory has:

    data/given/         the vocabulary made of their tokenizers
    imported/LANGUAGE/  the folder's small files, a list of its tensors, and those that the encoder
                        here has no place for: `export` gives the folder again to the bit
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from xl_jax.config import NO_TEXT, Config, Data, Vocab, difference, from_dict, to_dict
from xl_jax.devices.mesh import one_device
from xl_jax.errors import InputError
from xl_jax.finetune.model import flatten, unflatten
from xl_jax.interchange.imported import IMPORTED, LIST, Imported
from xl_jax.json_files import plain, read_json
from xl_jax.model.shared_model import SharedModel
from xl_jax.prepare.request import GIVEN
from xl_jax.runs import lock
from xl_jax.runs.run_directory import Run, start
from xl_jax.tokens.vocabulary import Vocabulary
from xl_jax.training.step import State, state_shapes

Log = Callable[[str], None]
Languages = tuple[str, ...]

LENGTH = 256  # tokens of a row, where the encoder has so many positions
ALIGNED = 64  # bytes: JAX takes such arrays over as they are


def import_run(
    folders: Mapping[Languages, Path],
    out: Path,
    corpora: Mapping[str, str] | None = None,
    padded: bool = False,
    log: Log = print,
) -> Run:
    """Makes the run directory `out`: of one folder for several languages, or of several folders for
    one language each. Its parameters are all frozen: to train on, start another run from it. What
    was interrupted is made again.

    Args:
      corpora: text by language, where tasks need some (induction, perplexity).
      padded: embedding tables may have more rows than the tokenizer has pieces.

    Raises:
      InputError: whatever does not fit, before anything is written.
    """
    sources = {names: Imported(folder) for names, folder in folders.items()}
    if len(sources) > 1 and max(map(len, sources)) > 1:
        raise InputError("several folders are one language each: --model=LANGUAGE=FOLDER")
    config = run_config(sources, corpora or {})
    begun = (out / "config.json").exists()
    if begun and not _interrupted(out, config):
        raise InputError(f"{out} holds a run already: name another directory with --out")
    vocabulary = given_vocabulary(sources)
    shapes = SharedModel.abstract(config, vocabulary.size)
    leaves = {path: x.shape for path, x in flatten(shapes.template).items()}
    paths = list(leaves)
    for names, source in sources.items():
        source.check(leaves, names, padded)

    if begun:  # of which encoder, nobody knows
        with lock.training(out):
            for name in ("checkpoints", "data", IMPORTED):
                shutil.rmtree(out / name, ignore_errors=True)
    given = out / "data" / GIVEN
    given.mkdir(parents=True, exist_ok=True)
    vocabulary.save(given)
    run = start(config, out, log)
    state = imported_state(run, sources)
    largest = max(x.nbytes for x in jax.tree.leaves(state))
    with lock.training(out):
        checkpoints = run.checkpoints(log, read_only=False, at_once=largest)
        checkpoints.save(0, state)
        checkpoints.close()
        for names, source in sources.items():
            for name in names:
                source.keep(paths, out / IMPORTED / name)
            report(source, names, paths, log)
    return run


def _interrupted(out: Path, config: Config) -> bool:
    """Whether the run directory is the same import and not all of it is there."""
    try:
        same = not difference(to_dict(from_dict(read_json(out / "config.json"))), to_dict(config))
    except InputError:
        return False
    return same and not all((out / IMPORTED / x / LIST).exists() for x in config.languages)


def run_config(sources: Mapping[Languages, Imported], corpora: Mapping[str, str]) -> Config:
    """The config of a run of these encoders.

    Raises:
      InputError: encoders of different sizes; text of a language that there is not.
    """
    models = [source.model for source in sources.values()]
    transform = all(model.mlm_transform for model in models)
    models = [replace(model, mlm_transform=transform) for model in models]
    for source, model in zip(sources.values(), models, strict=True):
        if lines := difference(plain(vars(models[0])), plain(vars(model))):
            first = next(iter(sources.values())).folder
            raise InputError(f"{first} and {source.folder} differ: {'; '.join(lines)}")
    windows = {source.windows for source in sources.values()}
    if len(windows) > 1:
        raise InputError("rows of some encoders open with their last token, of others they do not")
    languages = [name for names in sources for name in names]
    length = min(LENGTH, models[0].positions)
    return Config(
        languages=tuple(languages),
        corpora={x: NO_TEXT for x in languages} | dict(corpora),
        sharing="all_shared" if len(sources) == 1 else "all_private",
        freeze="all",
        vocab=Vocab(
            mode="joint" if len(sources) == 1 else "local",
            type="given",
            size=max(source.rows for source in sources.values()),
        ),
        data=Data(windows=windows.pop(), length=length),
        model=models[0],
        steps=1,
        log_every=1,
        eval_every=1,
        checkpoint_every=1,
    )


def given_vocabulary(sources: Mapping[Languages, Imported]) -> Vocabulary:
    """Their tokenizers as one vocabulary, each numbering its own pieces."""
    of = {name: source for names, source in sources.items() for name in names}
    return Vocabulary(
        "joint" if len(sources) == 1 else "local",
        "shared",
        max(source.rows for source in sources.values()),
        {name: source.tokenizer_of(name) for name, source in of.items()},
        {name: np.arange(source.pieces, dtype=np.int32) for name, source in of.items()},
        dict.fromkeys(of, 0),
    )


def imported_state(run: Run, sources: Mapping[Languages, Imported]) -> State:
    """The run's state at step 0, leaf by leaf: little more than itself is in memory."""
    shapes = state_shapes(run.model, one_device())
    languages = {names[0]: source for names, source in sources.items()}
    params: dict[str, Any] = {}
    for path, shape in flatten(shapes.params).items():
        leaf = _zeros(shape.shape)
        if path == "embed/language":
            for out, name in zip(leaf, run.config.languages, strict=True):
                next(iter(sources.values())).fill(path, out, name)
        else:
            for out, source in zip(leaf, languages.values(), strict=True):
                source.fill(path, out)
        params[path] = jax.device_put(leaf, shape.sharding, may_alias=True)
    moments = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes.moments)
    return State(jnp.zeros((), jnp.int32), unflatten(params), moments)


def report(source: Imported, names: Languages, paths: Sequence[str], log: Log) -> None:
    """Says what became of the folder's tensors."""
    log(f"{source.folder}: {source.format.name} of {', '.join(names)}, {source.rows:,} pieces")
    if unknown := source.unknown(paths):
        shown = ", ".join(unknown[:8]) + (", ..." if len(unknown) > 8 else "")
        log(f"  kept for export alone, {len(unknown)} tensors: {shown}")
    for name in source.missing():
        log(f"  missing: {name} (zero: perplexities and masks are not this encoder's)")
    spare = source.rows - source.pieces
    if spare:
        log(f"  {spare:,} rows of the embedding have no piece")


def _zeros(shape: tuple[int, ...]) -> np.ndarray:
    raw = np.zeros(4 * int(np.prod(shape)) + ALIGNED, np.uint8)
    start = -raw.ctypes.data % ALIGNED
    return raw[start : start + 4 * int(np.prod(shape))].view(np.float32).reshape(shape)
