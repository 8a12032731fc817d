"""Devices: what a mesh refuses before anything is compiled, and who reads which windows."""

import dataclasses
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pytest
import toy

from xl_jax.batches.placement import load_steps
from xl_jax.batches.sampler import ALL, Batches, Step
from xl_jax.config import Batch, Mesh, Model
from xl_jax.devices.mesh import arranged, check_backend, make_mesh
from xl_jax.errors import InputError
from xl_jax.training.step import state_shapes

RULES = ((".*/attention/query/kernel", ("fsdp", "tensr")), (".*", ()))
DEEP = (("mlm/bias", ("tensor", "fsdp")), (".*", ()))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mesh", "message"),
    [
        (Mesh(data=16), "mesh.data = 16, mesh.fsdp = 1, .* 16 devices are needed, there are 8"),
        (Mesh(data=2**22, fsdp=2**21, tensor=2**21), " 18446744073709551616 devices are needed"),
        (Mesh(data=4), "batch.slots = 2 is not a multiple of mesh.data = 4"),
        (Mesh(fsdp=8), "batch.rows = 4 is not a multiple of mesh.fsdp = 8"),
        (Mesh(tensor=4), "key/bias: a dimension of 2 is not a multiple of mesh.tensor = 4"),
        (Mesh(tensor=3), "embed/token: a dimension of 32 is not a multiple of mesh.tensor"),
        (Mesh(rules=RULES), "axis in mesh.rules for .*kernel 'tensr': did you mean 'tensor'"),
        (Mesh(rules=DEEP), "mlm/bias has 1 dimensions, the rule names"),
        (Mesh(rules=(("embed/x", ()), (".*", ()))), "'embed/x' matches no parameter"),
    ],
)
def test_what_does_not_fit_is_named(mesh: Mesh, message: str) -> None:
    config = toy.config(mesh=mesh)
    with pytest.raises(InputError, match=message):
        state_shapes(toy.model(config), make_mesh(config))


def test_several_processes_use_all_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jax, "process_count", lambda: 4)
    with pytest.raises(InputError, match="have to use all devices, these are 2 of 8"):
        make_mesh(toy.config(mesh=Mesh(data=2)))


def test_slices_of_tpus_divide_the_axis_of_data_alone() -> None:
    chips = [SimpleNamespace(platform="tpu", slice_index=i // 4) for i in range(8)]
    with pytest.raises(InputError, match="^here: mesh.data has to be a multiple of the 2 slices"):
        arranged((1, 8, 1), chips, "here")
    with pytest.raises(InputError, match="each used whole; they have 4, 2 devices here"):
        arranged((2, 3, 1), chips[:6], "here")


def test_hosts_of_gpus_are_no_slices() -> None:
    cards = [
        SimpleNamespace(platform="gpu", slice_index=i // 4, device_kind="", id=i) for i in range(8)
    ]
    assert arranged((1, 8, 1), cards, "here").tolist() == [[[x] for x in cards]]


@dataclasses.dataclass
class Card:
    platform: str = "gpu"
    compute_capability: str = "9.0"
    version: str = "PJRT C API\ncuda 13000"

    @property
    def client(self) -> Any:
        return SimpleNamespace(platform_version=self.version)


@pytest.mark.parametrize(
    ("device", "model", "message"),
    [
        (Card(), Model(attention="cudnn", dtype="bfloat16", attention_dropout=0.0), None),
        (Card("cpu", ""), Model(dtype="bfloat16"), None),
        (Card(compute_capability="7.5"), Model(), None),
        (
            Card("cpu", ""),
            Model(attention="cudnn", dtype="bfloat16", attention_dropout=0.0),
            "model.attention = 'cudnn' needs an NVIDIA GPU, this is cpu: use 'xla'",
        ),
        (
            Card(compute_capability="7.0"),
            Model(),
            "has compute capability 7.0, JAX's packages of CUDA 13 need 7.5: .*jax\\[cuda12\\]",
        ),
        (Card(compute_capability="7.0", version="cuda 12090"), Model(), None),
        (
            Card(compute_capability="7.5"),
            Model(dtype="bfloat16"),
            "'bfloat16' needs a GPU of compute capability 8.0 or more, .* has 7.5: use 'float32'",
        ),
    ],
)
def test_what_a_backend_lacks(device: Card, model: Model, message: str | None) -> None:
    if message is None:
        check_backend(model, device)
        return
    with pytest.raises(InputError, match=message):
        check_backend(model, device)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"attention": "flash"}, "unknown model.attention 'flash': did you mean 'xla'. known"),
        (
            {"attention": "cudnn", "dtype": "bfloat16"},
            "'cudnn' needs .*attention_dropout = 0, not 'bfloat16' and 0.1",
        ),
        (
            {"attention": "cudnn", "attention_dropout": 0.0},
            "'cudnn' needs model.dtype = 'bfloat16' .* not 'float32' and 0.0",
        ),
    ],
)
def test_what_an_attention_cannot_do(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Model(**fields)


class Recorded(Batches):
    """Rows whose first token tells slot and row, and which of them were read."""

    def __init__(self, config: Batch, length: int):
        self.config, self.length, self.read = config, length, set[tuple[int, int]]()

    def steps(self, first: int, n: int, slots: slice = ALL, rows: slice = ALL) -> Step:
        s, r = np.arange(self.config.slots)[slots], np.arange(self.config.rows)[rows]
        self.read |= {(int(a), int(b)) for a in s for b in r}
        name = first * 1000 + s[:, None] * 10 + r
        tokens = np.broadcast_to(
            name[None, None, :, :, None], (n, self.config.accum, len(s), len(r), self.length)
        )
        return Step(tokens.astype(np.int32), np.broadcast_to(s, (n, 1, len(s))).astype(np.int32))


def test_a_device_is_given_its_own_rows_and_no_others_are_read() -> None:
    config = toy.config(mesh=Mesh(data=2, fsdp=2, tensor=2))
    batches = Recorded(config.batch, toy.LENGTH)
    step = load_steps(batches, 5, 3, make_mesh(config))
    assert step.tokens.shape == (3, 1, 2, 4, toy.LENGTH) and step.language.tolist()[0] == [[0, 1]]
    np.testing.assert_array_equal(step.tokens, Recorded.steps(batches, 5, 3).tokens)
    tokens: Any = step.tokens
    for shard in tokens.addressable_shards:
        assert shard.data.shape == (3, 1, 1, 2, toy.LENGTH)
    batches.read = set()
    one = load_steps(batches, 5, 1, make_mesh(toy.config()))
    assert len(batches.read) == 8 and len(one.tokens.devices()) == 1
