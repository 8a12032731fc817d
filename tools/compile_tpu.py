"""Compile the real training step for a TPU that is not there, and say what it needs.

    pip install -r requirements-tpu.txt
    python tools/compile_tpu.py --config=configs/paper.py --topology=v5e-8
    python tools/compile_tpu.py --config=configs/paper.py --topology=v3-8 --config.model.remat=True

Prints memory of a chip, operations, and the communication between chips, with its bytes; exit code
0 only if it fits. The compiler is libtpu's own: this is the program that a TPU would be given. Time
is not measured, nothing is read or trained; the vocabulary is as large as the config asks.
"""

if __name__ == "__main__":
    from xl_jax import stopping

    stopping.listen()  # before the imports below

import os
import time
from typing import Any

from absl import flags

from xl_jax import cli, config_flags
from xl_jax.errors import InputError, unknown

# name -> (libtpu's name, GiB of memory that a program on one device can use at most)
TOPOLOGIES = {"v3-8": ("v3:2x2", 16), "v5e-8": ("v5e:2x4", 16), "v6e-8": ("v6e:2x4", 32)}
TOPOLOGY = flags.DEFINE_string("topology", "v5e-8", f"One of {', '.join(TOPOLOGIES)}.")


def devices(name: str) -> tuple[list[Any], int]:
    """(the described devices, GiB of each).

    Raises:
      InputError: an unknown topology, or libtpu is not installed.
    """
    if name not in TOPOLOGIES:
        raise unknown("topology", name, TOPOLOGIES)
    # There is no TPU here to ask.
    os.environ |= {"TPU_SKIP_MDS_QUERY": "1", "TPU_WORKER_HOSTNAMES": "localhost"}
    os.environ |= {"TPU_ACCELERATOR_TYPE": name, "JAX_PLATFORMS": "cpu"}
    os.environ["ALLOW_MULTIPLE_LIBTPU_LOAD"] = "1"
    import jax
    from jax.experimental import topologies

    described, gib = TOPOLOGIES[name]
    try:
        found = topologies.get_topology_desc(platform="tpu", topology_name=described)
    except (RuntimeError, ValueError, jax.errors.JaxRuntimeError) as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise InputError(f"libtpu: {reason}; pip install -r requirements-tpu.txt") from error
    return list(found.devices), gib


def main() -> None:
    config = config_flags.config()
    found, gib = devices(TOPOLOGY.value)
    from xl_jax.devices.mesh import make_mesh
    from xl_jax.model.shared_model import SharedModel
    from xl_jax.training.compiled_step import collectives, compile_step, memory
    from xl_jax.training.step import flops_per_step

    rows = -(-config.vocab.size // 128) * 128  # as `Vocabulary.size`
    mesh, model = make_mesh(config, found), SharedModel.abstract(config, rows)
    print(model.totals())
    start = time.monotonic()
    compiled = compile_step(model, mesh)
    seconds = time.monotonic() - start

    needs = memory(compiled)
    assert needs is not None
    print(f"{TOPOLOGY.value}, mesh {dict(mesh.shape)}, compiled in {seconds:.0f} s")
    parts = ", ".join(f"{x} {n / 2**30:.2f}" for x, n in needs._asdict().items())
    print(f"memory of a chip: {needs.total / 2**30:.2f} of {gib} GiB ({parts})")
    print(f"operations a step: {flops_per_step(model) / 1e12:.1f} TFLOP of the model")
    for kind, (number, size) in collectives(compiled.as_text() or "").items():
        print(f"  {kind}: {number} of {size / 2**20:,.1f} MiB in all")
    if needs.total > gib * 2**30:
        raise RuntimeError(f"does not fit: {needs.total / 2**30:.2f} GiB, a chip has {gib}")
    print("fits")


if __name__ == "__main__":
    cli.run(main, __doc__, config_flags.parse)
