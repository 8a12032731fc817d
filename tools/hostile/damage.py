"""Files of a finished run that are flipped, cut, emptied or lost."""

import contextlib
import dataclasses
import io
import os
import random
import shutil
from pathlib import Path

from tools.hostile.config import get_config
from tools.hostile.kills import Reference
from tools.hostile.stages import (
    EVALUATED,
    NER,
    PARTS,
    TUNE,
    TUNE_FILE,
    Outcome,
    Trial,
    judge,
    results,
)
from xl_jax.config import Tuning, from_dict
from xl_jax.config.command_line import ConfigFlag
from xl_jax.errors import InputError

HARMS = ("flip", "cut", "empty", "delete", "append")


def kind_of(path: Path) -> str:
    """What a file of a run directory is; every kind is harmed equally often."""
    parts = path.parts
    if parts[0] == "data":
        name = path.name
        return "data " + (name if "." in name and name.count(".") == 1 else path.suffix)
    if parts[0] in ("checkpoints", "best"):
        return f"{parts[0]} {parts[2] if len(parts) > 3 else path.name}"
    if parts[0] == "eval":
        return (
            "tuned " + (parts[3] if len(parts) > 4 else path.suffix) if len(parts) > 2 else "eval"
        )
    return parts[0]


def harm(path: Path, how: str, draw: random.Random) -> None:
    content = bytearray(path.read_bytes())
    if how == "delete":
        path.unlink()
        return
    if how == "flip" and content:
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    elif how == "cut":
        content = content[: draw.randrange(len(content) or 1)]
    elif how == "empty":
        content = bytearray()
    elif how == "append":
        content += draw.randbytes(draw.randint(1, 64))
    path.write_bytes(content)


def damage(reference: Reference, number: int, draw: random.Random) -> Trial:
    """One file of a finished run is harmed, then every command is given again, in this process."""
    folder = reference.copy("", f"damage{number}")
    kinds: dict[str, list[Path]] = {}
    for path in sorted(x for x in folder.rglob("*") if x.is_file()):
        kinds.setdefault(kind_of(path.relative_to(folder)), []).append(path)
    kind = draw.choice(sorted(kinds))
    path, how = draw.choice(kinds[kind]), draw.choice(HARMS)
    harm(path, how, draw)
    said = io.StringIO()
    what = f"{how} {kind}: {path.relative_to(folder)}"
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            again(folder, reference.stages)
            outcome = judge(reference.expected[reference.stages[-1]], folder, said.getvalue())
    except (InputError, RuntimeError) as error:
        outcome = Outcome.REFUSED
        said.write(f"\n{error}")
    except Exception as error:
        outcome = Outcome.CRASHED
        said.write(f"\n{type(error).__name__}: {error}")
    shutil.rmtree(folder)
    return Trial(what, outcome, said.getvalue()[-500:])


def check_again(reference: Reference) -> None:
    """Raises RuntimeError: giving every command again changes an undamaged run."""
    folder = reference.copy("", f"again{os.getpid()}")
    again(folder, reference.stages)
    expected = reference.expected[reference.stages[-1]]
    found = results(folder)
    wrong = [name for name in expected | found if expected.get(name) != found.get(name)]
    if wrong:
        raise RuntimeError(f"without any harm, {', '.join(wrong)} changed")
    shutil.rmtree(folder)


def again(folder: Path, stages: tuple[str, ...]) -> None:
    """What the commands of the stages do."""
    from xl_jax.evaluate.runner import USUAL, measure
    from xl_jax.finetune.transfer import Transfer
    from xl_jax.pretrain.loop import pretrain
    from xl_jax.runs import run_directory

    run = run_directory.start(from_dict(get_config()), folder)
    if "train" in stages:
        pretrain(run)
        measure(run, USUAL)
    if "tune" in stages:
        Transfer(run_directory.load(folder), tuning()).run_all()
    if "evaluate" in stages:
        measure(run_directory.load(folder), EVALUATED.split(","))


def tuning() -> Tuning:
    """The settings of the stage `tune`."""
    flag = ConfigFlag("tune", Tuning, lambda: TUNE_FILE)
    for argument in TUNE:
        flag.take(argument)
    flag.load()
    specs = {part: f"{NER}{part}.bio" for part in PARTS}
    return dataclasses.replace(flag.value(), **specs)
