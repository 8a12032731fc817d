"""The analysis: CSLS induction against faiss, feature extraction against transformers, CKA's time.

csls: the best target word by CSLS for each of --words source words among as many; faiss does the
same with flat (exact) inner products: the k-NN means of both sides, then one more search in which
the means ride along as an additional dimension.
features: sentence means of every layer; lines of 5 to 60 pieces. transformers runs BertModel in
PyTorch with the hidden states of all layers, in batches padded to their longest line: as the lines
come, and sorted by length.
cka: 10,000 sentences, nine layers of width 768 with nine, with intervals.
candidates: 1,000 sentences' translations among --words sentences: these through the model of
configs/tiny.py, then CSLS of vectors of the shape's width, both ways; seconds of cores, and memory.
"""

import argparse
import importlib.util
import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from tools.benchmarks.racing import race, spread
from tools.benchmarks.step import shared_model
from tools.benchmarks.torch_step import Arm, Shape, bert_config
from xl_jax.errors import unknown
from xl_jax.tokens.special import N_SPECIAL

WIDTH = 300  # of the words' vectors, as fastText's
K = 10
ROWS = 64  # of a batch in PyTorch
CKA, LEAST_CKA = (10_000, 768, 9), (500, 16, 2)  # sentences, width, layers; of a try

SOURCES = 1000  # sentences whose translations `candidates` looks for

Record = dict[str, Any]


def analysis(args: argparse.Namespace, shape: Shape) -> list[Record]:
    """Records of the parts asked for."""
    parts: dict[str, Callable[[argparse.Namespace, Shape], list[Record]]] = {
        "csls": csls,
        "features": features,
        "cka": cka,
        "candidates": candidates,
    }
    for name in args.parts.split(","):
        if name not in parts:
            raise unknown("part of the analysis", name, parts)
    return [r for name in args.parts.split(",") for r in parts[name](args, shape)]


def csls(args: argparse.Namespace, shape: Shape) -> list[Record]:
    """Seconds by arm and round, agreement of the answers, peak memory of ours."""
    from xl_jax.analysis.neighbours import csls as ours
    from xl_jax.analysis.vectors import unit

    random = np.random.default_rng(0)
    x = unit(random.standard_normal((args.words, WIDTH), dtype=np.float32))
    y = unit(x + random.standard_normal(x.shape, dtype=np.float32) / WIDTH**0.5)
    answers: dict[str, np.ndarray] = {}

    def xl_jax(steps: int) -> float:
        for _ in range(steps):
            answers["xl_jax"] = ours(x, y, 1, K).index[:, 0]
        return 0.0

    ours(x[:5000], y[:5000], 1, K)  # small shapes: what compiling itself allocates
    before = _peak_mb()
    start = time.perf_counter()
    xl_jax(1)
    first, grown = time.perf_counter() - start, _peak_mb() - before
    arms: dict[str, Arm] = {"xl_jax": xl_jax}
    if importlib.util.find_spec("faiss"):
        import faiss

        faiss.omp_set_num_threads(args.threads)

        def peer(steps: int) -> float:
            for _ in range(steps):
                answers["faiss"] = _faiss_csls(faiss, x, y)
            return 0.0

        arms["faiss"] = peer
    else:
        print("left out: faiss (pip install -r requirements-bench.txt)")
    seconds = race(arms, args.rounds, 1)
    inputs = (x.nbytes + y.nbytes) / 1e6
    print(
        f"CSLS, {args.words:,} x {args.words:,} words of width {WIDTH}: first call {first:.1f} s; "
        f"peak memory grew by {grown:,.0f} MB (vectors {inputs:,.0f} MB, a matrix of scores would "
        f"take {4 * args.words**2 / 1e6:,.0f} MB)"
    )
    records: list[Record] = [
        {"metric": "csls_first_seconds", "arm": "xl_jax", "value": first},
        {"metric": "csls_peak_mb", "arm": "xl_jax", "value": grown, "vectors_mb": inputs},
    ]
    if "faiss" in answers:
        same = float((answers["faiss"] == answers["xl_jax"]).mean())
        print(f"the same answer for {same:.2%} of the words")
        records.append({"metric": "csls_agreement", "value": same, "n": args.words})
    return records + _table("csls", seconds, args.words, "words/s")


def _faiss_csls(faiss: Any, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    def index(vectors: np.ndarray) -> Any:
        made = faiss.IndexFlatIP(vectors.shape[1])
        made.add(vectors)
        return made

    index(y).search(x, K)  # the crowding of x: part of the scores, of no consequence for the order
    crowding = index(x).search(y, K)[0].mean(1)
    queries = np.concatenate([2 * x, np.ones((len(x), 1), np.float32)], 1)
    candidates = np.concatenate([y, -crowding[:, None]], 1)
    return index(candidates).search(queries, 1)[1][:, 0]


def candidates(args: argparse.Namespace, shape: Shape) -> list[Record]:
    """Seconds of cores of encoding and of searching, and the peak memory of this process."""
    from tools.benchmarks.input import tiny_model
    from xl_jax.analysis.features import Extractor
    from xl_jax.analysis.retrieval import retrieve
    from xl_jax.tokens.shards import Part, Shard

    model, random, n = tiny_model(), np.random.default_rng(0), args.words
    starts = np.concatenate([[0], np.cumsum(line_lengths(n, shape) + 1)])
    tokens = random.integers(N_SPECIAL, model.vocab_size, starts[-1], dtype=np.int32)
    view = model.view(model.init(), np.int32(0))
    lines = Shard([Part(tokens, starts)])
    last = (model.config.model.layers,)
    extractor, seconds = Extractor(model.module), {}
    start = time.process_time()
    extractor.sentences(view, lines, last)
    seconds["encoding"] = time.process_time() - start
    y = random.standard_normal((n, shape.width), dtype=np.float32)
    x = y[:SOURCES] + 2 * random.standard_normal(y[:SOURCES].shape, dtype=np.float32)
    answers = np.stack([np.arange(len(x))] * 2, 1)
    start = time.process_time()
    retrieve(x, y, answers, "csls")
    seconds["searching"] = time.process_time() - start
    common = {"candidates": n, "sources": len(x), "width": shape.width}
    peak = _peak_mb()
    print(
        f"{len(x):,} among {n:,}, vectors of {y.nbytes / 1e6:,.0f} MB: peak memory {peak:,.0f} MB"
    )
    for name, value in seconds.items():
        print(f"{name}: {value:.1f} s of cores")
    found: dict[str, float] = {f"{name}_cores_seconds": value for name, value in seconds.items()}
    found["candidates_peak_mb"] = peak
    return [{"metric": name, "value": value, **common} for name, value in found.items()]


def line_lengths(n: int, shape: Shape) -> np.ndarray:
    """int[n]: pieces of each line of `features`, 5 to 60."""
    drawn = np.random.default_rng(0).lognormal(3, 0.5, n)
    return np.clip(drawn, 5, min(60, shape.length - 2)).astype(int)


def features(args: argparse.Namespace, shape: Shape) -> list[Record]:
    """Sentences/s by arm and round."""
    import jax

    from xl_jax.analysis.features import Extractor
    from xl_jax.model import sharing
    from xl_jax.tokens.shards import of_lines

    random = np.random.default_rng(1)
    sizes = line_lengths(args.sentences, shape)
    lines = [random.integers(N_SPECIAL, shape.vocab, n).astype(np.int32) for n in sizes]
    model = shared_model(shape, ("en",))
    view = jax.device_get(sharing.select(model.init(), model.mask, 0))
    extractor, shard = Extractor(model.module), of_lines(lines)

    def xl_jax(steps: int) -> float:
        for _ in range(steps):
            extractor.sentences(view, shard)
        return 0.0

    xl_jax(1)
    arms: dict[str, Arm] = {"xl_jax": xl_jax}
    if importlib.util.find_spec("torch") and importlib.util.find_spec("transformers"):
        import torch

        torch.set_num_threads(args.threads)
        in_order = sorted(lines, key=len)
        for name, given in (("transformers", lines), ("transformers_sorted", in_order)):
            arms[name] = _transformers_features(shape, given)
            arms[name](1)
    else:
        print("left out: transformers (pip install -r requirements-bench.txt)")
    seconds = race(arms, args.rounds, 1)
    print(f"sentence means of {shape.layers + 1} layers, {len(lines):,} lines")
    return _table("features", seconds, len(lines), "sentences/s")


def _transformers_features(shape: Shape, lines: list[np.ndarray]) -> Arm:
    import torch
    import transformers

    model = transformers.BertModel(bert_config(shape), add_pooling_layer=False).eval()

    def run(steps: int) -> float:
        for _ in range(steps):
            found = []
            with torch.inference_mode():
                for first in range(0, len(lines), ROWS):
                    part = lines[first : first + ROWS]
                    longest = max(map(len, part)) + 2
                    tokens = torch.zeros(len(part), longest, dtype=torch.long)
                    real = torch.zeros_like(tokens)
                    inner = torch.zeros(len(part), longest)
                    for i, line in enumerate(part):
                        tokens[i, 1 : len(line) + 1] = torch.from_numpy(line.astype(np.int64))
                        real[i, : len(line) + 2] = 1
                        inner[i, 1 : len(line) + 1] = 1 / len(line)
                    states = model(
                        input_ids=tokens, attention_mask=real, output_hidden_states=True
                    ).hidden_states
                    means = [torch.einsum("btd,bt->bd", s, inner) for s in states]
                    found.append(torch.stack(means).numpy())
            np.concatenate(found, 1)
        return 0.0

    return run


def cka(args: argparse.Namespace, shape: Shape) -> list[Record]:
    """Seconds of a call, the first (with compiling) and the others."""
    from xl_jax.analysis.cka import cka as compare

    n, width, layers = LEAST_CKA if args.smallest else CKA
    random = np.random.default_rng(0)
    x = random.standard_normal((layers, n, width), dtype=np.float32)
    y = x + random.standard_normal(x.shape, dtype=np.float32)
    start = time.perf_counter()
    compare(x, y)
    first = time.perf_counter() - start

    def run(steps: int) -> float:
        for _ in range(steps):
            compare(x, y)
        return 0.0

    seconds = race({"xl_jax": run}, args.rounds, 1)["xl_jax"]
    print(
        f"CKA of {layers} x {layers} layers, {n:,} sentences of width {width}, with intervals: "
        f"{spread(seconds, 1)} s, the first call {first:.1f} s"
    )
    records: list[Record] = [{"metric": "cka_first_seconds", "value": first}]
    return records + [
        {"metric": "cka_seconds", "arm": "xl_jax", "round": r, "value": s}
        for r, s in enumerate(seconds)
    ]


def _table(part: str, seconds: dict[str, list[float]], items: int, unit: str) -> list[Record]:
    """Prints rate and ratio of every arm; their records by round."""
    records = []
    print(f"{'arm':<21}{unit:<30}xl_jax / arm")
    for name, values in seconds.items():
        ratio = [theirs / ours for theirs, ours in zip(values, seconds["xl_jax"], strict=True)]
        print(f"{name:<21}{spread([items / s for s in values], 0):<30}{spread(ratio, 2)}")
        for r, (value, times) in enumerate(zip(values, ratio, strict=True)):
            common = {"arm": name, "round": r}
            rate = unit.replace("/s", "_per_second")
            records.append({"metric": rate, "value": items / value, **common})
            records.append({"metric": f"{part}_seconds", "value": value, **common})
            records.append({"metric": f"{part}_xl_jax_over_arm", "value": times, **common})
    return records


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
