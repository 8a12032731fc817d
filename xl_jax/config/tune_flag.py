"""--tune=FILE, --tune.FIELD=VALUE: the settings of fine-tuning for the tasks of a command."""

from collections.abc import Callable, Sequence

from xl_jax.config.command_line import ConfigFlag
from xl_jax.config.finetune import PROBE, TASKS, Tuning

TUNE_FILE = "configs/finetune_paper.py"


def tune_flag(tasks: Callable[[], Sequence[str]]) -> ConfigFlag:
    """The flag. `tasks`: gives those of the command, once its flags are parsed."""

    def task() -> str:
        """The one that has labels, "" for none; a linear probe's are tags if nothing else is said
        (--tune=FILE:ner)."""
        given = tasks()
        return next((x for x in given if x in TASKS), "tagging" if PROBE in given else "")

    def with_task(file: str) -> str:
        """Files of fine-tuning have settings for every task: FILE:TASK."""
        return f"{file}:{task()}" if ":" not in file and task() else file

    return ConfigFlag(
        "tune",
        Tuning,
        lambda: f"{TUNE_FILE}:{task() or TASKS[0]}",
        with_task,
        f"Settings of fine-tuning: FILE or FILE:TASK (default: {TUNE_FILE}:TASK).",
    )
