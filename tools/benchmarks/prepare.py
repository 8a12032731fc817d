"""Preparing text: against SentencePiece's own encoding of it, and over two processes."""

import argparse
import shutil
import tempfile
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece

from tools.benchmarks.racing import race, spread
from tools.benchmarks.torch_step import Arm, Shape
from xl_jax.config import Config, Vocab
from xl_jax.prepare import stages, workers
from xl_jax.prepare.pipeline import prepare
from xl_jax.text.corpora import open_corpora
from xl_jax.text.documents import all_documents

LINES_AT_ONCE = 1000  # of the bare loop
FILE_MB = 100


def config(folder: str, pieces: int) -> Config:
    """One language; its vocabulary learns from less than the smallest text, so that the memory this
    takes is the same for all."""
    vocab = Vocab(mode="disjoint", size=pieces, sample=500_000)
    return Config(languages=("x",), corpora={"x": f"files:{folder}/*.txt"}, vocab=vocab)


def prepare_text(args: argparse.Namespace, shape: Shape) -> list[dict[str, Any]]:
    """MB/s of preparing over those of SentencePiece and over two processes, of every text."""
    records = []
    for name, spec in specs(args.text).items():
        lines = lines_of(spec)
        print(f"\ntext: {name}; {len(lines):,} lines, repeated in random orders")
        records += [{"text": name, **x} for x in speed(args, lines, shape.vocab)]
    return records


def specs(text: str | None) -> dict[str, str]:
    """name -> corpus, of --text: NAME=GLOB;... or GLOB;..."""
    if text is None:
        return {"docstrings": "docstrings:"}
    parts = [part.rpartition("=") for part in text.split(";")]
    return {name or glob: f"files:{glob}" for name, _, glob in parts}


def lines_of(spec: str) -> list[str]:
    source = open_corpora({"x": spec})["x"].source
    return [line for document in all_documents(source) for line in document]


def speed(args: argparse.Namespace, lines: list[str], pieces: int) -> list[dict[str, Any]]:
    """One record a figure and round, of one core by its own seconds and of two processes by the
    clock. The passes over the text are timed, not learning the vocabulary nor the report, which
    take a bounded time."""
    records: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as place, workers.Processes(2) as two:
        folder = Path(place)
        write(folder / "text", lines, max(1, args.corpus_mb // 20))
        asked = config(str(folder / "text"), pieces)
        vocabulary = prepare(asked, folder / "data", lambda _: None).vocabulary
        work = stages.Work(folder / "work", "", asked, 0)
        parts = range(len(stages.opened(work).parts["x"]))
        measured = stages.opened(work).measured("x")
        every = [x for d in all_documents(stages.opened(work).corpora["x"].source) for x in d]
        megabytes = sum(len(x.encode()) + 1 for x in every) / 1e6
        processor = sentencepiece.SentencePieceProcessor(model_proto=vocabulary.models["x"])

        def start() -> None:
            shutil.rmtree(work.folder, ignore_errors=True)
            work.folder.mkdir()
            vocabulary.save(work.folder)

        def bare(steps: int) -> float:
            for first in range(0, len(every), LINES_AT_ONCE):
                processor.encode(every[first : first + LINES_AT_ONCE], num_threads=1)
            return 0.0

        def in_processes(run: workers.Run, steps: int) -> float:
            start()
            for function, indices in ((stages.measure, measured), (stages.encode, parts)):
                name = function.__name__
                arguments = {f"{i}": (work, "x", i) for i in indices}
                workers.each(function, arguments, work.folder / name, run, name)
            return 0.0

        one = workers.Processes(1)
        arms: dict[str, dict[str, Arm]] = {
            "core": {"theirs": bare, "ours": lambda steps: in_processes(one, steps)},
            "wall": {
                "one": lambda steps: in_processes(one, steps),
                "two": lambda steps: in_processes(two, steps),
            },
        }
        arms["wall"]["two"](1)  # starts them
        core = race(arms["core"], args.rounds, 1, clock=time.process_time)
        wall = race(arms["wall"], args.rounds, 1)
    theirs, ours = (np.array(x) for x in core.values())
    one_s, two_s = (np.array(x) for x in wall.values())
    found = {
        "sentencepiece_mb_per_core_second": megabytes / theirs,
        "prepare_mb_per_core_second": megabytes / ours,
        "prepare_over_sentencepiece": theirs / ours,
        "two_processes_over_one": one_s / two_s,
    }
    for metric, values in found.items():
        for r, value in enumerate(values.tolist()):
            records.append({"metric": metric, "mb": megabytes, "round": r, "value": value})
    print(f"\n{megabytes:.0f} MB, a vocabulary of {pieces:,} pieces")
    for metric, values in found.items():
        print(f"{metric.replace('_', ' '):<34}{spread(values.tolist(), 2)}")
    return records


def write(folder: Path, lines: list[str], megabytes: int) -> None:
    """Files of at most FILE_MB, so many MB together: the lines again and again, in new orders."""
    folder.mkdir(parents=True)
    text = shuffled(lines)
    for first in range(0, megabytes, FILE_MB):
        left = 1e6 * min(FILE_MB, megabytes - first)
        with (folder / f"{first:05d}.txt").open("wb") as file:
            while left > 0:
                left -= file.write(next(text))


def shuffled(lines: list[str]) -> Iterator[bytes]:
    for seed in cycle(range(1 << 30)):
        for i in np.random.default_rng(seed).permutation(len(lines)):
            yield f"{lines[i]}\n".encode()
