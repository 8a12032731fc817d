"""The labelled data of a request: read, and as rows of each language's pieces."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from xl_jax.config.finetune import Tuning
from xl_jax.finetune.language_view import View
from xl_jax.finetune.twin_data import TWIN, as_twin
from xl_jax.json_files import fingerprint
from xl_jax.tasks import specs
from xl_jax.tasks.registry import KINDS
from xl_jax.tasks.rows import Rows
from xl_jax.tasks.task import Item, Task


class Split(NamedTuple):
    """A data set: its spec, what the reader gave, and the same as rows of one view."""

    spec: str
    items: list[Item]
    rows: Rows

    @property
    def content(self) -> str:
        """A digest of the items: a file may change and keep its name."""
        return fingerprint(self.items, 16)


@dataclass(frozen=True, eq=False)
class TaskData:
    """The task, which knows the labels of its training data, and every split."""

    task: Task
    train: Split
    dev: Split
    test: dict[str, Split]  # by language

    @cached_property
    def content(self) -> dict[str, str]:
        """Digests of what is learnt from."""
        return {"train": self.train.content, "dev": self.dev.content}

    @cached_property
    def of_tests(self) -> dict[str, str]:
        """Digests of the test sets, by language."""
        return {language: test.content for language, test in self.test.items()}


def load(
    tuning: Tuning,
    views: Mapping[str, View],
    log: Callable[[str], None],
) -> TaskData:
    """Reads all data of a request (see `request.resolved`), and logs what was counted.

    Raises:
      InputError: anything wrong with them, with file and line.
    """
    kind = KINDS[tuning.task]

    def read(name: str, spec: str, language: str) -> list[Item]:
        counts: Counter[str] = Counter()
        items = kind.read(spec, language, counts)
        log(f"{name}: {len(items):,} items of {spec}{specs.version(spec)}{_shown(counts)}")
        return items

    def split(name: str, spec: str, items: list[Item], view: View) -> Split:
        if new := task.unseen(items):
            log(f"{name}: labels without training, counted as errors{_shown(new)}")
        rows = task.rows(items, view.vocabulary, view.language, view.framing)
        if any(rows.counts.values()):
            log(f"{name}: rows of {rows.length} tokens{_shown(rows.counts)}")
        return Split(spec, items, rows)

    source = views[tuning.source]
    train = read("train", tuning.train, tuning.source)
    task = kind.learn(train, tuning)
    parts = {"train": split("train", tuning.train, train, source)}
    dev = read("dev", tuning.dev, tuning.source)
    parts["dev"] = split("dev", tuning.dev, dev, source)
    test = {}
    for language, spec in tuning.test.items():
        name = f"test {language}"
        items = read(name, spec.removeprefix(TWIN), language)
        test[language] = split(name, spec, items, views[language])
        twin = views[language].twin
        if twin and spec.startswith(TWIN):
            rows = as_twin(test[language].rows, twin)
            test[language] = test[language]._replace(rows=rows)
    return TaskData(task, parts["train"], parts["dev"], test)


def _shown(counts: Counter[str]) -> str:
    named = [f"{name.replace('_', ' ')} {n:,}" for name, n in counts.most_common(6) if n]
    return f": {', '.join(named)}" if named else ""
