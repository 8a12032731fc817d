"""Devices in three directions: `data` divides a step's slots, `fsdp` its rows and the parameters,
`tensor` vocabulary, heads and the feed-forward width. One device is a mesh of one. Slices of TPUs,
which a slower network joins, divide `data` alone.

Which axes divide a parameter is a rule like any other (`config.Mesh.rules`); XLA derives the
communication from where arguments and results live.
"""

import math
from typing import Any

import jax
import numpy as np
from jax.experimental.mesh_utils import create_device_mesh
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from numpy.typing import NDArray

from xl_jax.config import Batch, Config, Model
from xl_jax.errors import InputError, unknown
from xl_jax.rules import Absent, apply_rules, leaf_paths

AXES = ("data", "fsdp", "tensor")


def make_mesh(config: Config, devices: list[Any] | None = None) -> Mesh:
    """The mesh of `config.mesh` over `devices` (default: the first ones of all processes').

    Raises:
      InputError: fewer devices than the mesh needs, a step that the mesh does not divide, slices of
        TPUs that `mesh.data` does not divide, or a backend that lacks what the model needs.
    """
    sizes = (config.mesh.data, config.mesh.fsdp, config.mesh.tensor)
    devices = jax.devices() if devices is None else devices
    need = math.prod(sizes)  # not NumPy's, which wraps
    text = ", ".join(f"mesh.{a} = {n}" for a, n in zip(AXES, sizes, strict=True))
    if need > len(devices):
        raise InputError(f"{text}: {need} devices are needed, there are {len(devices)}")
    if jax.process_count() > 1 and need < len(devices):
        raise InputError(
            f"{text}: several processes have to use all devices, these are {need} of {len(devices)}"
        )
    _check_batch(config.batch, text, *sizes[:2])
    check_backend(config.model, devices[0])
    return Mesh(arranged(sizes, devices[:need], text), AXES, axis_types=(AxisType.Auto,) * 3)


def arranged(sizes: tuple[int, int, int], devices: list[Any], text: str) -> NDArray[Any]:
    """Devices [data, fsdp, tensor], neighbours close to each other in the machine's own network; of
    several slices of TPUs only `data` goes from slice to slice. `text` names the sizes in an error.

    Raises:
      InputError: `data` does not divide over the slices, or they are not all whole.
    """
    slices: dict[int, list[Any]] = {}
    for device in devices:
        # Hosts of GPUs have such a number too, and need no care.
        number = getattr(device, "slice_index", 0) if device.platform == "tpu" else 0
        slices.setdefault(number, []).append(device)
    (data, *inner), n = sizes, len(slices)
    if data % n or any(len(one) * n != len(devices) for one in slices.values()):
        raise InputError(
            f"{text}: mesh.data has to be a multiple of the {n} slices of TPUs, each used whole; "
            f"they have {', '.join(str(len(one)) for one in slices.values())} devices here"
        )
    return np.concatenate([_one_slice((data // n, *inner), one) for one in slices.values()])


def _one_slice(sizes: tuple[int, ...], devices: list[Any]) -> NDArray[Any]:
    if devices[0].platform != "tpu":  # jax.make_mesh takes hosts of GPUs for slices
        return create_device_mesh(sizes, devices)
    try:
        return jax.make_mesh(sizes, AXES, devices=devices).devices
    except NotImplementedError:  # an axis of the mesh fits along none of the slice
        return create_device_mesh(sizes, devices, allow_split_physical_axes=True)


def one_device(device: Any = None) -> Mesh:
    """A mesh of one device (of this process), whatever the run trained on."""
    devices = [device or jax.local_devices()[0]]
    return jax.make_mesh((1, 1, 1), AXES, (AxisType.Auto,) * 3, devices=devices)


def check_backend(model: Model, device: Any) -> None:
    """Raises InputError: `device` lacks the attention or the number format that the model names."""
    if model.attention == "cudnn" and device.platform != "gpu":
        raise InputError(
            f"model.attention = 'cudnn' needs an NVIDIA GPU, this is {device.platform}: use 'xla'"
        )
    capability = getattr(device, "compute_capability", "")
    if capability and float(capability) < 7.5 and "cuda 13" in device.client.platform_version:
        raise InputError(
            f"{device} has compute capability {capability}, JAX's packages of CUDA 13 need 7.5: "
            "install those of CUDA 12, jax[cuda12] (python tools/which_jax.py)"
        )
    if model.dtype == "bfloat16" and capability and float(capability) < 8:
        raise InputError(
            f"model.dtype = 'bfloat16' needs a GPU of compute capability 8.0 or more, {device} has "
            f"{capability}: use 'float32'"
        )


def _check_batch(batch: Batch, text: str, data: int, fsdp: int) -> None:
    for name, size, axis, n in (
        ("slots", batch.slots, "data", data),
        ("rows", batch.rows, "fsdp", fsdp),
    ):
        if size % n:
            raise InputError(
                f"{text}: batch.{name} = {size} is not a multiple of mesh.{axis} = {n}"
            )


def everywhere(mesh: Mesh) -> NamedSharding:
    """The same on every device."""
    return NamedSharding(mesh, PartitionSpec())


def param_shardings(mesh: Mesh, rules: Any, params: Any, absent: Absent | None = None) -> Any:
    """The sharding of every stacked leaf [variants, ...], by `config.Mesh.rules`. The axis of
    variants is never divided. `absent`: see `rules.assign`.

    Raises:
      InputError: rules that do not fit, an unknown axis, a dimension that its axis does not divide.
    """
    axes = apply_rules(rules, params, "mesh.rules", absent)
    leaves = jax.tree.leaves(params)
    structure: Any = jax.tree.structure(params)
    chosen = structure.flatten_up_to(axes)
    return structure.unflatten(
        [
            NamedSharding(mesh, PartitionSpec(None, *_checked(mesh, path, leaf.shape[1:], each)))
            for path, leaf, each in zip(leaf_paths(params), leaves, chosen, strict=True)
        ]
    )


def _checked(mesh: Mesh, path: str, shape: tuple[int, ...], axes: Any) -> tuple[str | None, ...]:
    axes = tuple(axes)
    if len(axes) > len(shape):
        raise InputError(f"mesh.rules: {path} has {len(shape)} dimensions, the rule names {axes}")
    for size, axis in zip(shape, axes, strict=False):
        if axis is None:
            continue
        if axis not in AXES:
            raise unknown(f"axis in mesh.rules for {path}", axis, AXES)
        if size % mesh.shape[axis]:
            raise InputError(
                f"{path}: a dimension of {size} is not a multiple of mesh.{axis} = "
                f"{mesh.shape[axis]}"
            )
    return axes


def gathered(mesh: Mesh, shardings: Any) -> Any | None:
    """Where one language's leaves are while a slot computes, of `param_shardings`: whole along
    `fsdp`, which divides rows too. Without this XLA moves the states of all rows instead, which are
    far more. None where `fsdp` divides nothing."""
    if mesh.shape["fsdp"] == 1:
        return None

    def whole(where: NamedSharding) -> NamedSharding:
        axes = (None if axis == "fsdp" else axis for axis in where.spec[1:])
        return NamedSharding(mesh, PartitionSpec(*axes))

    return jax.tree.map(whole, shardings)


def like_params(shardings: Any, params: Any, moments: Any, mesh: Mesh) -> Any:
    """Shardings of an optimiser state: a moment is where its parameter is, a count everywhere."""

    def leaf(sharding: NamedSharding, param: Any, state: Any) -> Any:
        return jax.tree.map(
            lambda x: sharding if x.shape == param.shape else everywhere(mesh), state
        )

    return jax.tree.map(leaf, shardings, params, moments)
