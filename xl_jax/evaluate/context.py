"""One run, or two, as measurements see them: encoders of two languages, and the vectors they give.

The source language is read by the run's own encoder, the target language by that of the other run
where there is one. Beside the trained encoders stand the controls.
"""

import dataclasses
import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from xl_jax.analysis import procrustes
from xl_jax.analysis.procrustes import Map
from xl_jax.config import EvalOptions
from xl_jax.devices.mesh import one_device
from xl_jax.errors import InputError
from xl_jax.evaluate.encoders import Encoders
from xl_jax.evaluate.pairs import (
    Pairs,
    dictionary_file,
    gold_sentences,
    gold_words,
    read_lines,
    sentence_files,
)
from xl_jax.json_files import fingerprint
from xl_jax.runs.run_directory import Run
from xl_jax.tokens.shards import Shard, of_lines
from xl_jax.training.step import state_shapes

Record = dict[str, Any]

# name -> (source encoder, target encoder): the paper's random encoder is on one side alone
MODELS = {
    "trained": ("trained", "trained"),
    "untrained": ("untrained", "untrained"),
    "untrained target": ("trained", "untrained"),
}
LINES = 10_000  # of candidates, encoded at once
ROTATIONS = ("procrustes", "identity", "random")  # learnt; no rotation; the control


class Probe:
    """What tasks measure on. `other`: the run of the target language, by default the same; `asked`:
    options instead of those in the run's config."""

    def __init__(
        self,
        run: Run,
        other: Run | None = None,
        asked: EvalOptions | None = None,
        log: Callable[[str], None] = print,
    ):
        self.run, self.log = run, log
        self.config = asked or run.config.probe
        self.source = Encoders.of(run)
        self.target = self.source if other is None else Encoders.of(other)
        self._found: dict[Any, np.ndarray] = {}

    @cached_property
    def asked(self) -> Record:
        """What the records depend on beside the task and the run."""
        c = self.config
        named = [c.pairs, c.candidates, c.dictionary, c.map, c.map_dictionary, c.links]
        paths = [Path(x) for name in named for x in re.split("[;,]", name) if Path(x).is_file()]
        asked = {"step": self.source.step, "probe": vars(c), "files": [_digest(x) for x in paths]}
        if self.target is not self.source:
            other = self.target.run.folder
            asked |= {"other": other.name, "other_step": self.target.step}
            asked["other_config"] = _digest(other / "config.json")
        return asked

    @property
    def of_maps(self) -> str:
        """A digest of what maps depend on."""
        fields = ("map", "map_dictionary", "links", "normalise", "text", "types", "fasttext")
        asked = self.asked | {"probe": {x: getattr(self.config, x) for x in fields}}
        return fingerprint(asked)

    def language_pairs(self) -> list[tuple[str, str]]:
        """The pair asked for, or the first language with each one of the other encoder's.

        Raises:
          InputError: a language the runs do not have; files for one pair, and several pairs.
        """
        c, run, other = self.config, self.run, self.target.run
        source = run.config.languages[run.language(c.source)] if c.source else ""
        source = source or run.config.languages[0]
        names = [x for x in other.config.languages if other is not run or x != source]
        targets = [other.config.languages[other.language(c.target)]] if c.target else names
        files = (c.pairs, c.candidates, c.dictionary, c.map, c.map_dictionary)
        if len(targets) > 1 and any(files):
            raise InputError(f"files of which pair? give --target: one of {', '.join(targets)}")
        return [(source, target) for target in targets]

    @cached_property
    def layers(self) -> list[int]:
        """Those that both encoders have, 0 the embeddings; of them those asked for.

        Raises:
          InputError: a layer out of range.
        """
        last = min(self.source.layers, self.target.layers)
        for layer in self.config.layers:
            if not 0 <= layer <= last:
                raise InputError(f"layer {layer}: the encoders have layers 0 to {last}")
        return list(self.config.layers) or list(range(last + 1))

    def sentences(self, source: str, target: str) -> Pairs | None:
        """The sentence pairs to measure on, None where there are none."""
        c = self.config
        if c.pairs:
            return self._files(source, target, c.pairs)
        if not self._gold:
            return None
        return gold_sentences(self.run.data, source, target, c.sentences, c.length)

    def words(self, source: str, target: str) -> Pairs | None:
        """The word pairs to measure on, None where there are none."""
        c = self.config
        if c.dictionary:
            data = (self.run.data, self.target.run.data)
            return dictionary_file(data[0], source, target, c.dictionary, data[1])
        return gold_words(self.run.data, source, target, c.words) if self._gold else None

    def candidates(self, target: str, pairs: Pairs) -> Pairs:
        """The pairs with the lines of `probe.candidates` as further target sentences, which no
        source sentence means.

        Raises:
          InputError: no such file.
        """
        name = self.config.candidates
        if not name:
            return pairs
        lines = list(filter(None, map(str.strip, read_lines(name))))
        encode = self.target.run.data.vocabulary.encoder(target)
        more = [
            x for first in range(0, len(lines), LINES) for x in encode(lines[first : first + LINES])
        ]
        every = Shard([*pairs.target.parts, *of_lines(more).parts])
        named = f"{pairs.name} among {len(every):,}"
        return dataclasses.replace(pairs, name=named, target=every)

    def vectors(
        self,
        model: str,
        source: str,
        target: str,
        pairs: Pairs,
        layers: Sequence[int] | None = None,
    ) -> tuple[Any, Any]:
        """[layers, n, D] of both sides; of all layers, or of those given, in this order."""
        of_source, of_target = MODELS[model]
        return (
            self._side(self.source, of_source, source, pairs.source, layers),
            self._side(self.target, of_target, target, pairs.target, layers),
        )

    def maps(self, model: str, source: str, target: str) -> dict[str, list[Map]]:
        """By kind of rotation, for every layer, the map of the target's space into the source's,
        learnt from the sentence pairs of `probe.map`; nothing where it is empty.

        Raises:
          InputError: spaces of different width.
        """
        if not self.config.map:
            return {}
        pairs = self._files(source, target, self.config.map)
        x, y = self.vectors(model, source, target, pairs)
        each = range(min(len(x), len(y)))
        normalise = self.config.normalise
        found = {
            kind: [procrustes.fit(y[i], x[i], normalise, kind, seed=i) for i in each]
            for kind in ROTATIONS
        }
        if model == "trained":
            self.keep_maps(found["procrustes"], "sentences", source, target)
        return found

    def keep_maps(self, maps: Iterable[Map], of: str, source: str, target: str) -> None:
        """Writes the maps of the target's space into the source's, a file a layer from 0 on, for
        `procrustes.load`: eval/maps/OF-TARGET-SOURCE-DIGEST/layer_N.npz, see `of_maps`."""
        folder = self.run.folder / "eval" / "maps" / f"{of}-{target}-{source}-{self.of_maps}"
        if not folder.exists():
            self.log(f"maps: {folder}")
        folder.mkdir(parents=True, exist_ok=True)
        for layer, turned in enumerate(maps):
            turned.save(folder / f"layer_{layer}.npz")

    def common(self, model: str, n: int, data: str) -> Record:
        """What every record says of its origin."""
        return {
            "n": n,
            "data": data,
            "model": model,
            "seed": self.run.config.seed,
            "step": self.source.step if MODELS[model][0] == "trained" else 0,
        }

    def steps(self, encoders: Encoders) -> list[tuple[int, dict[str, Any]]]:
        """(step, views) of every checkpoint that is kept, oldest first."""
        checkpoints = encoders.run.checkpoints(self.log)
        shapes = state_shapes(encoders.run.model, one_device())
        found = [
            (step, encoders.run.views(checkpoints.at(step, shapes).params))
            for step in checkpoints.steps
        ]
        checkpoints.close()
        return found

    @property
    def _gold(self) -> bool:
        return self.target is self.source

    def _files(self, source: str, target: str, spec: str) -> Pairs:
        pairs = sentence_files(self.run.data, source, target, spec, self.target.run.data)
        if pairs.dropped:
            self.log(f"{pairs.name}: {pairs.dropped:,} pairs with an empty side are left out")
        return pairs

    def _side(
        self,
        encoders: Encoders,
        kind: str,
        language: str,
        lines: Shard,
        layers: Sequence[int] | None,
    ) -> np.ndarray:
        layers = range(encoders.layers + 1) if layers is None else layers
        content = hashlib.sha256()
        for part in lines.parts:
            content.update(np.ascontiguousarray(part.tokens).data)
            content.update(np.ascontiguousarray(part.starts).data)
        place = (id(encoders), kind, language, content.digest(), tuple(layers))
        if place not in self._found:
            view = encoders.views[kind][language]
            self._found[place] = encoders.extractor.sentences(view, lines, layers)
        return self._found[place]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
