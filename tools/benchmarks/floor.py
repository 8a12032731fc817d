"""The least time that a benchmark's work could take: its operations at the rate of this machine's
own large matrix product, or its bytes at the rate of a copy in memory."""

import argparse
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tools.benchmarks import analysis
from tools.benchmarks.finetune import draw_sentences
from tools.benchmarks.step import matmul_peaks, shared_model
from tools.benchmarks.torch_step import Shape

Record = dict[str, Any]
COPIED = 1 << 27  # bytes, more than caches hold
TRIES = 3


class Work(NamedTuple):
    """What one of `unit` takes: floating-point operations, or bytes read and written."""

    unit: str
    amount: float
    kind: str = "FLOP"


def floors(args: argparse.Namespace, shape: Shape) -> list[Record]:
    """A record a part of the benchmark `args.command`, in seconds; printed too. Compiling and
    starting have none."""
    records: list[Record] = []
    for work in _WORK[args.command](args, shape) if args.command in _WORK else ():
        rate = flops_per_second(args.matmul) if work.kind == "FLOP" else bytes_per_second()
        seconds = work.amount / rate
        print(
            f"floor of {work.unit}: {seconds:.3g} s ({work.amount:.3g} {work.kind} at {rate:.3g}/s)"
        )
        more = {"unit": work.unit, "amount": work.amount, "kind": work.kind, "per_second": rate}
        records.append({"metric": "floor_seconds", "value": seconds, **more})
    return records


def flops_per_second(size: int) -> float:
    """Of a float32 product of `size` squared in JAX."""
    measure = matmul_peaks(size, with_torch=False)["jax"]
    return 1e9 * max(measure() for _ in range(TRIES))


def bytes_per_second() -> float:
    """Of a copy in memory, read and written."""
    there, here = np.ones(COPIED, np.uint8), np.zeros(COPIED, np.uint8)

    def seconds() -> float:
        start = time.perf_counter()
        np.copyto(here, there)
        return time.perf_counter() - start

    return 2 * COPIED / min(seconds() for _ in range(TRIES))


def _step(args: argparse.Namespace, shape: Shape) -> list[Work]:
    from xl_jax.training.step import flops_per_step

    return [Work("a step", flops_per_step(shared_model(shape, ("en",))))]


def _main_job(args: argparse.Namespace, shape: Shape) -> list[Work]:
    from tools.benchmarks.input import tiny_model
    from xl_jax.training.step import flops_per_step

    model = tiny_model()
    return [Work("the training", model.config.steps * flops_per_step(model))]


def _input(args: argparse.Namespace, shape: Shape) -> list[Work]:
    stored, batch = 2, 4  # bytes of a token
    return [Work("a window of the shape", (stored + batch) * shape.length, "bytes")]


def _prepare(args: argparse.Namespace, shape: Shape) -> list[Work]:
    return [Work("reading and writing 1 MB", 2e6, "bytes")]


def _finetune(args: argparse.Namespace, shape: Shape) -> list[Work]:
    lengths = np.array([len(tokens) for tokens, _ in draw_sentences(shape)])
    return [Work("a sentence", 3 * float(_encoder(shape, lengths).mean()))]


def _analysis(args: argparse.Namespace, shape: Shape) -> list[Work]:
    n, width, layers = analysis.LEAST_CKA if args.smallest else analysis.CKA
    lengths = analysis.line_lengths(args.sentences, shape)
    work = {
        "csls": Work("all words", 2.0 * args.words**2 * analysis.WIDTH),
        "features": Work("all sentences", float(_encoder(shape, lengths + 2).sum())),
        # products of every pair of layers, and of each layer with itself
        "cka": Work("all pairs of layers", 2.0 * n * width**2 * (layers**2 + 2 * layers)),
        # neighbours, then ranks
        "candidates": Work("searching", 4.0 * analysis.SOURCES * args.words * shape.width),
    }
    return [work[part] for part in args.parts.split(",")]


def _encoder(shape: Shape, lengths: np.ndarray) -> np.ndarray:
    """FLOP of the encoder alone, forward, on rows of so many tokens."""
    maps = 4 * shape.width**2 + 2 * shape.width * shape.ffn
    return shape.layers * lengths * (2.0 * maps + 4.0 * lengths * shape.width)


_WORK: dict[str, Callable[[argparse.Namespace, Shape], list[Work]]] = {
    "step": _step,
    "operations": _step,
    "masks": _step,
    "last_layer": _step,
    "gradients": _step,
    "virtual": _step,
    "main_job": _main_job,
    "input": _input,
    "prepare": _prepare,
    "finetune": _finetune,
    "analysis": _analysis,
}
