"""Checkpoints: Orbax behind four verbs, with a digest of every leaf.

Orbax loads a flipped byte in silence, so each step carries a digest of every leaf, computed where
the leaf lives; a step whose leaves do not match is named and the one before it is used. A step can
be restored onto another mesh than the one it was saved from. Steps of another kind of run (other
shapes, mask or vocabulary) are refused with the difference.

    STEP/state    the arrays                      STEP/digests   path -> "float32[2, 16] digest"
    STEP/about    the metadata of the run         STEP/metrics   the score (of a `best` folder)
"""

import errno
import os
import re
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils

from xl_jax.config import difference
from xl_jax.devices import multihost
from xl_jax.errors import InputError, first_line
from xl_jax.json_files import plain, read_json
from xl_jax.quiet import quiet
from xl_jax.rules import leaf_paths

CHUNK = 1 << 23  # bytes of a leaf in one piece of a file, where memory counts
BLOCK = 1 << 20  # elements that `sums_in_blocks` looks at together

_ORBAX = "See full TensorStore details"  # says that an array cannot be read; its cause says why
_TENSORSTORE = re.compile(r'Error opening "\w+" driver: | \[tensorstore_spec.*', re.DOTALL)


class _Manager(ocp.CheckpointManager):
    def reached_preemption(self, step: int) -> bool:
        return False  # the training loop asks, and it counts calls, not steps


class Checkpoints:
    """A folder of saved steps: the newest ones, or with `best` the one of the smallest score.

    A reader (`read_only`) changes nothing, so that it may look while a trainer writes. There must
    be one writer at most (see `lock`): it removes what a killed one left half-written.

    Args:
      also: steps that are kept beside the newest ones.
      metadata: written beside every step, as JSON; a step that says something else in a field that
        this one has is refused by `restore`.
      copies: of several processes each has a folder of its own: the first writes whole states, the
        others read copies of its folder.
      at_once: bytes that are being written at a time, at least those of the largest leaf; saving
        then takes little more memory, and returns when all is on disk. By default it copies the
        state and returns while that is written.
    """

    def __init__(
        self,
        folder: Path,
        keep: int,
        log: Callable[[str], None] = print,
        best: bool = False,
        metadata: Mapping[str, Any] | None = None,
        read_only: bool = False,
        also: Collection[int] = (),
        at_once: int = 0,
        copies: bool = False,
    ):
        self.log, self.best, self.read_only, self.at_once = log, best, read_only, at_once
        self.copies = copies and jax.process_count() > 1
        if self.copies and jax.process_index():
            self.read_only = read_only = True
        self.metadata: dict[str, Any] = plain(metadata or {})  # as it will be read
        options = ocp.CheckpointManagerOptions(
            **({} if read_only or best else {"preservation_policy": _newest(keep, also)}),
            max_to_keep=keep if best and not read_only else None,
            create=not (read_only or self.copies),
            cleanup_tmp_directories=not read_only,
            best_fn=(lambda scores: scores["score"]) if best else None,
            best_mode="min",
            enable_async_checkpointing=not at_once,
            **({"multiprocessing_options": _alone()} if self.copies else {}),
        )
        if self.copies:
            folder.mkdir(exist_ok=True)
        handlers: dict[str, Any] = {}
        if at_once:
            gigabytes: Any = (at_once + CHUNK) / 1e9  # said to be whole ones; fractions work
            handlers = {x: ocp.JsonCheckpointHandler() for x in ("digests", "about")}
            handlers["state"] = ocp.StandardCheckpointHandler(save_concurrent_gb=gigabytes)
        if best and not read_only:
            self._discard_unscored(folder)
        with _one_line(f"{folder}: cannot be used"), quiet():
            self.manager = _Manager(
                folder.absolute(), options=options, item_handlers=handlers or None
            )

    @property
    def latest(self) -> int | None:
        """The newest complete step; its content is checked by `restore`."""
        return self.manager.latest_step()

    def save(self, step: int, state: Any, score: float | None = None) -> None:
        """Starts writing `state`; returns before it is on disk (see `wait`). The caller may donate
        its buffers next. `score` (of a `best` folder): only a smaller one than before is written.

        Raises:
          RuntimeError: this step, or the one before it, cannot be written.
        """
        if self._has(step, score):
            return
        digests = leaf_digests(state)
        chunks = None
        if self.copies:
            state = jax.device_get(multihost_utils.process_allgather(state, tiled=True))
            if self.read_only:
                return
        if self.at_once:
            chunks = jax.tree.map(lambda _: ocp.SaveArgs(chunk_byte_size=CHUNK), state)
        elif jax.process_count() == 1:
            state = jax.device_get(state)
        elif not self.copies:
            state = jax.tree.map(jnp.copy, state)
        with _one_line(f"{self.manager.directory}: saving step {step} failed"):
            saved = self.manager.save(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.StandardSave(state, chunks),
                    digests=ocp.args.JsonSave(digests),
                    about=ocp.args.JsonSave(self.metadata),
                ),
                metrics=None if score is None else {"score": score},
            )
            if not saved:
                raise RuntimeError("a newer step is there")

    def _has(self, step: int, score: float | None) -> bool:
        """Whether the step need not be written; the same in every process."""
        has = step == self.latest
        if self.best and (before := self.manager.best_step()) is not None:
            metrics = self.manager.metrics(before)
            has |= metrics is not None and score is not None and metrics["score"] <= score
        return multihost.of_first(has) if self.copies else has

    def restore(self, like: Any) -> tuple[int, Any] | None:
        """(step, state) of the newest step that is whole, None where there is no step at all.

        Newer steps are damaged then, whatever they say of themselves: a writer removes them, so
        that they are written again.

        Args:
          like: a state of the same structure: arrays, or shapes with shardings: where it will live.

        Raises:
          InputError: checkpoints are there, and none is whole; or they are of another kind of run.
        """
        refused: InputError | None = None
        damaged: dict[int, str] = {}
        for step in reversed(self.steps):
            try:
                state = self._read(step, like)
            except Exception as error:  # Orbax raises many kinds for a damaged folder
                if self.read_only and not (self.manager.directory / str(step)).exists():
                    self.manager.reload()  # a trainer has removed it: there are newer ones
                    return self.restore(like)
                damaged[step] = self._reason(error)
                if isinstance(error, InputError):
                    refused = refused or error
                continue
            self._discard(damaged)
            return step, state
        if refused is not None:
            raise refused
        for step, reason in damaged.items():
            self.log(f"checkpoint of step {step} is damaged: {reason}")
        if damaged:
            folder = self.manager.directory
            raise InputError(f"no whole checkpoint in {folder}: tried {list(damaged)}")
        return None

    def discard_damaged(self, like: Any) -> None:
        """Removes every step that is not whole, also where none is left; see `restore`."""
        damaged = {}
        for step in self.steps:
            try:
                self._read(step, like)
            except Exception as error:
                damaged[step] = self._reason(error)
        self._discard(damaged)

    def _discard(self, damaged: Mapping[int, str]) -> None:
        for step, reason in damaged.items():
            self.log(f"checkpoint of step {step} is damaged: {reason}")
            if not self.read_only:
                self.manager.delete(step)

    def _discard_unscored(self, folder: Path) -> None:
        """Removes steps of a `best` folder whose score is damaged: Orbax would not open it."""
        for path in folder.glob("*/metrics/metrics"):
            try:
                float(read_json(path)["score"])
            except (InputError, TypeError, KeyError, ValueError):
                step = path.parents[1]
                self.log(f"checkpoint of step {step.name} is damaged: its score cannot be read")
                shutil.rmtree(step, ignore_errors=True)

    def flat(self) -> dict[str, jax.Array] | None:
        """The newest step of a flat tree, path -> array, whose shapes need not be known; None where
        there is no step."""
        if self.latest is None:
            return None
        where = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        like = {}
        for path, digest in self._read_json(self.latest, "digests").items():
            dtype, _, shape = digest.rpartition(" ")[0].partition("[")
            sizes = tuple(int(n) for n in shape.rstrip("]").split(",") if n)
            like[path] = jax.ShapeDtypeStruct(sizes, jnp.dtype(dtype), sharding=where)
        return self.at(self.latest, like)

    @property
    def steps(self) -> list[int]:
        """Every complete step, oldest first."""
        return sorted(self.manager.all_steps())

    def at(self, step: int, like: Any) -> Any:
        """The state of one of `steps`; see `restore`.

        Raises:
          InputError: it is damaged, or of another kind of run.
        """
        try:
            return self._read(step, like)
        except InputError:
            raise
        except Exception as error:  # see `restore`
            message = f"checkpoint of step {step} is damaged: {self._reason(error)}"
            raise InputError(message) from error

    def wait(self) -> None:
        """Returns when every save is on disk. Raises RuntimeError: one could not be written."""
        with _one_line(f"{self.manager.directory}: saving failed"):
            self.manager.wait_until_finished()

    def close(self) -> None:
        self.wait()
        self.manager.close()

    def _reason(self, error: BaseException) -> str:
        """What is wrong with a step, without TensorStore's description of the array it opened."""
        if _ORBAX in str(error) and error.__cause__:
            error = error.__cause__
        text = str(error).replace(f"{self.manager.directory}{os.sep}", "")
        return first_line(Exception(_TENSORSTORE.sub("", text) or type(error).__name__))

    @quiet()
    def _read(self, step: int, like: Any) -> Any:
        target = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
        saved = self._read_json(step, "digests")
        self._check_kind(step, saved, like)
        found = self.manager.restore(
            step, args=ocp.args.Composite(state=ocp.args.StandardRestore(target))
        )
        digests = leaf_digests(found["state"])
        wrong = [path for path in digests if digests[path] != saved[path]]
        if wrong:
            raise ValueError(f"the content of {', '.join(wrong[:3])} is not what was saved")
        return found["state"]

    def _read_json(self, step: int, item: str) -> Any:
        args = ocp.args.Composite(**{item: ocp.args.JsonRestore()})
        return self.manager.restore(step, args=args)[item]

    def _check_kind(self, step: int, saved: Mapping[str, str], like: Any) -> None:
        """Raises InputError: the step holds other leaves than `like`, or says other metadata."""
        shapes = {path: digest.rpartition(" ")[0] for path, digest in saved.items()}
        lines = difference(
            shapes, dict(zip(leaf_paths(like), map(_kind, jax.tree.leaves(like)), strict=True))
        )
        if (self.manager.directory / str(step) / "about").exists():  # older steps have none
            said = self._read_json(step, "about")
            for name in sorted(self.metadata.keys() & said.keys()):
                lines = difference({name: said[name]}, {name: self.metadata[name]}) + lines
        if lines:
            more = f"; and {len(lines) - 4} more" if len(lines) > 4 else ""
            raise InputError(
                f"{self.manager.directory}: step {step} is of another run (there -> here): "
                f"{'; '.join(lines[:4])}{more}"
            )


def _alone() -> Any:
    """Orbax in one process, which the others do not wait for."""
    me = jax.process_index()
    return ocp.options.MultiprocessingOptions(
        primary_host=me, active_processes={me}, barrier_sync_key_prefix=f"copy{me}"
    )


def _newest(keep: int, also: Collection[int]) -> Any:
    policies = ocp.checkpoint_managers.preservation_policy
    kept = [policies.LatestN(n=keep), policies.CustomSteps(sorted(also))]
    return policies.AnyPreservationPolicy(kept)


@contextmanager
def _one_line(message: str) -> Iterator[None]:
    """Turns what Orbax raises for an unwritable folder or a full disk into one line."""
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:
        reason, full = first_line(error), os.strerror(errno.ENOSPC)
        if full in str(error):
            reason = f"{full}; the same command continues when there is room"
        raise RuntimeError(f"{message}: {reason}") from error


def _kind(x: Any) -> str:
    return f"{x.dtype}{list(x.shape)}"


def leaf_digests(tree: Any) -> dict[str, str]:
    """A digest of every leaf, by path: type, shape, and two 32-bit sums over its bits, each element
    weighted by an odd number of its position. Computed where the leaf lies, the same whatever the
    mesh. Any single damaged element is found for certain, more with all but 2^-64.
    """
    leaves = jax.tree.leaves(tree)
    on_devices = iter(jax.device_get(_sums([x for x in leaves if not _is_on_host(x)])))
    sums = [sums_in_blocks(x) if _is_on_host(x) else next(on_devices) for x in leaves]
    digests = [
        f"{_kind(x)} {int(a):08x}{int(b):08x}" for x, (a, b) in zip(leaves, sums, strict=True)
    ]
    return dict(zip(leaf_paths(tree), digests, strict=True))


@jax.jit
def _sums(leaves: list[jax.Array]) -> list[jax.Array]:
    return [_weighted_sums(x) for x in leaves]


def _weighted_sums(x: jax.Array) -> jax.Array:
    unsigned = jnp.dtype(f"uint{8 * x.dtype.itemsize}")
    bits = jax.lax.bitcast_convert_type(x, unsigned).astype(jnp.uint32)
    position = jnp.zeros(x.shape, jnp.uint32)
    for axis, size in enumerate(x.shape):
        position = position * np.uint32(size) + jax.lax.broadcasted_iota(jnp.uint32, x.shape, axis)
    return jnp.stack([jnp.sum(bits * w, dtype=jnp.uint32) for w in _weights(position)])


def _weights(position: Any) -> Iterator[Any]:
    for first, second in ((0x9E3779B1, 0x85EBCA77), (0xC2B2AE3D, 0x27D4EB2F)):
        weight = (position + np.uint32(1)) * np.uint32(first)
        yield (weight ^ (weight >> np.uint32(15))) * np.uint32(second) | np.uint32(1)


def _is_on_host(x: Any) -> bool:
    """Whether NumPy may sum the leaf: no program is compiled (a second for a small state), and
    there are no temporary arrays as large as the leaf, which the host's memory would feel."""
    if x.dtype.itemsize != 4:
        return False
    return not isinstance(x, jax.Array) or [d.platform for d in x.devices()] == ["cpu"]


def sums_in_blocks(x: Any) -> np.ndarray:
    """What `_weighted_sums` gives, for an array of 4-byte elements on one device, in little memory
    beside the array's own."""
    bits = np.asarray(x).reshape(-1).view(np.uint32)
    total = np.zeros(2, np.uint32)
    for start in range(0, len(bits), BLOCK):
        block = bits[start : start + BLOCK]
        position = np.arange(start, start + len(block), dtype=np.uint32)
        total += np.array([np.sum(block * w, dtype=np.uint32) for w in _weights(position)])
    return total
