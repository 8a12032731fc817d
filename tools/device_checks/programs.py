"""What tools/device_check.py runs: configs of the repository on one device, random text."""

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from configs import paper, small
from tools.benchmarks.record import Record
from xl_jax.batches.sampler import Step
from xl_jax.config import Batch, Config, Mesh, from_dict
from xl_jax.model.shared_model import SharedModel
from xl_jax.tokens.special import N_SPECIAL, PAD
from xl_jax.tokens.table_size import rows_of

MASKS = ("all_shared", "sep_emb", "sep_l1_3", "sep_l1_6", "all_private")


@dataclass(frozen=True)
class Machine:
    """What is checked: a device, and how much time it is given."""

    device: Any
    smallest: bool  # sizes for a CPU and a test

    @property
    def gpu(self) -> bool:
        return self.device.platform == "gpu"


def result(
    check: str, value: float, limit: float, reason: str, at_least: bool = False, **more: Any
) -> Record:
    """A check of `value` against `limit`; `reason` says why the limit is what it is."""
    good = value >= limit if at_least else value <= limit
    relation = ">=" if at_least else "<="
    outcome = "pass" if good and np.isfinite(value) else "fail"
    limits = {"value": float(value), "relation": relation, "limit": limit, "reason": reason}
    return {"check": check, "outcome": outcome, **limits, **more}


def measured(check: str, value: float, unit: str, **more: Any) -> Record:
    """A figure that has no limit."""
    return {"check": check, "outcome": "measured", "value": float(value), "unit": unit, **more}


def broken(check: str, error: Exception) -> Record:
    """A check that could not be made."""
    reason = f"{type(error).__name__}: {str(error).strip()}".splitlines()[0][:500]
    return {"check": check, "outcome": "error", "reason": reason}


def paper_config(machine: Machine, sharing: str = "all_shared", **model: Any) -> Config:
    """The paper's step on one device, in two parts of four slots."""
    return _config(machine, paper.get_config(), Batch(accum=2, slots=4, rows=96), sharing, model)


def small_config(machine: Machine, sharing: str = "all_shared", **model: Any) -> Config:
    return _config(machine, small.get_config(), Batch(slots=4, rows=32), sharing, model)


def tiny_config(machine: Machine, sharing: str = "sep_l1", **model: Any) -> Config:
    """Two layers with the paper's width of a head, for comparisons of numbers."""
    values = small.get_config()
    values.model.update(layers=2, width=128, heads=2, ffn=256, positions=64)
    values.data.length, values.vocab.size = 64, 512
    values.optim.eps = 1e-3  # or Adam's first steps would be the signs of the gradients' rounding
    made = _config(machine, values, Batch(accum=2, slots=2, rows=8), sharing, model)
    return made


def _config(machine: Machine, values: Any, batch: Batch, sharing: str, model: Any) -> Config:
    values.model.update(model)
    if machine.smallest:
        values.model.update(layers=1, width=16, heads=2, ffn=32, positions=32)
        values.data.length, values.vocab.size = 16, 128
        batch = dataclasses.replace(batch, rows=4)
    config: Config = from_dict(values)
    return dataclasses.replace(
        config, sharing=sharing, batch=batch, mesh=Mesh(), steps_per_call=1, best=""
    )


def abstract_model(config: Config) -> SharedModel:
    return SharedModel.abstract(config, rows_of(config))


def random_steps(model: SharedModel, n: int, padded: bool = False, seed: int = 0) -> Step:
    """n steps of random pieces, the languages in turn; `padded`: rows of random lengths, one of
    them empty."""
    c, b = model.config, model.config.batch
    random = np.random.default_rng(seed)
    shape = (n, b.accum, b.slots)
    size = (*shape, b.rows, c.data.length)
    tokens = random.integers(N_SPECIAL, model.vocab_size, size, dtype=np.int32)
    if padded:
        length = random.integers(1, c.data.length + 1, size[:-1])
        length[..., 0] = 0
        tokens[np.arange(c.data.length) >= length[..., None]] = PAD
    language = np.arange(b.accum * b.slots, dtype=np.int32) % len(c.languages)
    return Step(tokens, np.broadcast_to(language.reshape(shape[1:]), shape).copy())


def distance(found: Any, expected: Any) -> float:
    """||found - expected|| / ||expected|| over all leaves of two trees."""
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True)
    over = [(np.asarray(x, np.float64), np.asarray(y, np.float64)) for x, y in pairs]
    error = sum(float(np.square(x - y).sum()) for x, y in over)
    return (error / sum(float(np.square(y).sum()) for _, y in over)) ** 0.5


Check = Callable[[Machine], Iterable[Record]]
