"""What a preparation will take, told from a sample of the text before any work is done."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from xl_jax.config import Config, Vocab
from xl_jax.errors import InputError
from xl_jax.prepare.stages import measured_share
from xl_jax.prepare.workers import cores
from xl_jax.text.clean import Cleaner
from xl_jax.text.corpora import Corpus, assign_parts, open_corpora
from xl_jax.tokens import sentencepiece_model, shards, vocabulary
from xl_jax.tokens.vocabulary import Vocabulary

SAMPLES = 4  # parts of each corpus that are read,
BYTES = 1 << 20  # so much of each


@dataclass(frozen=True)
class Sample:
    """Of a corpus, cleaned."""

    lines: list[str]
    documents: int
    bytes: int
    total: int  # bytes of the corpus, about
    seconds: float  # to read and clean the sample

    @property
    def scale(self) -> float:
        """How many such samples the corpus is."""
        return max(1.0, self.total / max(self.bytes, 1))


def estimate(config: Config, processes: int = 0) -> dict[str, Any]:
    """The plan of `prepare` for a config, for JSON; nothing is written.

    Args:
      processes: at work; 0 = one for each core.

    Returns:
      By language what its text is about (`bytes`, `documents`, `lines`) and becomes (`tokens`, of
      the splits it uses); in all, `seconds` and bytes of `disk` that the work takes, `kept`
      afterwards. `pieces`: of the vocabulary that the sample gives, smaller than requested if the
      sample is too small (then there are fewer tokens in truth).

    Raises:
      InputError: a bad corpus, an empty one.
    """
    corpora = open_corpora({x: config.corpora[x] for x in config.languages})
    owners = {x: c for x, c in corpora.items() if c.own_text or not c.base}
    samples = {x: _read(config, x, corpus) for x, corpus in owners.items()}
    own = {x: sample for x, sample in samples.items() if not corpora[x].base}
    start = time.perf_counter()
    requested, vocabulary = _vocabulary(config, own, corpora)
    learned = sum(sum(map(len, s.lines)) for s in own.values())
    learning = (time.perf_counter() - start) * _learned(config, own) / max(learned, 1)

    processes = processes or cores()
    languages, work, disk, chosen_from = {}, 0.0, 0.0, 0.0
    for language, corpus in corpora.items():
        sample = samples[language if language in samples else corpus.base]
        share = 1 / assign_parts(corpora)[language][1]  # of the training text
        copies = config.anchors.copies if config.anchors.dictionaries else 1
        start = time.perf_counter()
        tokens = sum(map(len, vocabulary.encoder(language)(sample.lines)))
        encoding = time.perf_counter() - start
        kept = config.data.heldout + config.data.test
        tokens = round(tokens * sample.scale * (kept + (1 - kept) * share * copies))
        passes_over = 1.0
        if language in samples:
            measured = measured_share(config, corpus)
            passes_over += measured + config.clean.duplicates
            chosen_from += measured * sample.total
        work += sample.scale * (passes_over * sample.seconds + encoding * share * copies)
        lines = round(len(sample.lines) * sample.scale)
        disk += tokens * shards.smallest_dtype(vocabulary.size)().itemsize + 8 * lines * share
        languages[language] = {
            "bytes": sample.total,
            "documents": round(sample.documents * sample.scale),
            "lines": lines,
            "tokens": tokens,
        }
    return {
        "languages": languages,
        "pieces": requested.size,
        "asked": config.vocab.size,
        "processes": processes,
        "seconds": learning + work / processes,
        "disk": disk * (2 if config.data.tokens else 1) + chosen_from,
        "kept": disk,
    }


def text(plan: Mapping[str, Any]) -> str:
    """The plan as plain text."""
    lines = [f"{'about':<14}{'text':>12}{'documents':>14}{'sentences':>14}{'tokens':>16}"]
    for name, x in plan["languages"].items():
        numbers = f"{x['documents']:>14,}{x['lines']:>14,}{x['tokens']:>16,}"
        lines.append(f"{name:<14}{readable_size(x['bytes']):>12}{numbers}")
    if plan["pieces"] < plan["asked"]:
        lines.append(
            f"(tokens of a vocabulary of {plan['pieces']:,} pieces, the sample gives no more; with "
            f"{plan['asked']:,} there are fewer)"
        )
    lines.append(
        f"time: {_time(plan['seconds'])} in {plan['processes']} processes; disk: "
        f"{readable_size(plan['disk'])}, of which {readable_size(plan['kept'])} stay"
    )
    return "\n".join(lines)


def _read(config: Config, language: str, corpus: Corpus) -> Sample:
    parts, total = corpus.source.parts(BYTES), corpus.source.size()
    chosen = parts[:: -(-len(parts) // SAMPLES)]
    all_of_it = len(chosen) == len(parts)
    clean = Cleaner(config.clean, corpus.script, corpus.prose)
    counts: Counter[str] = Counter()
    lines: list[str] = []
    documents = size = 0
    start = time.perf_counter()
    for part in chosen:
        before, here = counts["bytes"], 0
        for document in corpus.source.documents(part, counts):
            read = counts["bytes"] - before
            if total and here >= BYTES and read > here:  # the next block of an undivided part
                all_of_it = False
                break
            here = read
            lines += clean(document, counts)
            documents += 1
        size += here
    seconds = time.perf_counter() - start
    if not lines:
        raise InputError(f"corpus of {language}, {corpus.spec!r}: no line of text")
    return Sample(lines, documents, size, size if all_of_it else total, seconds)


def _vocabulary(
    config: Config, samples: Mapping[str, Sample], corpora: Mapping[str, Corpus]
) -> tuple[Vocab, Vocabulary]:
    """The requested vocabulary, or the largest of half, a quarter, ... its size that the samples
    give."""
    requested = config.vocab
    while True:
        try:
            return requested, vocabulary.train(
                requested,
                {x: lambda x=x: samples[x].lines for x in samples},
                {x: c.base or x for x, c in corpora.items()},
                {x: c.shift for x, c in corpora.items() if c.base},
                config.seed,
            )
        except InputError:
            if requested.size < 32:
                raise
            requested = replace(requested, size=requested.size // 2, sizes="")


def _learned(config: Config, samples: Mapping[str, Sample]) -> float:
    """Characters that the vocabulary will be learned from."""
    sizes = {
        x: sentencepiece_model.Size(
            round(len(s.lines) * s.scale), round(sum(map(len, s.lines)) * s.scale)
        )
        for x, s in samples.items()
    }
    share = sentencepiece_model.shares(config.vocab, sizes)
    return sum(share[x] * size.characters for x, size in sizes.items())


def readable_size(n: float | int) -> str:
    """A number of bytes for people: 950 B, 1.2 kB, 34 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if n < 1000:
            return f"{n:.0f} {unit}" if unit == "B" or n >= 10 else f"{n:.1f} {unit}"
        n /= 1000
    return f"{n:.1f} TB"


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
