"""Machines that need not be there: GPUs and TPUs as their compilers are told of them.

Facts of GPUs are from NVIDIA's data sheets and programming guide; those of TPUs are libtpu's own,
but for the memory of a device, which is from the documentation of the machines.
"""

import importlib.util
import os
from dataclasses import dataclass
from typing import Any

from xl_jax.errors import InputError, unknown


@dataclass(frozen=True)
class Gpu:
    """A kind of GPU."""

    name: str
    capability: tuple[int, int]
    cores: int  # streaming multiprocessors
    memory: int  # bytes, as the driver reports them
    bandwidth: float  # of memory, 10^12 bytes/s
    cache: int  # of level 2, MiB
    clock: float  # GHz
    shared: int  # KiB of shared memory that a block can have
    threads: int = 2048  # of a core

    @property
    def target(self) -> str:
        """XLA's GpuTargetConfig, as text."""
        major, minor = self.capability
        return f"""
            gpu_device_info {{
              threads_per_block_limit: 1024
              threads_per_warp: 32
              shared_memory_per_block: 49152
              shared_memory_per_core: {(self.shared + 1) * 1024}
              threads_per_core_limit: {self.threads}
              core_count: {self.cores}
              fpus_per_core: {128 if major == 9 else 64}
              block_dim_limit_x: 2147483647
              block_dim_limit_y: 65535
              block_dim_limit_z: 65535
              memory_bandwidth: {self.bandwidth * 1e12:.0f}
              l2_cache_size: {self.cache << 20}
              clock_rate_ghz: {self.clock}
              device_memory_size: {self.memory}
              shared_memory_per_block_optin: {self.shared * 1024}
              cuda_compute_capability {{ major: {major} minor: {minor} }}
              registers_per_core_limit: 65536
              registers_per_block_limit: 65536
            }}
            platform_name: "CUDA"
            dnn_version_info {{ major: 9 minor: 10 patch: 2 }}
            device_description_str: "{self.name}"
        """


H100 = Gpu("NVIDIA H100 80GB HBM3", (9, 0), 132, 85_017_493_504, 3.35, 50, 1.98, 227)
A100 = Gpu("NVIDIA A100-SXM4-80GB", (8, 0), 108, 84_974_239_744, 2.04, 40, 1.41, 163)
T4 = Gpu("Tesla T4", (7, 5), 40, 15_828_320_256, 0.32, 4, 1.59, 64, threads=1024)
V100 = Gpu("Tesla V100-SXM2-16GB", (7, 0), 80, 16_928_342_016, 0.9, 6, 1.53, 96)


@dataclass(frozen=True)
class Tpu:
    """A slice, or several."""

    layout: str  # libtpu's name of a slice
    gib: float  # of a device
    slices: int = 1


GPUS = {  # hosts x GPUs of each
    "h100-1": (H100, "1x1x1"),
    "h100-8": (H100, "1x1x8"),
    "h100-2x8": (H100, "1x2x8"),
    "a100-8": (A100, "1x1x8"),
    "t4-1": (T4, "1x1x1"),
    "v100-8": (V100, "1x1x8"),
}
# Names of Google Cloud: v3 and v5p count cores. A device is a core of v3, a chip of the others.
TPUS = {
    "v3-8": Tpu("v3:2x2", 16),
    "v5e-1": Tpu("v5e:1x1", 16),
    "v5e-8": Tpu("v5e:2x4", 16),
    "v5e-256": Tpu("v5e:16x16", 16),
    "2xv5e-16": Tpu("v5e:4x4", 16, slices=2),
    "v5p-512": Tpu("v5p:4x8x8", 95),
    "v6e-8": Tpu("v6e:2x4", 32),
    "v6e-256": Tpu("v6e:16x16", 32),
}
KNOWN = (*GPUS, *TPUS)


def describe(name: str) -> tuple[list[Any], float]:
    """(the described devices, GiB of each). To be called before JAX is used.

    Raises:
      InputError: an unknown topology; no compiler for it.
    """
    if name not in KNOWN:
        raise unknown("topology", name, KNOWN)
    return _gpus(name) if name in GPUS else _tpus(name)


def _gpus(name: str) -> tuple[list[Any], float]:
    gpu, layout = GPUS[name]
    there = [x for x in (12, 13) if importlib.util.find_spec(f"jax_cuda{x}_plugin")]
    fit = [x for x in there if x == 12 or gpu.capability >= (7, 5)]
    if len(there) != 1 or not fit:
        wanted = "12" if gpu.capability < (7, 5) else "13"
        found = ", ".join(f"jax-cuda{x}-plugin" for x in there) or "none"
        raise InputError(
            f"{name} needs JAX's compiler for GPUs, one alone, of CUDA {wanted}; found: {found} "
            "(docs/compiling.md says how to install one)"
        )
    os.environ["JAX_PLATFORMS"] = "cpu"
    # No kernel can be measured here, and unmeasured XLA takes Triton's for a product even where it
    # then cannot divide it (rows of 24 tokens). NVIDIA's library takes all of them.
    os.environ["XLA_FLAGS"] = (
        f"{os.environ.get('XLA_FLAGS', '')} --xla_gpu_enable_triton_gemm=false"
    )
    from jax.experimental import topologies

    found_devices = topologies.get_topology_desc(
        platform="cuda", target_config=gpu.target, topology=layout
    ).devices
    return list(found_devices), gpu.memory / 2**30


def _tpus(name: str) -> tuple[list[Any], float]:
    tpu = TPUS[name]
    # There is no TPU here to ask.
    os.environ |= {"TPU_SKIP_MDS_QUERY": "1", "TPU_WORKER_HOSTNAMES": "localhost"}
    os.environ |= {"TPU_ACCELERATOR_TYPE": "v5e-8", "JAX_PLATFORMS": "cpu"}
    os.environ["ALLOW_MULTIPLE_LIBTPU_LOAD"] = "1"
    import jax
    from jax.experimental import topologies

    more: dict[str, Any] = {"num_slices": tpu.slices} if tpu.slices > 1 else {}
    if tpu.layout.endswith(":1x1"):
        more["chips_per_host_bounds"] = (1, 1, 1)
    try:
        found = topologies.get_topology_desc(platform="tpu", topology_name=tpu.layout, **more)
    except (RuntimeError, ValueError, jax.errors.JaxRuntimeError) as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise InputError(f"libtpu: {reason}; pip install -r requirements-tpu.txt") from error
    return list(found.devices), tpu.gib
