"""Where a step's rows live: slots over the mesh's `data` axis, rows over `fsdp`."""

from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from xl_jax.batches.sampler import Batches, Step
from xl_jax.config import Batch


def step_shardings(mesh: Mesh) -> Step:
    """Where the parts of K stacked steps live: slots over data, rows over fsdp."""
    tokens = PartitionSpec(None, None, "data", "fsdp")
    language = PartitionSpec(None, None, "data")
    return Step._make(NamedSharding(mesh, spec) for spec in (tokens, language))


def step_shapes(batch: Batch, length: int, n: int, mesh: Mesh) -> Step:
    """Shapes and shardings of n stacked steps."""
    slots = (n, batch.accum, batch.slots)
    shapes = zip(((*slots, batch.rows, length), slots), step_shardings(mesh), strict=True)
    return Step._make(jax.ShapeDtypeStruct(x, np.int32, sharding=where) for x, where in shapes)


def load_steps(batches: Batches, first: int, n: int, mesh: Mesh) -> Step:
    """The n steps from `first` on, on their devices: a process reads only its devices' windows."""
    shapes: Any = step_shapes(batches.config, batches.length, n, mesh)
    languages = batches.steps(first, n, rows=slice(0, 0)).language

    def block(index: Any) -> np.ndarray:
        return batches.steps(first, n, slots=index[2], rows=index[3]).tokens

    made: Any = jax.make_array_from_callback
    return Step(
        made(shapes.tokens.shape, shapes.tokens.sharding, block),
        made(languages.shape, shapes.language.sharding, lambda index: languages[index]),
    )
