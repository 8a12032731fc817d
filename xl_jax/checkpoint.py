"""Checkpoints: Orbax behind four verbs, with a digest of every leaf.

Orbax loads a flipped byte in silence, so each step carries the SHA-256 of every leaf (over type,
shape and bytes); a step whose leaves do not match is named and the one before it is used.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from xl_jax.errors import InputError
from xl_jax.rules import leaf_paths


class Checkpoints:
    """The `checkpoints/` folder of a run directory."""

    def __init__(self, folder: Path, keep: int, log: Callable[[str], None] = print):
        self.log = log
        options = ocp.CheckpointManagerOptions(max_to_keep=keep, cleanup_tmp_directories=True)
        self.manager = ocp.CheckpointManager(folder.absolute(), options=options)

    @property
    def latest(self) -> int | None:
        """The newest complete step; its content is checked by `restore`."""
        return self.manager.latest_step()

    def save(self, step: int, state: Any) -> None:
        """Starts writing `state`; returns before it is on disk (see `wait`)."""
        if step == self.latest:
            return
        state = jax.device_get(state)  # the caller's buffers may be donated next
        self.manager.save(
            step,
            args=ocp.args.Composite(
                state=ocp.args.StandardSave(state),
                digests=ocp.args.JsonSave(leaf_digests(state)),
            ),
        )

    def restore(self, like: Any) -> tuple[int, Any] | None:
        """(step, state) of the newest step that is whole, None where there is no step at all.

        Args:
          like: a state of the same structure: arrays or shapes.

        Raises:
          InputError: checkpoints are there, and none is whole.
        """
        steps = sorted(self.manager.all_steps(), reverse=True)
        for step in steps:
            try:
                return step, self._read(step, like)
            except Exception as error:  # Orbax raises many kinds for a damaged folder
                first = str(error).strip().splitlines()[0][:200]
                self.log(f"checkpoint of step {step} is damaged: {first}")
        if steps:
            raise InputError(f"no whole checkpoint in {self.manager.directory}: tried {steps}")
        return None

    def wait(self) -> None:
        """Returns when every save is on disk."""
        self.manager.wait_until_finished()

    def close(self) -> None:
        self.wait()
        self.manager.close()

    def _read(self, step: int, like: Any) -> Any:
        target = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
        found = self.manager.restore(
            step,
            args=ocp.args.Composite(
                state=ocp.args.StandardRestore(target), digests=ocp.args.JsonRestore()
            ),
        )
        digests = leaf_digests(found["state"])
        wrong = [path for path in digests if digests[path] != found["digests"].get(path)]
        if wrong:
            raise ValueError(f"the content of {', '.join(wrong[:3])} is not what was saved")
        return found["state"]


def leaf_digests(tree: Any) -> dict[str, str]:
    """SHA-256 of every leaf, by path."""

    def digest(leaf: Any) -> str:
        array = np.asarray(leaf)
        head = f"{array.dtype} {array.shape}".encode()
        return hashlib.sha256(head + np.ascontiguousarray(array).tobytes()).hexdigest()

    return dict(zip(leaf_paths(tree), map(digest, jax.tree.leaves(tree)), strict=True))
