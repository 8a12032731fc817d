"""How fast a device is: the training step beside PyTorch's and beside the device's own matrix
product, sharing masks, memory, deterministic programs, fine-tuning, features."""

import dataclasses
import gc
import importlib.util
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tools.benchmarks.finetune import draw_sentences, make_tuner, our_arm, parts_of_epochs
from tools.benchmarks.record import Record
from tools.benchmarks.torch_step import Setup, Shape, gathered_arm, transformers_arm
from tools.device_checks.correctness import DETERMINISTIC
from tools.device_checks.programs import (
    MASKS,
    Machine,
    abstract_model,
    broken,
    measured,
    paper_config,
    random_steps,
    result,
    small_config,
)
from xl_jax.analysis.features import Extractor
from xl_jax.batches.placement import step_shapes
from xl_jax.config import Batch, Config
from xl_jax.devices.mesh import one_device
from xl_jax.model import sharing
from xl_jax.tokens.shards import of_lines
from xl_jax.tokens.special import N_SPECIAL
from xl_jax.training.compiled_step import memory
from xl_jax.training.step import flops_per_step, init_state, make_step, state_shapes

AT_ONCE = 3  # programs that are compiled at the same time
Options = Mapping[str, Any] | None


def matmul_peak(machine: Machine) -> float:
    """FLOP/s of the device's bfloat16 product of two square matrices of random numbers."""
    size, calls = (256, 2) if machine.smallest else (8192, 20)
    keys = jax.random.split(jax.random.key(0))
    a, b = (jax.random.normal(key, (size, size), jnp.bfloat16) for key in keys)
    product = jax.jit(jnp.matmul)
    product(a, b).block_until_ready()
    rates = []
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(calls):
            made = product(a, b)
        made.block_until_ready()
        rates.append(calls * 2 * size**3 / (time.perf_counter() - start))
    return median(rates)


def compiled_steps(
    configs: Mapping[str, tuple[Config, Options]],
) -> Iterator[tuple[str, Any]]:
    """(name, training step of the config, or what its compiler raised), each as soon as it and
    those before it are there; the first alone, so that its choice of kernels is not disturbed."""
    mesh = one_device()

    def lowered(config: Config) -> Any:
        model = abstract_model(config)
        shapes = step_shapes(config.batch, config.data.length, 1, mesh)
        step: Any = make_step(model, config.steps, mesh)
        return step.lower(state_shapes(model, mesh), shapes)

    def compiled(program: Any, options: Options) -> Any:
        try:
            return program.compile(compiler_options=dict(options) if options else None)
        except Exception as error:
            return error

    (first, (config, options)), *others = configs.items()
    yield first, compiled(lowered(config), options)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        waiting = [(x, pool.submit(compiled, lowered(c), o)) for x, (c, o) in others]
    for name, future in waiting:  # none is compiled while another is timed
        yield name, future.result()


def seconds_of(machine: Machine, config: Config, compiled: Any) -> list[float]:
    """Seconds of a step, by round; the batch is on the device, the state is donated."""
    model = abstract_model(config)
    state, batch = init_state(model), jax.device_put(random_steps(model, 1))
    rounds, steps = (2, 1) if machine.smallest else (5, 4)
    for _ in range(2):
        state, metrics = compiled(state, batch)
    loss = float(metrics["loss_sum"].sum() / metrics["predicted"].sum())
    if not np.isfinite(loss):
        raise FloatingPointError(f"the loss is {loss} after two steps")
    seconds = []
    for _ in range(rounds):
        jax.block_until_ready(state)
        start = time.perf_counter()
        for _ in range(steps):
            state, metrics = compiled(state, batch)
        jax.block_until_ready(state)
        seconds.append((time.perf_counter() - start) / steps)
    return seconds


def timed(program: str, config: Config, seconds: list[float], peak: float) -> Record:
    """The record of a step's time."""
    flops, b = flops_per_step(abstract_model(config)), config.batch
    tokens = b.accum * b.slots * b.rows * config.data.length
    return measured(
        f"step: {program}",
        1000 * median(seconds),
        "ms",
        low=1000 * min(seconds),
        high=1000 * max(seconds),
        tokens_per_second=tokens / median(seconds),
        tflops=flops / median(seconds) / 1e12,
        of_matmul_peak=flops / median(seconds) / peak,
    )


def torch_steps(machine: Machine, config: Config, arms: Mapping[str, Any]) -> list[Record]:
    """Times of PyTorch's step of the same work, compiled, bfloat16 by autocast. `arms`: name ->
    (function that makes the arm, dropout of attention). It frees its memory at the end."""
    if importlib.util.find_spec("torch") is None:
        return [{"check": "PyTorch", "outcome": "skipped", "reason": "it is not installed"}]
    import torch

    if machine.gpu and not torch.cuda.is_available():
        return [{"check": "PyTorch", "outcome": "skipped", "reason": "it sees no GPU"}]
    m, b = config.model, config.batch
    vocab = abstract_model(config).vocab_size
    accum = b.accum if machine.smallest else 8
    rows = b.accum * b.slots * b.rows // accum
    shape = Shape(m.layers, m.width, m.heads, m.ffn, vocab, rows, config.data.length, m.dropout)
    tokens = accum * shape.tokens
    records: list[Record] = []
    for name, (make, attention_dropout) in arms.items():
        device = "cuda" if machine.gpu else "cpu"
        setup = Setup(device, m.dtype == "bfloat16", machine.gpu, accum, attention_dropout)
        try:
            arm = make(shape, setup)
            arm(2)
            seconds = []
            for _ in range(1 if machine.smallest else 3):
                start = time.perf_counter()
                arm(3)
                seconds.append((time.perf_counter() - start) / 3)
            more = {"low": 1000 * min(seconds), "high": 1000 * max(seconds)}
            rate = tokens / median(seconds)
            records.append(
                measured(
                    f"step: {name}", 1000 * median(seconds), "ms", **more, tokens_per_second=rate
                )
            )
        except Exception as error:  # a peer that fails must not cost the others' figures
            records.append(broken(f"step: {name}", error))
        arm = None
        gc.collect()
        if machine.gpu:
            torch._dynamo.reset()
            torch.cuda.empty_cache()
    return records


def paper_step(machine: Machine) -> Iterator[Record]:
    """The paper's step: time, memory, share of the peak, beside PyTorch, each mask."""
    cudnn: dict[str, Any] = {}
    if machine.gpu:
        cudnn = {"attention": "cudnn", "attention_dropout": 0.0}
    fused, as_published = paper_config(machine, **cudnn), paper_config(machine)
    if machine.gpu:  # XLA's attention needs four times the memory
        as_published = dataclasses.replace(as_published, batch=Batch(accum=8, slots=1, rows=96))
    theirs = {}
    arms = {
        "PyTorch, no attention dropout": (gathered_arm, 0.0),
        "PyTorch, attention dropout 0.1": (gathered_arm, 0.1),
        "transformers, attention dropout 0.1": (transformers_arm, 0.1),
    }
    for record in torch_steps(machine, fused, arms):
        yield record
        if record["outcome"] == "measured":
            theirs[record["check"].removeprefix("step: ")] = record["value"] / 1000
    peak = matmul_peak(machine)
    yield measured("bfloat16 matrix product", peak / 1e12, "TFLOP/s")

    published = "paper as published, XLA attention"
    ours = "paper, cuDNN attention without dropout" if machine.gpu else published
    configs: dict[str, tuple[Config, Options]] = {ours: (fused, None)}
    if machine.gpu:
        configs[published] = (as_published, None)
        configs["paper, cuDNN attention, deterministic"] = (fused, DETERMINISTIC)
    for mask in MASKS[1:] if not machine.smallest else ():
        configs[f"paper, {mask}"] = (paper_config(machine, mask, **cudnn), None)
    peers = {ours: ["PyTorch, no attention dropout"], published: list(arms)[1:]}
    first = 0.0
    for name, compiled in compiled_steps(configs):
        if isinstance(compiled, Exception):
            yield broken(f"step: {name}", compiled)
            continue
        seconds = seconds_of(machine, configs[name][0], compiled)
        yield timed(name, configs[name][0], seconds, peak)
        if name == ours:
            first = median(seconds)
            yield _memory(machine, compiled)
            if machine.gpu:
                share = flops_per_step(abstract_model(fused)) / first / peak
                goal = "the goal for the paper's step, of the measured matrix product"
                yield result("share of the matmul peak", share, 0.5, goal, at_least=True)
        elif first:  # it may be what did not compile
            yield measured(f"{name} over {ours}", median(seconds) / first, "x")
        for peer in peers.get(name, ()) if machine.gpu else ():
            if peer in theirs:
                goal = "the goal for the paper's step, equal work"
                ratio = theirs[peer] / median(seconds)
                yield result(f"speed over {peer}", ratio, 1.3, goal, at_least=True)


def _memory(machine: Machine, compiled: Any) -> Record:
    """The most memory that was in use, over what the compiled program said it needs."""
    used, needs = (machine.device.memory_stats() or {}).get("peak_bytes_in_use"), memory(compiled)
    if not used or needs is None:
        return {"check": "memory", "outcome": "skipped", "reason": "the backend does not say"}
    reason = "the allocator's rounding, and what choosing kernels took"
    found = {"estimate_gib": needs.total / 2**30, "used_gib": used / 2**30}
    return result("memory: off the estimate", abs(used / needs.total - 1), 0.1, reason, **found)


def small_step(machine: Machine) -> Iterator[Record]:
    """`small` with each mask, beside PyTorch; in bfloat16 where the device has it."""
    kind: dict[str, Any] = {"dtype": "bfloat16"} if machine.gpu else {}
    all_shared = small_config(machine, **kind)
    arms = {"small, PyTorch": (gathered_arm, all_shared.model.attention_dropout)}
    yield from torch_steps(machine, all_shared, arms) if machine.gpu else ()
    peak = matmul_peak(machine)
    masks = MASKS if not machine.smallest else MASKS[:1]
    configs = {f"small, {x}": (small_config(machine, x, **kind), None) for x in masks}
    if machine.gpu:
        fused = small_config(machine, **kind, attention="cudnn", attention_dropout=0.0)
        configs["small, cuDNN attention without dropout"] = (fused, None)
    first = 0.0
    for name, compiled in compiled_steps(configs):
        if isinstance(compiled, Exception):
            yield broken(f"step: {name}", compiled)
            continue
        seconds = seconds_of(machine, configs[name][0], compiled)
        yield timed(name, configs[name][0], seconds, peak)
        if name == f"small, {MASKS[0]}":
            first = median(seconds)
        if first:  # it may be what did not compile
            yield measured(f"{name} over {MASKS[0]}", median(seconds) / first, "x")


def finetuning(machine: Machine) -> list[Record]:
    """Sentences/s of fine-tuning a tagger of `small`'s sizes, batches of 32."""
    shape = Shape(1, 8, 2, 16, 64, 4, 16) if machine.smallest else Shape(dropout=0.1)
    steps = 5 if machine.smallest else 100
    tuner = make_tuner(shape, draw_sentences(shape), steps)
    arm = our_arm(tuner, parts_of_epochs(tuner, steps)())
    arm(steps)
    return [_rate("fine-tuning", lambda: arm(steps), steps * shape.rows, "sentences/s")]


def features(machine: Machine) -> list[Record]:
    """Sentences/s of means over every layer of `small`, lines of 5 to 60 pieces."""
    config = small_config(machine)
    model, random = abstract_model(config), np.random.default_rng(0)
    most = min(60, config.data.length - 2)
    sizes = np.clip(random.lognormal(3, 0.5, 50 if machine.smallest else 20_000), 5, most)
    lines = [random.integers(N_SPECIAL, model.vocab_size, int(n)).astype(np.int32) for n in sizes]
    view = jax.device_get(sharing.select(model.init(), model.mask, 0))
    extractor, shard = Extractor(model.module), of_lines(lines)
    extractor.sentences(view, shard)
    return [_rate("features", lambda: extractor.sentences(view, shard), len(lines), "sentences/s")]


def _rate(check: str, run: Callable[[], Any], items: int, unit: str) -> Record:
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return measured(check, items / median(seconds), unit)
