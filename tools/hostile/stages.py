"""The stages of a run as commands, and what they leave that has to be the same every time."""

import hashlib
import json
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
CONFIG = Path(__file__).with_name("config.py")
NER = "files:tests/stored/ner/{language}."
PARTS = ("train", "dev", "test")
TUNE_FILE = "configs/finetune_small.py:ner"
TUNE = (
    *("--tune.epochs=2", "--tune.best=1", "--tune.batch=8", "--tune.lr=1e-3"),
    *("--tune.seeds=0", "--tune.encoders=trained"),
)
EVALUATED = "retrieval,cka,perplexity"
STAGES = ("prepare", "train", "tune", "evaluate")
TOKENS = ("*.tokens", "*.npy", "*.model", "vocab.json")


class Outcome(StrEnum):
    SAME = "same"  # the results are those of an undisturbed run
    TOLD = "told"  # the same, and the harm was named
    REFUSED = "refused"  # one line says what is wrong; nothing was done
    LOST = "lost"  # other results, or none; something was said
    SILENT = "silent"  # other results and not a word
    CRASHED = "crashed"  # a traceback


GOOD = {Outcome.SAME, Outcome.TOLD, Outcome.REFUSED}


class Trial(NamedTuple):
    harm: str  # what was done
    outcome: Outcome
    said: str  # the last lines of the program
    kills: int = 0  # signals that met a program at work


def command(stage: str, folder: Path) -> list[str]:
    """The words of a stage of the run directory `folder`."""
    config, run = f"--config={CONFIG}", f"--workdir={folder}"
    words = {
        "prepare": ["tools/prepare_corpus.py", config, f"--out={folder / 'data'}"],
        "train": ["train.py", config, run],
        "tune": [
            *("eval.py", run, "--task=ner", f"--tune={TUNE_FILE}", *TUNE),
            *(f"--data.{part}={NER}{part}.bio" for part in PARTS),
        ],
        "evaluate": ["eval.py", run, f"--task={EVALUATED}", "--again"],
    }
    program, *flags = words[stage]
    return [str(ROOT / program), *flags]


def results(folder: Path) -> dict[str, Any]:
    """Digests of tokens, state and scores in a run directory; what is not there is left out."""
    found: dict[str, Any] = {}
    for pattern in TOKENS:
        for path in sorted(folder.glob(f"data/*/{pattern}")):
            found[str(path.relative_to(folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
    if (folder / "checkpoints").exists():
        found["state"] = _state(folder)
    for path in sorted(folder.glob("eval/*.json")):
        found[path.name] = _read(path, "records")
    for path in sorted(folder.glob("eval/ner/*/result.json")):
        found[path.parent.name] = [_read(path, "dev"), _read(path, "scores")]
    return found


def _read(path: Path, name: str) -> Any:
    """A field of a JSON file; where it is damaged, that."""
    try:
        return json.loads(path.read_bytes())[name]
    except (ValueError, KeyError, TypeError) as error:
        return f"damaged: {error}"


def _state(folder: Path) -> list[Any]:
    """[step, digest of every leaf] of the newest state, its content verified."""
    from xl_jax.devices.mesh import one_device
    from xl_jax.runs import run_directory
    from xl_jax.runs.checkpoint import leaf_digests

    found = run_directory.restore(run_directory.load(folder), one_device())
    assert found is not None
    return [found[0], leaf_digests(found[1])]


def judge(expected: Mapping[str, Any], folder: Path, said: str) -> Outcome:
    """How a run came out that has been brought to its end after the harm."""
    if "Traceback" in said:
        return Outcome.CRASHED
    same = results(folder) == expected
    told = any(word in said for word in ("damaged", "changed", "made again", "not what was saved"))
    if same:
        return Outcome.TOLD if told else Outcome.SAME
    return Outcome.LOST if said.strip() else Outcome.SILENT
