"""The tasks by name: how each reads its data, and how it is made from its training data.

A new task is a file in this folder, a line here, and its name in `config.finetune.TASKS`.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from xl_jax.config.finetune import Tuning
from xl_jax.tasks import ner, nli, parsing, tagging
from xl_jax.tasks.task import Item, Task


class Kind(NamedTuple):
    read: Callable[[str, str, Counter[str]], list[Item]]  # (spec, language, what was counted)
    learn: Callable[[Sequence[Any], Tuning], Task]


KINDS = {
    "nli": Kind(nli.read, nli.NLI.learn),
    "ner": Kind(ner.read, ner.NER.learn),
    "tagging": Kind(tagging.read, tagging.Tagging.learn),
    "parsing": Kind(parsing.read, parsing.Parsing.learn),
}
