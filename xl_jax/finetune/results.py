"""What fine-tuning leaves in a run directory, a folder a setting; none is believed unread.

eval/TASK/SETTING-DIGEST/   result.json, predictions/LANGUAGE.*, model/ (the tuned parameters)

The digest is of the request (data, epochs, freezing, ...): results of different requests stand side
by side. In result.json, `question` is that request, `asked` its digest, and `scores` one entry for
each language and test set. A file carries a checksum of its content. What is damaged is named in
one line and counts as not there, so that it is made again.
"""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from xl_jax.config.finetune import Setting
from xl_jax.errors import InputError
from xl_jax.finetune.aggregate import Record
from xl_jax.finetune.model import Leaves
from xl_jax.json_files import fingerprint, read_json, write_json
from xl_jax.runs.checkpoint import Checkpoints

FILE = "result.json"
CHECKSUM = "checksum"
NEEDED = {"question", "asked", "setting", "dev", "epoch", "kept", "scores"}


class ResultStore:
    """The finished settings of one task. `folder` is eval/TASK."""

    def __init__(self, folder: Path, log: Callable[[str], None] = print):
        self.folder, self.log = folder, log

    def folder_of(self, setting: Setting, request: Mapping[str, Any]) -> Path:
        return self.folder / f"{setting.name}-{fingerprint(request)}"

    def read(self, folder: Path) -> Record | None:
        """The result in a setting's folder, None where there is none or it is damaged."""
        path = folder / FILE
        if not path.exists():
            return None
        try:
            return _checked(path)
        except InputError as error:
            self.log(f"{error}; it is left out, and made again when it is asked for")
            return None

    def write(self, folder: Path, result: Record) -> None:
        """Writes result.json, whole."""
        folder.mkdir(parents=True, exist_ok=True)
        content = {k: v for k, v in result.items() if k != CHECKSUM}
        write_json(folder / FILE, content | {CHECKSUM: fingerprint(content)})

    def finished(self) -> dict[str, Record]:
        """Every result, by the name of its folder."""
        found = {x.parent.name: self.read(x.parent) for x in sorted(self.folder.glob(f"*/{FILE}"))}
        return {name: result for name, result in found.items() if result is not None}

    def read_model(self, folder: Path, like: Leaves) -> Leaves | None:
        """The tuned leaves of a setting, None where they are gone or damaged.

        Args:
          like: leaves of the same shapes.
        """
        found = None
        if (folder / "model").exists():
            checkpoints = Checkpoints(folder / "model", keep=1, log=self.log, read_only=True)
            try:
                found = checkpoints.restore(like)
            except InputError as error:
                self.log(f"{error}")
            finally:
                checkpoints.close()
        if found is None:
            self.log(f"{folder}: no whole model; the setting is trained again")
            return None
        return found[1]

    def write_model(self, folder: Path, leaves: Leaves) -> None:
        """Replaces what was kept before."""
        shutil.rmtree(folder / "model", ignore_errors=True)
        checkpoints = Checkpoints(folder / "model", keep=1, log=self.log)
        checkpoints.save(0, leaves)
        checkpoints.close()


def _checked(path: Path) -> Record:
    """Raises InputError: not a whole result.json."""
    result = read_json(path)
    if not isinstance(result, dict) or not result.keys() >= NEEDED:
        raise InputError(f"{path} is damaged: not the result of a setting")
    content = {k: v for k, v in result.items() if k != CHECKSUM}
    if result.get(CHECKSUM, fingerprint(content)) != fingerprint(content):
        raise InputError(f"{path} is damaged: its content is not what was written")
    if isinstance(content["scores"], dict):  # earlier versions kept one test set a language
        scores = content["scores"].items()
        content["scores"] = [{"target": language, **entry} for language, entry in scores]
    return content
