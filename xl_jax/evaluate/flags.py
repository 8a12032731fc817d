"""The flags of `eval.py`, without --workdir, --config and --tune. A study reads them beforehand."""

import dataclasses
from typing import Any

from absl import flags

from xl_jax import cli
from xl_jax.config import PROBE, EvalOptions, Tuning
from xl_jax.config import TASKS as TRANSFER
from xl_jax.errors import InputError


class EvalFlags:
    """Defines them in `values`, and has what was given."""

    def __init__(self, values: flags.FlagValues):
        v: dict[str, Any] = {"flag_values": values}
        self.task = flags.DEFINE_list(
            "task", [], "Tasks, separated by commas; those without training if none.", **v
        )
        self.steps = flags.DEFINE_enum(
            "steps",
            "last",
            ["last", "all"],
            "The newest checkpoint, or step 0 and every one that was kept.",
            **v,
        )
        self.again = flags.DEFINE_bool(
            "again", False, "Measure also what has already been measured.", **v
        )
        self.source = flags.DEFINE_string(
            "source",
            None,
            "Source language (default: the run's first); all: every pair of languages.",
            **v,
        )
        self.target = flags.DEFINE_string(
            "target", None, "Target language (default: each of the others).", **v
        )
        self.other = cli.define_folder(
            "other", "Run directory of the target language's encoder.", values, bucket=True
        )
        self.map = flags.DEFINE_string(
            "data.map", None, "Sentence pairs to learn a map from, as data.pairs.", **v
        )
        # what comes after the dot is the name of a field of `EvalOptions`
        self._options = (
            self.source,
            self.target,
            self.map,
            flags.DEFINE_list("probe.layers", None, "Layers to measure (default: all).", **v),
            flags.DEFINE_string(
                "data.pairs",
                None,
                "Sentence pairs: SOURCE_FILE,TARGET_FILE, line by line (Tatoeba).",
                **v,
            ),
            flags.DEFINE_string(
                "data.dictionary",
                None,
                "Word pairs: a file of two columns, source and target word (MUSE).",
                **v,
            ),
            flags.DEFINE_string(
                "data.candidates",
                None,
                "Retrieval: a file of further target sentences to choose among.",
                **v,
            ),
            flags.DEFINE_string(
                "data.map_dictionary",
                None,
                "Word pairs to learn a map from, as data.dictionary.",
                **v,
            ),
            flags.DEFINE_string(
                "data.links",
                None,
                "Word alignment of data.map's blank-separated words (Pharaoh: 0-0 1-2).",
                **v,
            ),
            flags.DEFINE_integer(
                "probe.text", None, "Induction: lines of text to average over.", **v
            ),
            flags.DEFINE_integer("probe.types", None, "Induction: most frequent words kept.", **v),
            flags.DEFINE_integer(
                "probe.fasttext",
                None,
                "Induction: width of fastText vectors of the same text (0 = none).",
                **v,
            ),
            flags.DEFINE_string(
                "probe.normalise",
                None,
                "Of both spaces before a map is learnt: iterative, centre or none.",
                **v,
            ),
            flags.DEFINE_string("probe.kernel", None, "CKA: linear or rbf.", **v),
            flags.DEFINE_bool(
                "probe.centred",
                None,
                "CKA: centred (without, unrelated spaces may seem alike).",
                **v,
            ),
            flags.DEFINE_bool("probe.debiased", None, "CKA: without the bias of few items.", **v),
            flags.DEFINE_bool(
                "probe.special_tokens",
                None,
                "Means of sentences count their special tokens.",
                **v,
            ),
        )
        self.train = flags.DEFINE_string(
            "data.train", None, "Fine-tuning: the source language's training data.", **v
        )
        self.dev = flags.DEFINE_string("data.dev", None, "Fine-tuning: its development data.", **v)
        self.test = flags.DEFINE_multi_string(
            "data.test",
            [],
            "Fine-tuning: LANGUAGE=SPEC, for each; or one SPEC with {language} in it.",
            **v,
        )

    @property
    def of_labels(self) -> str:
        """The task that needs labels, "" where none does."""
        return next((x for x in self.task.value if x in (*TRANSFER, PROBE)), "")

    def check(self) -> None:
        """Raises InputError: flags that do not go together."""
        tasks, task = self.task.value, self.of_labels
        if task and len(tasks) > 1:
            alone = ", ".join((*TRANSFER, PROBE))
            raise InputError(f"--task={','.join(tasks)}: {alone} go one at a time")
        if task in TRANSFER:
            if self.other.value and not self.map.value:
                raise InputError(f"--task={task} --other: learn a map with --data.map=PAIRS")
            if self.steps.value == "all":
                raise InputError(
                    f"--task={task} --steps=all: it fine-tunes the newest checkpoint alone"
                )
            if self.again.value:
                raise InputError(
                    f"--task={task} --again: finished settings are kept; to make one again, remove "
                    f"its folder in eval/{task}"
                )
        if self.steps.value == "all" and self.other.value:
            raise InputError("--steps=all reads one run: leave out --other")

    def tuning(self, given: Tuning) -> Tuning:
        """Settings of fine-tuning with the languages, training and development data of the command
        line; test data need the run's languages (`finetune.request.test_specs`)."""
        targets = tuple(self.target.value.split(",")) if self.target.value else None
        fields: dict[str, Any] = {"source": self.source.value, "targets": targets}
        fields |= {"train": self.train.value, "dev": self.dev.value}
        return dataclasses.replace(given, **{x: v for x, v in fields.items() if v is not None})

    def options(self, given: EvalOptions) -> EvalOptions:
        """A run's own options with those of the command line."""
        found: dict[str, Any] = {
            f.name.rpartition(".")[2]: f.value for f in self._options if f.value is not None
        }
        if "layers" in found:
            found["layers"] = tuple(map(_number, found["layers"]))
        return dataclasses.replace(given, **found)


def _number(text: str) -> int:
    if not text.isdecimal():
        raise InputError(f"--probe.layers: {text!r} is not the number of a layer")
    return int(text)
