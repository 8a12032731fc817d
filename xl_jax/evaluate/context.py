"""What every task of an evaluation is given: one run, or two, and the options."""

import copy
import dataclasses
import hashlib
import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from xl_jax.analysis import record
from xl_jax.analysis.record import Record
from xl_jax.config import EvalOptions
from xl_jax.errors import InputError, unknown
from xl_jax.evaluate.encoders import RANDOM, Encoders
from xl_jax.runs.run_directory import Run

# name -> weights of the source's encoder, and of one or several target encoders
MODELS = {
    "trained": ("trained", ("trained",)),
    "untrained": ("untrained", ("untrained",)),
    "untrained target": ("trained", RANDOM),  # the paper's random encoder (5.2)
}


ALL = "all"  # as source of the options: every pair of languages
FILES = ("pairs", "candidates", "dictionary", "map", "map_dictionary", "links")


class Context:
    """The encoders of a source and a target language, and what is measured on them.

    Args:
      run: its encoders read the source language.
      other: the run whose encoders read the target language; by default the same.
      options: in place of those in the run's config.
    """

    def __init__(
        self,
        run: Run,
        other: Run | None = None,
        options: EvalOptions | None = None,
        log: Callable[[str], None] = print,
    ):
        self.run, self.log = run, log
        self.models: Sequence[str] = tuple(MODELS)  # that are measured
        self.options = options or run.config.probe
        special = self.options.special_tokens
        self.source = Encoders(run, special)
        self.target = self.source if other is None else Encoders(other, special)

    @cached_property
    def request(self) -> dict[str, Any]:
        """What the records depend on beside the task and the run."""
        files = [
            _digest(Path(path))
            for pair in self.language_pairs or [("", "")]
            for name in FILES
            for path in re.split("[;,]", getattr(self.between(*pair), name))
            if Path(path).is_file()
        ]
        request = {"step": self.source.step, "probe": self.options.request, "files": files}
        if self.target is not self.source:
            other = self.target.run.folder
            request |= {"other": other.name, "other_step": self.target.step}
            request["other_config"] = _digest(other / "config.json")
        return request

    @cached_property
    def language_pairs(self) -> list[tuple[str, str]]:
        """The pair of the options, or the first language with each one of the other encoder's; or
        every pair, where the source of the options is `ALL`.

        Raises:
          InputError: a language the runs do not have; files for one pair, and several pairs.
        """
        languages = self.run.config.languages, self.target.run.config.languages
        return language_pairs(*languages, self.options, self.target is self.source)

    def over_training(self) -> Iterator["Context"]:
        """The trained encoders at step 0 and at every checkpoint that is kept, oldest first."""
        for encoders in self.source.over_training(self.log):
            other = copy.copy(self)
            other.models = ("trained",)
            other.source = other.target = encoders
            yield other

    def between(self, source: str, target: str) -> EvalOptions:
        """The options for a pair of languages, see `between`."""
        return between(self.options, source, target)

    def finished(
        self,
        path: Path,
        request: Mapping[str, Any],
        content: Mapping[str, Any] | None = None,
    ) -> list[Record]:
        """See `record.finished`. Earlier versions called all that stands at step 0 untrained, what
        was imported or only started from another run too: such a file is none."""
        found = record.finished(path, request, self.log, content)
        models = {r.model for r in found}
        if self.source.step == 0 and "untrained" in models and "trained" not in models:
            self.log(f"{path} calls the run's checkpoint untrained: measured again")
            return []
        return found

    @cached_property
    def layers(self) -> list[int]:
        """Those that both encoders have, 0 the embeddings; of them those of the options.

        Raises:
          InputError: a layer out of range.
        """
        last = min(self.source.last_layer, self.target.last_layer)
        for layer in self.options.layers:
            if not 0 <= layer <= last:
                raise InputError(f"layer {layer}: the encoders have layers 0 to {last}")
        return list(self.options.layers) or list(range(last + 1))

    def origin(self, model: str, source: str, target: str) -> dict[str, Any]:
        """Fields of every record about the encoders `model`."""
        if model == "trained" and self.source.at_start:  # where curves begin
            model = "untrained"
        return {
            "source": source,
            "target": target,
            "model": model,
            "seed": self.run.config.seed,
            "step": self.source.step if MODELS[model][0] == "trained" else 0,
        }


def language_pairs(
    sources: Sequence[str], targets: Sequence[str], options: EvalOptions, one_run: bool
) -> list[tuple[str, str]]:
    """See `Context.language_pairs`; of the languages of the source's and of the target's run."""
    o = options
    every = o.source == ALL and ALL not in sources
    for name, known in (("" if every else o.source, sources), (o.target, targets)):
        if name and name not in known:
            raise unknown("language of the evaluation", name, known)
    if every:
        both = (
            itertools.combinations(sources, 2) if one_run else itertools.product(sources, targets)
        )
        pairs = [pair for pair in both if o.target in ("", pair[1])]
    else:
        source = o.source or sources[0]
        targets = [o.target] if o.target else [x for x in targets if not one_run or x != source]
        pairs = [(source, target) for target in targets]
    fixed = [x for name in FILES if (x := getattr(o, name)) and _filled(x, "", "") == x]
    if len(pairs) > 1 and fixed:
        known = ", ".join(dict.fromkeys(target for _, target in pairs))
        raise InputError(
            f"files of which pair? give --target: one of {known}; or name the files of every pair, "
            "as in {source}-{target}.txt"
        )
    return pairs


def between(options: EvalOptions, source: str, target: str) -> EvalOptions:
    """The options for a pair of languages: `{source}` and `{target}` in the names of files are
    replaced by theirs."""
    filled: dict[str, Any] = {
        name: _filled(getattr(options, name), source, target) for name in FILES
    }
    return dataclasses.replace(options, **filled)


def _filled(name: str, source: str, target: str) -> str:
    return name.replace("{source}", source).replace("{target}", target)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
