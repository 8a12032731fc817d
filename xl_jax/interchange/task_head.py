"""A head tuned on a task, with the encoder as it was tuned, for `export`."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xl_jax.config import from_dict
from xl_jax.config.finetune import Tuning
from xl_jax.errors import InputError, unknown
from xl_jax.finetune.language_view import View, run_views
from xl_jax.finetune.model import TOP, Leaves
from xl_jax.finetune.results import ResultStore
from xl_jax.interchange.formats import Format
from xl_jax.runs.checkpoint import Checkpoints
from xl_jax.runs.run_directory import Run
from xl_jax.tasks.ner import NER
from xl_jax.tasks.nli import NLI
from xl_jax.tasks.registry import KINDS

KERNEL, BIAS = "head/out/kernel", "head/out/bias"
SMALL = 2.0**-17  # tanh(SMALL x) = SMALL x to float32's precision


@dataclass(frozen=True)
class TaskHead:
    """The classifier of a fine-tuned setting, and the tuned leaves that `view` takes over.

    Attributes:
      result: the setting's result.json.
    """

    task: str
    labels: tuple[str, ...]
    leaves: Leaves
    view: View
    result: Mapping[str, Any]

    def tuned(self, leaves: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The language's leaves, with those that it shares with the source as they were tuned."""
        after = self.view.after(self.leaves)
        return {path: np.asarray(after.get(path, x)) for path, x in leaves.items()}

    def config(self, target: Format) -> dict[str, Any]:
        return {
            "architectures": [target.classes[self.task]],
            "id2label": {str(i): label for i, label in enumerate(self.labels)},
            "label2id": {label: i for i, label in enumerate(self.labels)},
            "problem_type": "single_label_classification",
        }

    def weights(self, target: Format) -> dict[str, np.ndarray]:
        """The classifier's tensors. BERT puts a linear layer and a tanh before a classifier of
        sentence pairs: scaled down so far that tanh is linear, they pass the states on."""
        kernel, bias = np.asarray(self.leaves[KERNEL]).T, np.asarray(self.leaves[BIAS])
        if self.task == "ner":
            return {"classifier.weight": kernel, "classifier.bias": bias}
        if target.name == "xlm":
            return {f"{target.nli}.weight": kernel, f"{target.nli}.bias": bias}
        pooler = "classifier.dense" if target.name == "roberta" else target.prefix + "pooler.dense"
        width = kernel.shape[1]
        return {
            f"{pooler}.weight": np.eye(width, dtype=np.float32) * SMALL,
            f"{pooler}.bias": np.zeros(width, np.float32),
            f"{target.nli}.weight": kernel / SMALL,
            f"{target.nli}.bias": bias,
        }


def load(run: Run, folder: Path, language: str) -> TaskHead:
    """The head of a finished setting, eval/TASK/SETTING-DIGEST, for one language of the run. Its
    labels come from the training data, which has to be where it was.

    Raises:
      InputError: no finished setting of nli or ner; one whose encoder no format holds.
    """
    result = ResultStore(folder.parent).read(folder)
    if result is None:
        raise InputError(f"{folder}: no whole result.json: not the folder of a finished setting")
    asked = {name: x for name, x in result["question"].items() if name != "step"}
    tuning = from_dict(asked, Tuning)
    if tuning.task not in ("nli", "ner"):
        raise unknown("task with a head to export", tuning.task, ("nli", "ner"))
    if tuning.layer != TOP or tuning.new_layers:
        raise InputError(f"{folder}: tune.layer and tune.new_layers change the encoder: no format")
    if result["setting"]["encoder"] != "trained":
        raise InputError(f"{folder}: its encoder was {result['setting']['encoder']}, not trained")
    step, params = run.trained()
    if result["question"]["step"] != step:
        raise InputError(f"{folder}: tuned from step {result['question']['step']}, not {step}")
    checkpoints = Checkpoints(folder / "model", keep=1, read_only=True)
    leaves = checkpoints.flat()
    checkpoints.close()
    if leaves is None:
        raise InputError(f"{folder}: its model was not kept (tune.keep)")
    labels = _labels(tuning)
    if len(labels) != leaves[BIAS].shape[-1]:
        raise InputError(f"{tuning.train}: has {len(labels)} labels, the head {leaves[BIAS].shape}")
    return TaskHead(tuning.task, labels, leaves, run_views(run, tuning, params)[language], result)


def _labels(tuning: Tuning) -> tuple[str, ...]:
    kind = KINDS[tuning.task]
    task = kind.learn(kind.read(tuning.train, tuning.source, Counter()), tuning)
    if isinstance(task, NLI):
        return task.classes
    assert isinstance(task, NER)
    return task.tags
