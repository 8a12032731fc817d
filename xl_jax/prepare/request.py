"""What the tokens of a run depend on, and the folder that is named by it."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from xl_jax.config import Config
from xl_jax.json_files import fingerprint
from xl_jax.tokens import vocabulary as vocabularies

FORMAT = 2  # of the folder; part of its name
GIVEN = "given"  # beside it, a vocabulary that is not learnt (vocab.type)
START = "start-"  # beside it, and a digest of `Config.start`: the vocabulary of that run


def folder_of(config: Config, folder: Path) -> Path:
    """Where under `folder` the tokens of a run are, or will be. Of a run that starts from one whose
    vocabulary is not kept there yet: a place where nothing is."""
    return folder / fingerprint(request(config, folder), 12, sort_keys=False)


def start_folder(config: Config, folder: Path) -> Path:
    """Where under `folder` the vocabulary of the run `config.start` is kept, so that the prepared
    corpus does not need that run."""
    return folder / f"{START}{fingerprint(config.start, 12)}"


def keeps_start(config: Config, folder: Path) -> bool:
    """Whether it is there, with all its files: vocab.json is the last."""
    return (start_folder(config, folder) / "vocab.json").exists()


def request(config: Config, folder: Path) -> dict[str, Any]:
    """What the tokens depend on."""
    anchors = asdict(config.anchors) if config.anchors.dictionaries else None
    given = config.vocab.type == "given" and not config.start
    start = config.start  # no digest: no corpus was made so
    if start and keeps_start(config, folder):
        start = vocabularies.load(start_folder(config, folder)).digest
    return {
        "format": FORMAT,
        "corpora": {x: config.corpora[x] for x in config.languages},
        "clean": asdict(config.clean),
        "vocab": asdict(config.vocab),
        "anchors": anchors,
        "heldout": config.data.heldout,
        "test": config.data.test,
        "tokens": config.data.tokens,
        "seed": config.seed if config.vocab.mode == "joint" or anchors else 0,
        **({"given": vocabularies.load(folder / GIVEN).digest} if given else {}),
        **({"start": start} if start else {}),
    }
