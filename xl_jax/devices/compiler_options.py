"""What XLA is told for the programs that take the time: the training step and features."""

import jax


def compiler_options() -> dict[str, str] | None:
    """For `jax.jit(compiler_options=...)`.

    On a CPU, fusing the element-wise work into the matrix products of XLA's newer library (YNNPACK,
    on by default in this jaxlib) made a step a fifth slower (tools/bench.py step).
    """
    cpu = jax.default_backend() == "cpu"
    return {"xla_cpu_experimental_ynn_fusion_type": ""} if cpu else None
