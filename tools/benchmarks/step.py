"""The training step: against PyTorch at the same shapes, and by sharing mask.

Every arm of `step` clips gradients and runs AdamW (fused in PyTorch, the default of transformers'
Trainer). The masking is part of xl_jax's step; the peers get rows that are masked already.
"""

import argparse
import importlib.util
import sys
import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any
from unittest.mock import patch

import numpy as np

from tools.benchmarks.racing import race, spread, warm_up
from tools.benchmarks.torch_step import (
    CLIP,
    LR,
    Arm,
    Setup,
    Shape,
    gathered_arm,
    transformers_arm,
)
from xl_jax.errors import InputError
from xl_jax.tokens.special import N_SPECIAL


def shared_model(
    shape: Shape,
    languages: tuple[str, ...],
    sharing: str = "all_shared",
    slots: int = 0,
    last_layer: str = "predicted",
    mesh: Mapping[str, Any] | None = None,
) -> Any:
    """Our `SharedModel`, post-norm, float32; `slots` of a step, by default one a language; `mesh`:
    fields of `config.Mesh`.

    Raises:
      InputError: rows that the languages cannot share evenly, or sizes that `Config` refuses.
    """
    from xl_jax.config import Batch, Config, Data, Mesh, Model, Optim
    from xl_jax.model.shared_model import SharedModel

    slots = slots or len(languages)
    if shape.rows % slots:
        raise InputError(f"--rows {shape.rows} is not a multiple of {slots}, the slots of a step")
    if shape.vocab <= N_SPECIAL:
        raise InputError(f"--vocab {shape.vocab} leaves nothing beside {N_SPECIAL} special tokens")
    config = Config(
        languages=languages,
        corpora=dict.fromkeys(languages, "drawn in memory"),
        sharing=sharing,
        data=Data(length=shape.length),
        model=Model(
            layers=shape.layers,
            heads=shape.heads,
            width=shape.width,
            ffn=shape.ffn,
            positions=shape.length,
            dropout=shape.dropout,
            attention_dropout=shape.dropout,
            last_layer=last_layer,
        ),
        batch=Batch(slots=slots, rows=shape.rows // slots),
        mesh=Mesh(**(mesh or {})),
        optim=Optim(lr=LR, schedule="constant", warmup=1, clip=CLIP),
    )
    return SharedModel.abstract(config, shape.vocab)


class OurArm:
    """Our real step, all steps of a round in one call of the device, the state donated. The first
    call compiles; all calls are of as many steps."""

    def __init__(self, shape: Shape, model: Any):
        from xl_jax.devices.mesh import make_mesh
        from xl_jax.training.step import init_state, make_step

        slots = model.config.batch.slots
        self.tokens = shape.draw_tokens().reshape(1, 1, slots, -1, shape.length)
        languages = np.arange(slots, dtype=np.int32) % len(model.config.languages)
        self.language = languages.reshape(1, 1, slots)
        mesh = make_mesh(model.config)
        self.step: Any = make_step(model, 1, mesh)
        self.state = init_state(model, mesh)
        self.compiled: Any = None

    def __call__(self, steps: int) -> float:
        from xl_jax.batches.sampler import Step

        batch = Step(np.repeat(self.tokens, steps, 0), np.repeat(self.language, steps, 0))
        if self.compiled is None:
            self.compiled = self.step.lower(self.state, batch).compile()
        self.state, metrics = self.compiled(self.state, batch)
        return float(metrics["loss_sum"].sum() / metrics["predicted"].sum())

    @property
    def megabytes(self) -> float:
        """What the compiled program needs: state, batch, temporary values, itself."""
        from xl_jax.training.compiled_step import memory

        needs = memory(self.compiled)
        assert needs is not None
        return needs.total / 1e6


def matmul_peaks(
    size: int, with_torch: bool, clock: Callable[[], float] = time.perf_counter
) -> dict[str, Callable[[], float]]:
    """By library, a function that measures GFLOP/s of one float32 product of `size` squared."""
    import jax
    import jax.numpy as jnp

    square = np.random.default_rng(0).standard_normal((size, size), dtype=np.float32)
    product, a = jax.jit(jnp.matmul), jnp.asarray(square)
    calls: dict[str, Callable[[], Any]] = {"jax": lambda: product(a, a).block_until_ready()}
    if with_torch:
        import torch

        b = torch.tensor(square)
        calls["torch"] = lambda: b @ b

    def measure(call: Callable[[], Any]) -> float:
        call()
        start = clock()
        call()
        return 2 * size**3 / (clock() - start) / 1e9

    return {name: (lambda call=call: measure(call)) for name, call in calls.items()}


def step(args: argparse.Namespace, shape: Shape) -> list[dict[str, Any]]:
    """Tokens/s of xl_jax and of the peers; records of every arm and round."""
    from xl_jax.training.step import flops_per_step

    model = shared_model(shape, ("en",))
    makers: dict[str, Callable[[], Arm]] = {"xl_jax": lambda: OurArm(shape, model)}
    if have_torch := importlib.util.find_spec("torch") is not None:
        import torch

        torch.set_num_threads(args.threads)
        torch.manual_seed(0)
        makers["torch"] = lambda: gathered_arm(shape, Setup())
    if have_torch and importlib.util.find_spec("transformers") is not None:
        makers["transformers"] = lambda: transformers_arm(shape, Setup())
        if args.compile:
            makers["transformers_compile"] = lambda: transformers_arm(shape, Setup(compiled=True))
    else:
        print("left out: arms whose library is missing (pip install -r requirements-bench.txt)")

    arms: dict[str, Arm] = {}
    records: list[dict[str, Any]] = []
    for name, make in makers.items():
        try:
            arm = make()
            records.append(
                {"metric": "warm_up_seconds", "arm": name, "value": warm_up(arm, args.steps)}
            )
            arms[name] = arm
        except Exception as error:  # a peer that fails must not cost the others' figures
            if name == "xl_jax":
                raise
            reason = f"{type(error).__name__}: {str(error).strip()}".splitlines()[0]
            print(f"left out: {name} failed: {reason}")
            records.append({"metric": "failed", "arm": name, "reason": reason})

    clock = _clock(args)
    peaks: dict[str, list[float]] = {}
    products = matmul_peaks(args.matmul, have_torch, clock)

    def measure_peaks() -> None:
        for library, gflops in products.items():
            peaks.setdefault(library, []).append(gflops())

    seconds = race(arms, args.rounds, args.steps, measure_peaks, clock)
    flops = flops_per_step(model)
    print(f"{flops / 1e9:.1f} GFLOP a step, ending at predicted positions (counted for all)")
    for library, values in peaks.items():
        print(f"matmul {args.matmul}^3 float32, {library}: {spread(values, 0)} GFLOP/s by round")
        for r, value in enumerate(values):
            records.append({"metric": "matmul_gflops", "arm": library, "round": r, "value": value})
    print(
        f"{'arm':<21}{'tokens/s':<26}{'xl_jax / arm':<20}{'GFLOP/s':>8}{'of matmul':>10}"
        f"{'warm-up s':>11}"
    )
    for name, values in seconds.items():
        rate = [shape.tokens / value for value in values]
        ratio = [value / ours for value, ours in zip(values, seconds["xl_jax"], strict=True)]
        for r in range(args.rounds):
            common = {"arm": name, "round": r}
            records.append({"metric": "tokens_per_second", "value": rate[r], **common})
            records.append({"metric": "xl_jax_over_arm", "value": ratio[r], **common})
        achieved = flops / median(values) / 1e9
        share = achieved / max(peaks["jax" if name == "xl_jax" else "torch"])
        records.append({"metric": "share_of_peak", "arm": name, "value": share})
        first = next(x["value"] for x in records if x["arm"] == name)
        print(
            f"{name:<21}{spread(rate, 0):<26}{spread(ratio, 2):<20}{achieved:>8.1f}{share:>10.0%}"
            f"{first:>11.1f}"
        )
    return records


def masks(args: argparse.Namespace, shape: Shape) -> list[dict[str, Any]]:
    """Time of a step of two languages by preset, over all_shared; records of every round."""
    presets = list(dict.fromkeys(["all_shared", *args.presets.split(",")]))
    models = {name: shared_model(shape, ("en", "fr"), name) for name in presets}
    _ = [model.mask for model in models.values()]  # a preset that does not fit: before any work
    return _compare(args, {name: OurArm(shape, model) for name, model in models.items()}, "sharing")


def last_layer(args: argparse.Namespace, shape: Shape) -> list[dict[str, Any]]:
    """Time of a step by where it computes the last layer; records of every round."""
    places = ("all", "predicted")
    models = {name: shared_model(shape, ("en",), last_layer=name) for name in places}
    arms = {name: OurArm(shape, model) for name, model in models.items()}
    return _compare(args, arms, "last layer")


def gradients(args: argparse.Namespace, shape: Shape) -> list[dict[str, Any]]:
    """Time of a step by the form of its kernels' gradients (`custom_vjp.linear`), each form at
    every width; records of every round."""
    model = shared_model(shape, ("en",))
    widths = {"transposed within": sys.maxsize, "transposed first": 1}
    arms = {name: _Form(shape, model, width) for name, width in widths.items()}
    return _compare(args, arms, "gradients")


def virtual(args: argparse.Namespace, shape: Shape) -> list[dict[str, Any]]:
    """Time of a step on one device, and with the cores as two devices that divide its rows or its
    slots; parameters are on both. Records of every round."""
    import jax

    settings: Any = jax.config  # its fields have no types
    if settings.jax_num_cpu_devices < 2:
        settings.update("jax_num_cpu_devices", 2)
    whole = {"rules": ((".*", ()),)}
    models = {
        "one device": shared_model(shape, ("en",)),
        "rows on two": shared_model(shape, ("en",), mesh={"fsdp": 2, **whole}),
        "slots on two": shared_model(shape, ("en",), slots=2, mesh={"data": 2, **whole}),
    }
    arms = {name: OurArm(shape, model) for name, model in models.items()}
    return _compare(args, arms, "devices")


class _Form(OurArm):
    """A step compiled with another width from which gradients transpose first."""

    def __init__(self, shape: Shape, model: Any, width: int):
        super().__init__(shape, model)
        self.width = width

    def __call__(self, steps: int) -> float:
        import jax

        from xl_jax.model import custom_vjp

        if self.compiled is None:
            jax.clear_caches()  # of functions that were traced with another width
        with patch.object(custom_vjp, "TRANSPOSED_FIRST", self.width):
            return super().__call__(steps)


def _compare(
    args: argparse.Namespace, arms: Mapping[str, OurArm], title: str
) -> list[dict[str, Any]]:
    """Time of a step of each arm, over the first one's."""
    base = next(iter(arms))
    over = f"over_{base.replace(' ', '_')}"
    records = [
        {"metric": "warm_up_seconds", "arm": name, "value": warm_up(arm, args.steps)}
        for name, arm in arms.items()
    ]
    seconds = race(arms, args.rounds, args.steps, clock=_clock(args))
    print(f"{title:<18}{'ms a step':<32}{'over ' + base:<24}{'warm-up s':>9}")
    for name, first in zip(arms, list(records), strict=True):
        pairs = zip(seconds[name], seconds[base], strict=True)
        ratio = [value / shared for value, shared in pairs]
        for r, value in enumerate(seconds[name]):
            common = {"arm": name, "round": r}
            records.append({"metric": "seconds_per_step", "value": value, **common})
            records.append({"metric": over, "value": ratio[r], **common})
        ms = spread([1000 * value for value in seconds[name]], 1)
        print(f"{name:<18}{ms:<32}{spread(ratio, 2):<24}{first['value']:>9.1f}")
    return records


def _clock(args: argparse.Namespace) -> Callable[[], float]:
    """Of one core its own seconds, which other programs do not lengthen."""
    return time.process_time if args.threads == 1 else time.perf_counter
