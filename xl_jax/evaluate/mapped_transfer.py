"""NER and parsing through a map (paper 5.1.2): for each layer, a task model on the source encoder's
first layers, frozen, with four new layers above; at test the target encoder's first layers stand in
their place, as they are, mapped, or mapped at random. An untrained source encoder meets the
untrained target encoder, through the map between the two.

The map of a layer takes target states to source states. It is learnt from contextual words of
parallel text that translate each other, a word being its first piece, as in the tasks.
"""

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from xl_jax.analysis import record
from xl_jax.analysis.record import Record, RecordFile
from xl_jax.config import to_dict
from xl_jax.config.finetune import Tuning
from xl_jax.errors import InputError
from xl_jax.evaluate.context import Context
from xl_jax.evaluate.maps import digest as maps_digest
from xl_jax.evaluate.word_maps import word_maps
from xl_jax.finetune.language_view import View, run_views
from xl_jax.finetune.transfer import Transfer
from xl_jax.finetune.twin_data import with_twins
from xl_jax.json_files import fingerprint, plain
from xl_jax.runs.run_directory import Run
from xl_jax.training.step import init_state

NEW_LAYERS = 4
NOT_DECISIVE = ("source", "targets", "parallel", "steps_per_call", "keep")  # change no record here
KINDS = {"own": "none", "mapped": "procrustes", "random": "random"}  # names of the target's views


def through_map(
    context: Context, tuning: Tuning, log: Callable[[str], None] = print
) -> tuple[list[Record], Path]:
    """Trains and scores what is not there yet, layer by layer.

    Returns:
      The records, and the file that they were written to, see `file_of`.

    Raises:
      InputError, Interrupted, FloatingPointError: see `Transfer`; several pairs of languages.
    """
    source, target = _pair(context, tuning.task)
    tests = _tests(context, tuning, source, target)
    maps = {weights: word_maps(context, source, target, weights) for weights in tuning.encoders}
    digest = maps_digest(context)
    run = context.target.run
    params = {"trained": context.target.params, "untrained": init_state(run.model).params}
    records: list[Record] = []
    for layer, weights in itertools.product(context.layers, tuning.encoders):
        settings = dataclasses.replace(
            tuning,
            source=source,
            encoders=(weights,),
            layer=layer,
            new_layers=tuning.new_layers or NEW_LAYERS,
            freeze="all",
        )
        given = {}
        for name, kind in KINDS.items():
            view = _view(run, target, params[weights], settings)
            if kind in maps[weights]:
                view = dataclasses.replace(view, affine=maps[weights][kind][layer].affine())
            given[f"{target}.{name}-{weights}-{digest}"] = view
        of_views = dict.fromkeys(given, tests[target])
        of_source = {x: spec for x, spec in tests.items() if x == source}
        settings = dataclasses.replace(settings, test=of_views | of_source, targets=tuple(given))
        transfer = Transfer(context.run, settings, given, log)
        transfer.run_all()
        for flat in transfer.records():
            name, _, rest = flat["target"].partition(".")
            kind = KINDS[rest.partition("-")[0]] if rest else "none"
            records.append(Record.from_json({**flat, "layer": layer, "target": name, "map": kind}))
    path = file_of(context, tuning, (source, target), records)
    file = RecordFile(context.run.folder.name, tuning.task, context.request, records)
    record.write(path, file)
    return records, path


def file_of(
    context: Context, tuning: Tuning, pair: tuple[str, str], records: Sequence[Record]
) -> Path:
    """eval/TASK-map-DIGEST.json; the digest is of the whole request, so that another one has
    another file. Earlier versions named it after the maps alone: where such a file holds these
    records, it stays."""
    maps = maps_digest(context)
    old = context.run.folder / "eval" / f"{tuning.task}-map-{maps}.json"
    there = record.finished(old, context.request, context.log)
    if there and _flat(there) == _flat(records):
        return old
    settings = {k: x for k, x in to_dict(tuning).items() if k not in NOT_DECISIVE}
    digest = fingerprint([maps, pair, context.layers, settings])
    return old.with_name(f"{tuning.task}-map-{digest}.json")


def _flat(records: Sequence[Record]) -> Any:
    return plain([r.to_json() for r in records])


def _pair(context: Context, task: str) -> tuple[str, str]:
    """Raises InputError: there is none, or not one alone."""
    pairs = context.language_pairs
    if not pairs:
        raise InputError(f"{context.run.folder} has one language: give --other=RUN for a target")
    if len(pairs) > 1:
        known = ", ".join(f"--source={a} --target={b}" for a, b in pairs)
        raise InputError(f"{task} through a map is of one pair of languages: give one of {known}")
    return pairs[0]


def _view(run: Run, language: str, params: Any, tuning: Tuning) -> View:
    """The target's own view: of its own run, no leaf of which fine-tuning moves."""
    own = dataclasses.replace(tuning, source=language)
    return dataclasses.replace(run_views(run, own, params)[language], shared=frozenset())


def _tests(context: Context, tuning: Tuning, source: str, target: str) -> dict[str, str]:
    """The target's test data, and the source's where they are given.

    Raises:
      InputError: there are none of the target.
    """
    given = tuning.test
    test = dict.fromkeys((source, target), given) if isinstance(given, str) else dict(given)
    test = {x: spec.replace("{language}", x) for x, spec in test.items() if spec}
    corpora = {target: context.target.run.config.corpora[target]}
    test[target] = with_twins(corpora, test, (target,)).get(target, "")
    if not test[target]:
        raise InputError(f"{tuning.task}: no test data of {target}: give --data.test")
    return test
