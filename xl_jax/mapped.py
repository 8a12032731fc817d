"""NER and parsing through a map (paper 5.1.2): for each layer, a task model on the source encoder's
first layers, frozen, with four new layers above; at test the target encoder's first layers stand in
their place, as they are, mapped, or mapped at random. An untrained source encoder meets the
untrained target encoder, through the map between the two.

The map of a layer takes target states to source states. It is learnt from contextual words of
parallel text that translate each other, a word being its first piece, as in the tasks.
"""

import dataclasses
import hashlib
import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from xl_jax import whole
from xl_jax.analysis import aligner, procrustes
from xl_jax.analysis.procrustes import Map
from xl_jax.data.parallel import read_pairs
from xl_jax.data.rows import encode_words
from xl_jax.data.shards import Shard, of_lines
from xl_jax.errors import InputError
from xl_jax.probe import Encoders, Probe, Record
from xl_jax.rundir import Run
from xl_jax.step import init_state
from xl_jax.transfer import Transfer
from xl_jax.tuning import Tuning
from xl_jax.views import View, run_views

NEW_LAYERS = 4
KINDS = {"own": "none", "mapped": "procrustes", "random": "random"}  # names of the target's views


def word_maps(
    probe: Probe, source: str, target: str, encoder: str = "trained"
) -> dict[str, list[Map]]:
    """By kind of rotation, the map of every layer, between trained or between untrained encoders.

    Raises:
      InputError: no sentence pairs, links that do not fit them, encoders of different width.
    """
    c = probe.config
    pairs = [(a, b) for a, b in read_pairs(c.map, source, target) if a and b]
    if c.links:  # they count blank-separated words
        texts = [(_blanks(a), _blanks(b)) for a, b in pairs]
        links = aligner.read_links(c.links, [(a[0], b[0]) for a, b in texts])
    else:
        texts = [(aligner.tokenise(a), aligner.tokenise(b)) for a, b in pairs]
        asked = hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:8]
        kept = probe.run.folder / "eval" / f"links-{source}-{target}-{asked}.txt"
        links = aligner.align([(a[0], b[0]) for a, b in texts], kept)
    links = [aligner.one_to_one(x) for x in links]
    sides = []
    for column, (encoders, language) in enumerate(((probe.source, source), (probe.target, target))):
        lines, parts = _first_pieces(
            encoders, language, [t[column] for t in texts], [x[:, column] for x in links]
        )
        view = encoders.views[encoder][language]
        sides.append(encoders.extractor.words(view, lines, parts))
    both = sides[0].seen & sides[1].seen
    probe.log(f"word pairs: {both.sum():,} of {len(pairs):,} sentence pairs")
    if not both.any():
        raise InputError(f"{c.map}: no word of it has a link")
    x, y = (side.vectors[:, both] for side in sides)
    each = range(min(len(x), len(y)))
    maps = {
        kind: [procrustes.fit(y[i], x[i], c.normalise, kind, seed=i) for i in each]
        for kind in ("procrustes", "random")
    }
    if encoder == "trained":
        probe.keep_maps(maps["procrustes"], "words", source, target)
    return maps


def through_map(
    probe: Probe, tuning: Tuning, log: Callable[[str], None] = print
) -> tuple[list[Record], Path]:
    """Trains and scores what is not there yet, layer by layer.

    Returns:
      The records, and the file eval/TASK-map-DIGEST.json that they were written to.

    Raises:
      InputError, Interrupted, FloatingPointError: see `Transfer`.
    """
    ((source, target),) = probe.language_pairs()
    maps = {encoder: word_maps(probe, source, target, encoder) for encoder in tuning.encoders}
    run = probe.target.run
    params = {"trained": run.trained()[1], "untrained": init_state(run.model).params}
    records: list[Record] = []
    for layer, encoder in itertools.product(probe.layers, tuning.encoders):
        asked = dataclasses.replace(
            tuning,
            source=source,
            encoders=(encoder,),
            layer=layer,
            new_layers=tuning.new_layers or NEW_LAYERS,
            freeze="all",
        )
        given = {}
        for name, kind in KINDS.items():
            view = _view(run, target, params[encoder], asked)
            if kind in maps[encoder]:
                view = dataclasses.replace(view, affine=maps[encoder][kind][layer].affine())
            given[f"{target}.{name}-{encoder}-{probe.of_maps}"] = view
        asked = _tests(asked, source, target, list(given))
        transfer = Transfer(probe.run, asked, given, log)
        transfer.run_all()
        for record in transfer.records():
            name, _, rest = record["target"].partition(".")
            how = KINDS[rest.partition("-")[0]] if rest else "none"
            records.append({**record, "layer": layer, "target": name, "map": how})
    path = probe.run.folder / "eval" / f"{tuning.task}-map-{probe.of_maps}.json"
    written = {"run": probe.run.folder.name, "task": tuning.task, "asked": probe.asked}
    whole.write(path, json.dumps({**written, "records": records}, indent=1, default=str) + "\n")
    return records, path


def _view(run: Run, language: str, params: Any, tuning: Tuning) -> View:
    """The target's own view: of its own run, no leaf of which fine-tuning moves."""
    own = dataclasses.replace(tuning, source=language)
    return dataclasses.replace(run_views(run, own, params)[language], shared=frozenset())


def _tests(tuning: Tuning, source: str, target: str, names: Sequence[str]) -> Tuning:
    """The target's test data under every name of its views."""
    given = tuning.test
    specs = dict.fromkeys((source, target), given) if isinstance(given, str) else dict(given)
    if target not in specs:
        raise InputError(f"{tuning.task}: no test data of {target}: give --data.test")
    test = {x: specs[target].replace("{language}", target) for x in names}
    if source in specs:
        test[source] = specs[source].replace("{language}", source)
    return dataclasses.replace(tuning, test=test, targets=tuple(names))


def _blanks(text: str) -> tuple[list[str], list[bool]]:
    words = text.split()
    return words, [True] * len(words)


def _first_pieces(
    encoders: Encoders,
    language: str,
    texts: Sequence[tuple[list[str], list[bool]]],
    chosen: Sequence[np.ndarray],
) -> tuple[Shard, list[np.ndarray]]:
    """Lines of pieces, and for each token which of the line's links it stands for: the first piece
    of the i-th chosen word has number i."""
    vocabulary = encoders.run.data.vocabulary
    words = encode_words(vocabulary, language, "text")([t[0] for t in texts], [t[1] for t in texts])
    lines, parts = [], []
    for sentence, links in zip(words, chosen, strict=True):
        sizes = [len(word.pieces) for word in sentence]
        starts = np.concatenate([[0], np.cumsum(sizes)]).astype(int)
        firsts = starts[:-1] + [word.first for word in sentence]
        part = np.full(starts[-1], -1)
        part[firsts[links]] = np.arange(len(links))
        lines.append(np.concatenate([np.zeros(0, np.int32), *(w.pieces for w in sentence)]))
        parts.append(part)
    return of_lines([line.astype(np.int32) for line in lines]), parts
