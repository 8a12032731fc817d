"""What is done to one part of a corpus, in whatever process: read, cleaned, split, then measured,
sampled or encoded. Every pass reads the text anew, so that memory does not grow with it.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import chain, compress, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from xl_jax.atomic_files import replacing, write_array
from xl_jax.config import Config
from xl_jax.file_names import file_name
from xl_jax.rng import Purpose, generator
from xl_jax.text import duplicates, twins
from xl_jax.text.clean import Cleaner
from xl_jax.text.codeswitch import CodeSwitch
from xl_jax.text.corpora import HELDOUT, TEST, Corpus, assign_parts, open_corpora, splits
from xl_jax.text.documents import Document, Part, position, positions
from xl_jax.tokens import sentencepiece_model, shards, vocabulary
from xl_jax.tokens.vocabulary import Vocabulary

PART = 8 << 20  # bytes of text in a part, about: a few seconds of work
MOST_PARTS = 256  # of a corpus; larger ones have larger parts, for every part is two open files
DOCUMENTS_READ = 16  # between looks at the size of what was read
DOCUMENTS_AT_ONCE = 1000  # cleaned and encoded, about,
CHARACTERS_AT_ONCE = 1 << 21  # or fewer long ones
WORDS = 5_000_000  # characters of a text, about, whose words are counted for the domain distance


@dataclass(frozen=True)
class Work:
    """A preparation: what is requested, and the folder where it is made. Sent to processes."""

    folder: Path
    created: str  # tells it from an earlier one in the same folder
    config: Config = field(compare=False)
    seed: int = field(compare=False)


class Opened:
    """What the passes need of a preparation, opened once in a process."""

    def __init__(self, work: Work):
        c = work.config
        self.work, self.config = work, c
        self.corpora = open_corpora({x: c.corpora[x] for x in c.languages})
        self.trains_on = assign_parts(self.corpora)
        self._switches: dict[str, CodeSwitch] = {}

    @cached_property
    def vocabulary(self) -> Vocabulary:
        return vocabulary.load(self.work.folder)

    @cached_property
    def parts(self) -> dict[str, list[Part]]:
        return {language: parts_of(corpus) for language, corpus in self.corpora.items()}

    @property
    def owners(self) -> list[str]:
        """The languages with text of their own: all but twins."""
        return [x for x, c in self.corpora.items() if c.own_text or not c.base]

    def owner(self, language: str) -> str:
        """The language whose text this one reads: itself, or the base of a twin."""
        return language if language in self.owners else self.corpora[language].base

    def measured(self, language: str) -> range:
        """The parts by which a text is measured, and that the vocabulary learns from: all of them,
        or, of a large text, as many as it takes, from everywhere in it."""
        share = measured_share(self.config, self.corpora[language])
        return range(0, len(self.parts[language]), int(1 / share))

    @cached_property
    def dtype(self) -> type:
        return shards.smallest_dtype(self.vocabulary.size)

    def copies(self, language: str) -> int:
        """Of the training text."""
        return self.config.anchors.copies if len(self.switch(language)) else 1

    def switch(self, language: str) -> CodeSwitch:
        if language not in self._switches:
            self._switches[language] = CodeSwitch(self.config.anchors, language, self.work.seed)
        return self._switches[language]

    def batches(
        self, language: str, index: int, counts: Counter[str], repeated: bool = False
    ) -> Iterator[tuple[np.ndarray, list[Document]]]:
        """(splits, documents) of part `index` of the text that `language` reads, cleaned, some at a
        time. Counts what is read, and what is changed and dropped by reason.

        A split is HELDOUT, TEST or the number of a training part, see `corpora.splits`. Repeated
        lines are dropped if the config says so, unless they are requested.
        """
        corpus, data = self.corpora[language], self.config.data
        clean = Cleaner(self.config.clean, corpus.script, corpus.prose)
        drop = None
        if self.config.clean.duplicates and not repeated:
            folder = self.work.folder / "duplicates"
            drop = duplicates.Dropped(folder, self.owner(language), index)
        for read in _some(corpus.source.documents(self.parts[language][index], counts)):
            counts["documents"] += len(read)
            documents = list(clean.many(read, counts))
            where = positions(documents)
            split = splits(where, data.heldout, data.test, self.trains_on[language][1])
            if drop is not None:
                documents = [drop(document, counts) for document in documents]
            yield split, documents


@lru_cache(maxsize=1)
def opened(work: Work) -> Opened:
    return Opened(work)


def parts_of(corpus: Corpus) -> list[Part]:
    """The parts of a corpus: a function of the corpus alone, whoever reads them."""
    parts = corpus.source.parts(PART)
    if len(parts) > MOST_PARTS:
        parts = corpus.source.parts(PART * -(-len(parts) // MOST_PARTS))
    return parts


def measured_share(config: Config, corpus: Corpus) -> float:
    """The share of a text, about, that is enough to choose from it what a vocabulary learns from,
    a character being 3 bytes or less; so measuring takes a bounded time. Where much of a text is
    dropped, the vocabulary learns from somewhat less than `vocab.sample` characters."""
    enough = 3 * max(config.vocab.sample, WORDS)
    return min(1.0, enough / max(corpus.source.size(), 1))


def _some(documents: Iterator[Document]) -> Iterator[list[Document]]:
    """Lists of them: many, but few long ones."""
    batch: list[Document] = []
    characters = 0
    while few := list(islice(documents, DOCUMENTS_READ)):
        batch += few
        characters += sum(map(len, chain.from_iterable(few)))
        if len(batch) >= DOCUMENTS_AT_ONCE or characters >= CHARACTERS_AT_ONCE:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def find_duplicates(work: Work, language: str, index: int) -> None:
    """Writes the hashes of a part's lines."""
    folder = work.folder / "duplicates"
    folder.mkdir(exist_ok=True)
    batches = opened(work).batches(language, index, Counter(), repeated=True)
    documents = (document for _, batch in batches for document in batch)
    duplicates.write_hashes(folder, language, index, documents)


def mark_duplicates(work: Work, language: str, index: int) -> int:
    """Writes which lines of all parts repeat another, for a share of the hashes."""
    n_parts = len(opened(work).parts[language])
    return duplicates.mark(work.folder / "duplicates", language, n_parts, index)


def measure(work: Work, language: str, index: int) -> dict[str, int]:
    """Lines and characters of a part's training text, whichever twin reads it; writes the lines
    that the vocabulary may learn from, among which it makes its own choice."""
    o, path = opened(work), _sample(work, language, index)
    path.parent.mkdir(exist_ok=True)
    parts = len(o.measured(language)) / len(o.parts[language])
    share = min(1.0, measured_share(o.config, o.corpora[language]) / parts)
    n = characters = 0
    with replacing(path) as file:
        for split, documents in o.batches(language, index, Counter()):
            lines = list(chain.from_iterable(compress(documents, split >= 0)))
            n += len(lines)
            characters += sum(map(len, lines))
            if share < 1:
                lines = sentencepiece_model.choose(lines, share, work.seed)
            file.write("".join([f"{line}\n" for line in lines]).encode())
    return {"lines": n, "characters": characters}


def sampled(o: Opened, language: str) -> Iterator[str]:
    """The lines that `measure` wrote, of all the parts that it read."""
    for index in o.measured(language):
        with _sample(o.work, language, index).open(encoding="utf-8", newline="\n") as file:
            for line in file:
                yield line[:-1]


def _sample(work: Work, language: str, index: int) -> Path:
    return work.folder / "sample" / f"{file_name(language)}.{index:05d}.txt"


def encode(work: Work, language: str, index: int) -> dict[str, Any]:
    """Writes a part of each of a language's shards, under parts/ of the work's folder:

    LANG.train, LANG.train@1, ... (copies, other words switched), LANG.heldout, LANG.test, and
    LANG.order for a twin's held-out lines: the position in the base's line of each token. Where
    training text will be cut, LANG.PART.documents.npy gives each training document's random
    position in 0..1 and its lines, float64[documents, 2].

    Returns:
      `counts` of what was read, dropped and switched; `text`, the SHA-256 of the training lines;
      and documents, lines, tokens and bytes of text by split.
    """
    o, folder = opened(work), work.folder / "parts"
    folder.mkdir(exist_ok=True)
    own, switch = o.trains_on[language][0], o.switch(language)
    switches = len(switch) > 0
    counts: Counter[str] = Counter()
    where, sizes = [np.zeros(0)], [0]
    seen: Counter[float] = Counter()  # equal documents have one position

    def number(document: Document) -> tuple[int, int]:
        where = position(document)
        seen[where] += 1
        return index, seen[where] - 1

    with ExitStack() as stack:

        def lines(name: str, order: bool = False) -> _Lines:
            def writer(name: str, dtype: DTypeLike) -> shards.Writer:
                return stack.enter_context(shards.Writer(folder, name, index, dtype))

            orders = writer(f"{language}.order", np.int32) if order else None
            return _Lines(o, language, index, writer(f"{language}.{name}", o.dtype), orders)

        copies = [lines(shards.copy_name("train", i)) for i in range(o.copies(language))]
        others = {HELDOUT: lines("heldout", order=o.owner(language) != language)}
        if o.config.data.test:
            others[TEST] = lines("test")
        for split, documents in o.batches(language, index, counts):
            for other, output in others.items():
                output.add(compress(documents, split == other))
            training = list(compress(documents, split == own))
            if switches:
                numbered = [(x, number(x)) for x in training]
                for epoch, copy in enumerate(copies):
                    copy.add([switch(x, epoch, counts, n) for x, n in numbered])
            else:
                copies[0].add(training)
            if o.config.data.tokens:
                where.append(positions(training, b"tokens"))
                sizes += map(len, training)
    if o.config.data.tokens:
        table = np.stack([np.concatenate(where), np.array(sizes[1:], float)], 1)
        write_array(_documents(folder, language, index), table)
    names = {HELDOUT: "heldout", TEST: "test"}
    return {
        "counts": counts,
        "text": copies[0].text.hexdigest(),
        "train": copies[0].sizes,
        **{names[split]: output.sizes for split, output in others.items()},
    }


class _Lines:
    """The lines of one part of a shard: encoded, put in a twin's order and written."""

    def __init__(
        self,
        o: Opened,
        language: str,
        index: int,
        writer: shards.Writer,
        orders: shards.Writer | None,
    ):
        self._encode = o.vocabulary.stream_encoder(language)
        self._order = _order(o.corpora[language], index)
        self._writer, self._orders = writer, orders
        self.text = hashlib.sha256()
        self.sizes = dict.fromkeys(("documents", "lines", "tokens", "bytes"), 0)

    def add(self, documents: Iterable[Document]) -> None:
        documents = list(documents)
        lines = list(chain.from_iterable(documents))
        text = "".join([f"{line}\n" for line in lines]).encode()
        self.text.update(text)
        stream, lengths = self._encode(lines)
        if self._order is not None:
            ends = np.cumsum(lengths)
            orders = [self._order(n - 1, i) for i, n in enumerate(lengths, self.sizes["lines"])]
            for order, end, n in zip(orders, ends, lengths, strict=True):
                stream[end - n : end - 1] = stream[end - n : end - 1][order]
            if self._orders is not None:
                self._orders.add(orders)
        self._writer.add_stream(stream, lengths)
        for name, n in (
            ("documents", len(documents)),
            ("lines", len(lines)),
            ("tokens", len(stream) - len(lines)),
            ("bytes", len(text)),
        ):
            self.sizes[name] += n


def _order(corpus: Corpus, index: int) -> Callable[[int, int], np.ndarray] | None:
    """(tokens, number of the line in part `index` of its split) -> a twin's order of the tokens."""
    if not corpus.base:
        return None
    random = generator(0, Purpose.TWIN_ORDER)  # only `permute` draws

    def order(n: int, line: int) -> np.ndarray:
        permuted = corpus.order == "permute"
        draws = generator(0, Purpose.TWIN_ORDER, line, index) if permuted else random
        return twins.order(n, corpus.order, corpus.p, draws)

    return order


def cut(work: Work, language: str, copy: int, tokens: int) -> dict[str, int]:
    """Writes a training shard, or a copy of it, from its parts: in their order, the documents with
    the lowest random positions that have (in the first copy) at most so many tokens together."""
    folder, name = work.folder / "parts", f"{language}.train"
    first = shards.read(folder, name)
    where, lines, size = [], [], []  # of each document, by part
    for index, part in enumerate(first.parts):
        table = np.load(_documents(folder, language, index))
        where.append(table[:, 0])
        lines.append(table[:, 1].astype(np.int64))
        ends = np.concatenate([[0], np.cumsum(lines[-1])])
        size.append(np.diff(part.starts[ends] - ends))
    by_position = np.argsort(np.concatenate(where), kind="stable")
    kept = np.zeros(len(by_position), bool)
    kept[by_position] = np.cumsum(np.concatenate(size)[by_position]) <= tokens

    name = shards.copy_name(name, copy)
    edges = np.cumsum([0, *map(len, lines)])
    for index, part in enumerate(shards.read(folder, name).parts):
        here = np.repeat(kept[edges[index] : edges[index + 1]], lines[index])
        text = compress(shards.Shard([part]), here)
        shards.write(work.folder, name, text, index, opened(work).dtype)
    return {"documents": int(kept.sum())}


def _documents(folder: Path, language: str, index: int) -> Path:
    return folder / f"{file_name(language)}.{index:05d}.documents.npy"
