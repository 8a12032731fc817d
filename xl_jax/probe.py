"""First measurements of a run, every layer, the untrained model and chance beside: do the languages
share a space?

A task is a function from a run to tidy records; `measure` writes them to eval/TASK.json.
A record: metric, source, target, layer, value, chance, n, seed, step, model (trained | untrained),
centred (each language's mean taken off), data (what was measured on). Rates are in 0..1.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from xl_jax.analysis.features import make_means
from xl_jax.analysis.retrieval import chance, retrieve
from xl_jax.analysis.similarity import linear_cka, shuffled_cka
from xl_jax.data import parallel
from xl_jax.data.parallel import Pairs
from xl_jax.errors import InputError, unknown
from xl_jax.perplexity import Heldout
from xl_jax.randomness import Purpose, generator
from xl_jax.rundir import Run
from xl_jax.step import init_state

Record = dict[str, Any]


class Probe:
    """A run's trained and untrained views, and the vectors they give to pairs."""

    def __init__(self, run: Run):
        self.run = run
        self.step, self.params = run.trained()
        self.views = {
            "trained": run.views(self.params),
            "untrained": run.views(init_state(run.model).params),
        }
        self.means = make_means(run.model.module)
        self.done: dict[tuple[str, str, str, str], tuple[np.ndarray, np.ndarray]] = {}

    def vectors(self, model: str, source: str, target: str, pairs: Pairs) -> tuple[Any, Any]:
        """[layers, n, width] of both sides."""
        place = (model, source, target, pairs.name)
        if place not in self.done:
            views = self.views[model]
            self.done[place] = (
                self.means(views[source], pairs.source),
                self.means(views[target], pairs.target),
            )
        return self.done[place]

    def language_pairs(self) -> list[tuple[str, str]]:
        """The pair asked for, or the first language with each other one.

        Raises:
          InputError: a language the run does not have; files for one pair, and several pairs.
        """
        asked, languages = self.run.config.probe, self.run.config.languages
        source = languages[self.run.language(asked.source)] if asked.source else languages[0]
        others = [asked.target] if asked.target else [x for x in languages if x != source]
        pairs = [(source, languages[self.run.language(other)]) for other in others]
        if len(pairs) > 1 and (asked.pairs or asked.dictionary):
            raise InputError(f"files of which pair? give --target: one of {', '.join(others)}")
        return pairs

    def sentences(self, source: str, target: str) -> Pairs | None:
        c, data = self.run.config.probe, self.run.data
        if c.pairs:
            return parallel.sentence_files(data, source, target, c.pairs)
        return parallel.gold_sentences(data, source, target, c.sentences, c.length)

    def words(self, source: str, target: str) -> Pairs | None:
        c, data = self.run.config.probe, self.run.data
        if c.dictionary:
            return parallel.dictionary_file(data, source, target, c.dictionary)
        return parallel.gold_words(data, source, target, c.words)

    def common(self, model: str, pairs: Pairs) -> Record:
        return {
            "n": len(pairs.source),
            "data": pairs.name,
            "model": model,
            "seed": self.run.config.seed,
            "step": self.step if model == "trained" else 0,
        }


def retrieval(probe: Probe) -> Iterator[Record]:
    """Find each sentence's translation by cosine of mean states: precision at 1, both ways."""
    yield from _precision(probe, "sentence_retrieval", probe.sentences)


def translation(probe: Probe) -> Iterator[Record]:
    """Find each word's translation by cosine of its states, alone between special tokens."""
    yield from _precision(probe, "word_translation", probe.words)


def _precision(
    probe: Probe, metric: str, pairs_of: Callable[[str, str], Pairs | None]
) -> Iterator[Record]:
    for source, target in probe.language_pairs():
        pairs = pairs_of(source, target)
        if pairs is None:
            continue
        levels = chance(pairs.answers, len(pairs.source), len(pairs.target))
        for model in probe.views:
            x, y = probe.vectors(model, source, target, pairs)
            for layer in range(len(x)):
                for centred in (False, True):
                    found = retrieve(x[layer], y[layer], pairs.answers, centre=centred)
                    directions = ((source, target), (target, source))
                    for (a, b), places, level in zip(directions, found, levels, strict=True):
                        yield {
                            "metric": metric,
                            "source": a,
                            "target": b,
                            "layer": layer,
                            "value": float(places.hits().mean()),
                            "chance": level,
                            "centred": centred,
                            **probe.common(model, pairs),
                        }


def cka(probe: Probe) -> Iterator[Record]:
    """Linear CKA between the two languages' mean states of paired sentences."""
    for source, target in probe.language_pairs():
        pairs = probe.sentences(source, target)
        if pairs is None:
            continue
        for model in probe.views:
            x, y = probe.vectors(model, source, target, pairs)
            for layer in range(len(x)):
                random = generator(0, Purpose.SHUFFLED_PAIRS, layer)
                yield {
                    "metric": "cka",
                    "source": source,
                    "target": target,
                    "layer": layer,
                    "value": linear_cka(x[layer], y[layer]),
                    "chance": shuffled_cka(x[layer], y[layer], random),
                    **probe.common(model, pairs),
                }


def perplexity(probe: Probe) -> Iterator[Record]:
    """Held-out perplexity of each language beside unigram and bigram counts."""
    heldout = Heldout(probe.run)
    trained = heldout.perplexities(probe.params)
    for language, value in trained.items():
        yield {
            "metric": "perplexity",
            "source": language,
            "value": value,
            **heldout.baselines(probe.params, language),
            "seed": probe.run.config.seed,
            "step": probe.step,
        }


TASKS: dict[str, Callable[[Probe], Iterator[Record]]] = {
    "retrieval": retrieval,
    "translation": translation,
    "cka": cka,
    "perplexity": perplexity,
}


def measure(
    run: Run, tasks: Sequence[str] = tuple(TASKS), again: bool = False
) -> tuple[list[Record], list[str]]:
    """(records of the tasks, tasks that have nothing to measure on).

    Records come from eval/TASK.json where that file answers the same question for the newest
    checkpoint (unless `again`), and are measured and written otherwise.

    Raises:
      InputError: an unknown task or language, a missing file, no checkpoint.
    """
    for task in tasks:
        if task not in TASKS:
            raise unknown("task", task, TASKS)
    folder = run.folder / "eval"
    probe = Probe(run)
    asked = {"step": probe.step, "probe": vars(run.config.probe)}
    found, nothing = [], []
    for task in tasks:
        path = folder / f"{task}.json"
        written = json.loads(path.read_text()) if path.exists() and not again else {}
        if written.get("asked") != asked:
            records = list(TASKS[task](probe))
            if not records:
                nothing.append(task)
                continue
            written = {"run": run.folder.name, "task": task, "asked": asked, "records": records}
            folder.mkdir(exist_ok=True)
            path.write_text(json.dumps(written, indent=1) + "\n")
        found += written["records"]
    return found, nothing
