"""The most floating-point operations a second that a device can do: published, or measured."""

import re
import time
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp

# (first words of `device_kind`, dtype) -> dense matrix products, 10^12 FLOP/s, of the vendors' data
# sheets. NVIDIA's float32 is TF32, which XLA uses by default; TPUs multiply float32 as bfloat16.
PUBLISHED = {
    "NVIDIA A100": {"bfloat16": 312.0, "float32": 156.0},
    "NVIDIA H100 PCIe": {"bfloat16": 756.0, "float32": 378.0},
    "NVIDIA H100 NVL": {"bfloat16": 835.0, "float32": 417.5},
    "NVIDIA H100": {"bfloat16": 989.4, "float32": 494.7},
    "NVIDIA H200": {"bfloat16": 989.4, "float32": 494.7},
    "NVIDIA L4": {"bfloat16": 121.0, "float32": 60.0},
    "TPU v4": {"bfloat16": 275.0, "float32": 275.0},
    "TPU v5 lite": {"bfloat16": 197.0, "float32": 197.0},
    "TPU v5e": {"bfloat16": 197.0, "float32": 197.0},
    "TPU v5p": {"bfloat16": 459.0, "float32": 459.0},
    "TPU v5": {"bfloat16": 459.0, "float32": 459.0},
    "TPU v6e": {"bfloat16": 918.0, "float32": 918.0},
    "TPU v6 lite": {"bfloat16": 918.0, "float32": 918.0},
}
SIZE, TRIES = 1024, 5  # of the measured product


def peak_flops(device: Any, dtype: str) -> float | None:
    """FLOP/s of one device for matrix products of `dtype`; of a CPU as `SIZE`^3 products reach
    them here (all its cores), None where nobody knows."""
    for kind, rates in PUBLISHED.items():
        if re.match(rf"{kind}\b", device.device_kind):  # an L40S is no L4
            return rates[dtype] * 1e12
    return _measured(device, dtype) if device.platform == "cpu" else None


@cache
def _measured(device: Any, dtype: str) -> float:
    with jax.default_device(device):
        a = jnp.ones((SIZE, SIZE), dtype)
        product = jax.jit(jnp.matmul).lower(a, a).compile()
        product(a, a).block_until_ready()
        best = min(_seconds(product, a) for _ in range(TRIES))
    return 2.0 * SIZE**3 / best


def _seconds(product: Any, a: jax.Array) -> float:
    start = time.perf_counter()
    product(a, a).block_until_ready()
    return time.perf_counter() - start
