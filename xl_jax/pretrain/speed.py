"""How fast a run trains: the time of its steps, without that of measuring and saving."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
from jax.sharding import Mesh

from xl_jax.devices.peak import peak_flops
from xl_jax.model.shared_model import SharedModel
from xl_jax.training.step import flops_per_step


class Speed:
    """A stopwatch over training steps. `peak`: FLOP/s of all devices, None where unknown."""

    def __init__(self, model: SharedModel, mesh: Mesh):
        c, b = model.config, model.config.batch
        self.tokens = b.accum * b.slots * b.rows * c.data.length
        self.flops = flops_per_step(model)
        device = mesh.local_devices[0]
        one = peak_flops(device, c.model.dtype)
        # The devices of a CPU share its cores.
        number = jax.process_count() if device.platform == "cpu" else mesh.size
        self.peak = None if one is None else one * number
        self.start = time.perf_counter()

    @contextmanager
    def paused(self, result: Any) -> Iterator[None]:
        """Time within the context does not count; that of the steps which still work on `result`
        does, and is waited for."""
        jax.block_until_ready(result)
        before = time.perf_counter()
        try:
            yield
        finally:
            self.start += time.perf_counter() - before

    def since_last(self, steps: int) -> dict[str, float]:
        """Of the `steps` since the last call: seconds a step, tokens/s, share of the peak in the
        operations that the model needs (see `flops_per_step`). The steps must have ended."""
        now = time.perf_counter()
        seconds, self.start = (now - self.start) / steps, now
        values = {"seconds_per_step": seconds, "tokens_per_second": self.tokens / seconds}
        if self.peak is not None:
            values["share_of_peak"] = self.flops / seconds / self.peak
        return values
