"""The hosts of a pod, one by one in this process: together they read every window once."""

from collections import Counter
from typing import Any

import jax
import numpy as np
import pytest

from xl_jax.batches.placement import step_shapes
from xl_jax.batches.sampler import Batches
from xl_jax.batches.windows import Stream
from xl_jax.config import Batch
from xl_jax.tokens.shards import Part, Shard

LENGTH = 4
Place = tuple[slice, slice]  # slots and rows of a chip


def numbered(windows: int) -> Stream:
    """Windows whose first token is their number."""
    tokens = np.repeat(np.arange(windows, dtype=np.int32), LENGTH)
    return Stream(Shard([Part(tokens, np.array([0, len(tokens)]))]), LENGTH)


def places(batch: Batch, data: int, fsdp: int) -> list[list[Place]]:
    """What each of the chips of every host reads; a host has the next 4 of a mesh (data, fsdp)."""
    a, b = batch.slots // data, batch.rows // fsdp
    chips = [
        (slice(i * a, (i + 1) * a), slice(j * b, (j + 1) * b))
        for i in range(data)
        for j in range(fsdp)
    ]
    return [chips[i : i + 4] for i in range(0, len(chips), 4)]


def test_the_places_of_chips_are_those_that_jax_gives_them() -> None:
    batch, mesh = Batch(slots=8, rows=4), jax.make_mesh((4, 2, 1), ("data", "fsdp", "tensor"))
    tokens: Any = step_shapes(batch, LENGTH, 1, mesh).tokens
    given = tokens.sharding.devices_indices_map(tokens.shape)
    found = [[index.indices(n)[:2] for index, n in zip(given[d][2:4], (8, 4), strict=True)]
             for d in mesh.devices.flat]  # fmt: skip
    expected = [(x, y) for host in places(batch, 4, 2) for x, y in host]
    assert found == [[(x.start, x.stop), (y.start, y.stop)] for x, y in expected]


@pytest.mark.parametrize(("data", "fsdp"), [(64, 4), (32, 8), (256, 1)])
def test_64_hosts_of_256_chips_read_every_window_once_an_epoch(data: int, fsdp: int) -> None:
    """Each host with a sampler of its own, as each process has. Both languages end an epoch after
    the same 4 steps: 2 x 4096 windows, 8 rows of 256 slots a step, half of the slots each."""
    batch = Batch(slots=256, rows=8, draw="systematic", alpha=0.0)
    steps, sizes = 8, (4096, 4096)
    read: list[Counter[int]] = [Counter(), Counter()]
    hosts = places(batch, data, fsdp)
    assert len(hosts) == 64
    for host in hosts:
        batches = Batches([numbered(n) for n in sizes], batch, seed=3, steps=steps)
        for slots, rows in dict.fromkeys(map(_hashable, host)):
            step = batches.steps(0, steps, slice(*slots), slice(*rows))
            for i, number in enumerate(read):
                number.update(step.tokens[step.language == i][..., 0].ravel().tolist())
    expected = [dict.fromkeys(range(n), steps // 4) for n in sizes]
    assert read == expected


def _hashable(place: Place) -> tuple[tuple[int, int], tuple[int, int]]:
    return ((place[0].start, place[0].stop), (place[1].start, place[1].stop))
