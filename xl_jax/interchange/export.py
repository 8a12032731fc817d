"""One language's view of a run as a folder that `transformers` opens without code of ours.

    config.json  model.safetensors  tokenizer.json  tokenizer_config.json  README.md

The view is compacted: of the embedding table it has the rows of the language's own pieces, numbered
as in the language's SentencePiece model. So a softmax over all languages' pieces becomes one over
the language's own; logits are the same.
"""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from xl_jax import atomic_files
from xl_jax.config import Model
from xl_jax.errors import InputError
from xl_jax.finetune.model import flatten
from xl_jax.interchange import formats, model_card, safetensors_file, tokenizer_json
from xl_jax.interchange.formats import Format
from xl_jax.interchange.imported import IMPORTED, TOKENIZER, Imported
from xl_jax.interchange.task_head import TaskHead
from xl_jax.json_files import write_json
from xl_jax.runs.run_directory import Run
from xl_jax.tasks.rows import FIRST
from xl_jax.tokens.special import N_SPECIAL
from xl_jax.tokens.vocabulary import Vocabulary

Leaves = Mapping[str, np.ndarray]  # path -> array
Log = Callable[[str], None]
Tensors = dict[str, np.ndarray]


def export(
    run: Run,
    language: str,
    folder: Path,
    name: str = "",
    head: TaskHead | None = None,
    commit: str = "",
    log: Log = print,
) -> Format:
    """Writes the view of `language` to `folder`, which is made; returns the format.

    Args:
      name: of the format; by default the first that holds the model.
      head: of a fine-tuned task, with the encoder as it was tuned; by default the MLM head.
      commit: of the code, for the card.

    Raises:
      InputError: an unknown language, no checkpoint, a format that does not hold the model, a
        folder that is not empty.
    """
    number, model = run.language(language), run.config.model
    if run.config.vocab.type == "given":
        return _again(run, language, folder, name, head, log)
    target = formats.choose(model, name)
    _check_new(folder)
    tokenizer = tokenizer_json.tokenizer(
        run.data.vocabulary.models[language], first := FIRST[run.config.data.windows]
    )
    step, params = run.trained()
    leaves: Leaves = {p: np.asarray(x) for p, x in flatten(run.model.view(params, number)).items()}
    config = formats.config_of(model, target, len(run.data.vocabulary.ids[language]), first)
    if head:
        leaves = head.tuned(leaves)
        config |= head.config(target)
    made = compacted(leaves, run.data.vocabulary, language)
    tensors = weights(made, target, model, with_head=head is None)
    if head:
        tensors |= head.weights(target)

    folder.mkdir(parents=True, exist_ok=True)
    shapes = {name: x.shape for name, x in tensors.items()}
    safetensors_file.write(folder / safetensors_file.NAME, shapes, tensors.__getitem__)
    atomic_files.write(folder / "tokenizer.json", tokenizer.to_str(pretty=True))
    write_json(folder / "tokenizer_config.json", tokenizer_json.settings(first, model.positions))
    card = model_card.text(run, language, step, config["architectures"][0], commit, head, log)
    atomic_files.write(folder / "README.md", card)
    write_json(folder / "config.json", config)
    log(f"{language} of {run.folder}, step {step:,}: {config['architectures'][0]} in {folder}")
    return target


def _again(
    run: Run, language: str, folder: Path, name: str, head: TaskHead | None, log: Log
) -> Format:
    """The folder that `language` was imported from, to the bit."""
    kept = Imported(run.folder / IMPORTED / language)
    if not kept.folder.exists():
        raise InputError(f"{run.folder} has a given tokenizer, and no {kept.folder}: cannot export")
    if head or name not in ("", kept.format.name):
        wanted = f"--format={name}" if name else "--head"
        raise InputError(f"{language} was imported as {kept.format.name}: no {wanted} of it")
    _check_new(folder)
    _, params = run.trained()
    view = run.model.view(params, run.language(language))
    tensors = kept.outward({path: np.asarray(x) for path, x in flatten(view).items()})
    folder.mkdir(parents=True, exist_ok=True)
    shapes = {name: x.shape for name, x in tensors.items()}
    safetensors_file.write(folder / safetensors_file.NAME, shapes, tensors.__getitem__)
    for file in reversed(kept.files):  # config.json last
        shutil.copyfile(file, folder / file.name)
    log(f"{language} of {run.folder}, as it was imported: {kept.format.name} in {folder}")
    return kept.format


def _check_new(folder: Path) -> None:
    """Raises InputError: the folder has something that no interrupted export has left there."""
    names = {x.name for x in folder.iterdir()} if folder.exists() else set()
    names = {x for x in names if not x.endswith(".tmp")}
    begun = {safetensors_file.NAME, *TOKENIZER, "README.md"}  # what is there before config.json
    if names and not {safetensors_file.NAME} <= names <= begun:
        raise InputError(f"{folder} is not empty: export into a new folder")


def compacted(leaves: Leaves, vocabulary: Vocabulary, language: str) -> dict[str, np.ndarray]:
    """A view's leaves with the rows of the language's pieces alone, in its model's order.

    The view has the language's special tokens in the table's first rows; their output biases are
    where the vocabulary has them.
    """
    special, pieces = np.arange(N_SPECIAL), vocabulary.ids[language][N_SPECIAL:]
    offset = vocabulary.special_offset[language]
    return {
        **leaves,
        "embed/token": leaves["embed/token"][np.concatenate([special, pieces])],
        "mlm/bias": leaves["mlm/bias"][np.concatenate([special + offset, pieces])],
    }


def weights(leaves: Leaves, target: Format, model: Model, with_head: bool = True) -> Tensors:
    """The tensors of a view; with the MLM head, or those of the encoder alone.

    Raises:
      InputError: a model whose final LayerNorm cannot be undone (see `identity_transform`).
    """
    position = leaves["embed/position"]
    if "embed/language" in leaves:  # the same vector at every position
        position = position + leaves["embed/language"]
    unused = np.zeros((formats.row_0(target), model.width), np.float32)
    folded = {**leaves, "embed/position": np.concatenate([unused, position])}
    folded.pop("embed/language", None)
    if with_head and formats.TRANSFORM[0] in target.head and not model.mlm_transform:
        folded |= identity_transform(leaves, model)
    tensors = {
        target.tensor(path): formats.outward(path, x)
        for path, x in folded.items()
        if with_head or not path.startswith("mlm/")
    }
    if target.type_table:
        tensors[target.type_table] = np.zeros((1, model.width), np.float32)
    return tensors


def identity_transform(leaves: Leaves, model: Model) -> dict[str, np.ndarray]:
    """Leaves of BERT's output transform that gives back what it gets.

    What it gets is u g + b, with (g, b) of the encoder's last LayerNorm and rows u of mean 0 and
    variance 1. The linear layer takes it to u + K; there GELU is linear, for no |u| is beyond
    sqrt(width), and the transform's LayerNorm removes K again: u g + b.

    Raises:
      InputError: a scale g too near 0 to divide by.
    """
    last = "final_norm" if model.norm == "pre" else f"layer_{model.layers}/ffn_norm"
    g, b = leaves[f"{last}/scale"], leaves[f"{last}/bias"]
    if np.abs(g).min() < 1e-3:
        raise InputError(
            f"{last}/scale has a component of {np.abs(g).min():.1e}: BERT's output layer cannot "
            "be made to pass the states on; export as xlm where it fits"
        )
    shift = np.float32(model.width**0.5 + 8)
    return {
        "mlm/dense/kernel": np.diag(1 / g),
        "mlm/dense/bias": shift - b / g,
        "mlm/norm/scale": g,
        "mlm/norm/bias": b,
    }
