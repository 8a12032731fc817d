"""Text to tokens: corpora and vocabulary options in, a folder of token shards out.

The folder is named by a digest of what was asked, written beside its final place and renamed when
it is complete: it is there whole or not at all, and the same question is answered once.

    vocab.json *.model        the vocabulary
    LANG.train LANG.heldout   token shards (see `shards`)
    LANG.gold LANG.words      sentences and words whose line i means the same in every gold language
    counts.npy                int64[languages, pieces]: occurrences in the training text
    header.json               what was asked, lines and tokens, digests
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from xl_jax.config import Config
from xl_jax.data import shards, synthetic
from xl_jax.data import vocab as vocabularies
from xl_jax.data.corpora import HELDOUT, Corpus, assign_parts, open_corpora, part_of
from xl_jax.data.shards import Shard
from xl_jax.data.special import N_SPECIAL
from xl_jax.data.vocab import Vocabulary
from xl_jax.errors import InputError
from xl_jax.randomness import Purpose, generator

FORMAT = 1  # of the folder; part of its name
GOLD_SENTENCES = 10_000


@dataclass(frozen=True)
class Prepared:
    """A run's tokens. `gold` and `words` hold only the languages with known translations."""

    vocabulary: Vocabulary
    train: dict[str, Shard]
    heldout: dict[str, Shard]
    gold: dict[str, Shard]
    words: dict[str, Shard]
    counts: np.ndarray  # int64[languages, vocabulary.size]
    header: dict


def prepare(config: Config, folder: Path, log: Callable[[str], None] = print) -> Prepared:
    """The tokens of a run: read from under `folder` if they are there, made otherwise.

    Raises:
      InputError: a bad corpus, an empty one, one smaller than a window, an impossible vocabulary.
    """
    corpora = open_corpora({x: config.corpora[x] for x in config.languages})
    asked = {
        "format": FORMAT,
        "corpora": {x: c.spec for x, c in corpora.items()},
        "vocab": asdict(config.vocab),
        "heldout": config.data.heldout,
        "seed": config.seed if config.vocab.mode == "joint" else 0,
    }
    digest = hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:12]
    place = folder / digest
    if not (place / "header.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{digest}-", dir=folder))
        try:
            _write(config, corpora, asked, work, log)
            try:
                os.rename(work, place)
            except OSError:  # another process was first; its folder has the same content
                if not (place / "header.json").exists():
                    raise
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return read(place)


def read(place: Path) -> Prepared:
    """Opens a folder that `prepare` wrote."""
    header = json.loads((place / "header.json").read_text())

    def every(kind: str) -> dict[str, Shard]:
        names = [x for x in header["languages"] if (place / f"{x}.{kind}.tokens").exists()]
        return {x: shards.read(place, f"{x}.{kind}") for x in names}

    return Prepared(
        vocabularies.load(place),
        every("train"),
        every("heldout"),
        every("gold"),
        every("words"),
        np.load(place / "counts.npy"),
        header,
    )


def _write(
    config: Config,
    corpora: dict[str, Corpus],
    asked: dict,
    work: Path,
    log: Callable[[str], None],
) -> None:
    parts = assign_parts(corpora)
    bases = {x: c.base or x for x, c in corpora.items()}
    own = [x for x, base in bases.items() if x == base]

    def training_text(language: str) -> Callable[[], Iterator[str]]:
        """All training lines of the text `language` is written in, whichever twin reads them."""

        def lines() -> Iterator[str]:
            for line in corpora[language].lines():
                if part_of(line, config.data.heldout, 1) != HELDOUT:
                    yield line

        return lines

    for language in own:
        if next(training_text(language)(), None) is None:
            raise InputError(f"corpus of {language}, {corpora[language].spec!r}: no line of text")
    log(f"vocabulary: {config.vocab.mode}, {config.vocab.type}, {config.vocab.size} pieces a model")
    vocabulary = vocabularies.train(
        config.vocab, {x: training_text(x) for x in own}, bases, config.seed
    )
    vocabulary.save(work)

    counts = np.zeros((len(corpora), vocabulary.size), np.int64)
    lines_and_tokens = {}
    for i, (language, corpus) in enumerate(corpora.items()):
        part, n_parts = parts[language]
        encode = vocabulary.encoder(language)
        texts = {part: hashlib.sha256(), HELDOUT: hashlib.sha256()}

        def encoded(
            wanted: int,
            corpus: Corpus = corpus,
            n_parts: int = n_parts,
            encode: Callable[[list[str]], list[np.ndarray]] = encode,
            texts: dict = texts,
        ) -> Iterator[np.ndarray]:
            def chosen() -> Iterator[str]:
                for line in corpus.lines():
                    if part_of(line, config.data.heldout, n_parts) == wanted:
                        texts[wanted].update(line.encode() + b"\n")
                        yield line

            for n, ids in enumerate(_in_batches(chosen(), encode)):
                yield reorder(ids, corpus.order, n)

        train = shards.write(work, f"{language}.train", encoded(part))
        heldout = shards.write(work, f"{language}.heldout", encoded(HELDOUT))
        if len(train.tokens) < config.data.length or not len(heldout):
            raise InputError(
                f"corpus of {language}, {corpus.spec!r}: {len(train.tokens)} training tokens and "
                f"{len(heldout)} held-out lines are too few for rows of {config.data.length} tokens"
            )
        counts[i] = np.bincount(train.tokens, minlength=vocabulary.size)
        lines_and_tokens[language] = {
            "spec": corpus.spec,
            "lines": len(train),
            "tokens": len(train.tokens),
            "unknown": int(counts[i, :N_SPECIAL].sum()),
            "heldout_lines": len(heldout),
            "text": texts[part].hexdigest(),
        }
        log(f"{language}: {len(train):,} lines, {len(train.tokens):,} tokens for training")
    np.save(work / "counts.npy", counts)
    _write_gold(corpora, vocabulary, counts, work)
    header = {**asked, "digest": vocabulary.digest, "languages": lines_and_tokens}
    (work / "header.json").write_text(json.dumps(header, indent=1) + "\n")


def reorder(ids: np.ndarray, order: str, line: int) -> np.ndarray:
    """A twin's word order: the tokens of a line kept, inverted or permuted (a new order a line)."""
    if order == "keep":
        return ids
    if order == "invert":
        return ids[::-1]
    return generator(0, Purpose.TWIN_ORDER, line).permutation(ids)


def _in_batches(
    lines: Iterator[str], encode: Callable[[list[str]], list[np.ndarray]], size: int = 1000
) -> Iterator[np.ndarray]:
    batch: list[str] = []
    for line in lines:
        batch.append(line)
        if len(batch) == size:
            yield from encode(batch)
            batch = []
    yield from encode(batch) if batch else ()


def _write_gold(
    corpora: dict[str, Corpus], vocabulary: Vocabulary, counts: np.ndarray, work: Path
) -> None:
    """Gold sentences and words, for twins (free) and for a synthetic pair (generated)."""
    names = list(corpora)
    twins = [x for x in names if corpora[x].base]
    sides = {corpora[x].side: x for x in names if corpora[x].side}
    if twins:
        base = corpora[twins[0]].base
        frequent = np.argsort(-counts[names.index(base)], kind="stable")
        frequent = frequent[counts[names.index(base), frequent] > 0]
        frequent = frequent[frequent >= N_SPECIAL]
        for language in [base, *(x for x in twins if corpora[x].base == base)]:
            heldout = shards.read(work, f"{language}.heldout")
            sentences = (heldout.line(i) for i in range(min(len(heldout), GOLD_SENTENCES)))
            shards.write(work, f"{language}.gold", sentences)
            shift = vocabulary.offsets[language] - vocabulary.offsets[base]
            numbers = (np.asarray([number + shift], np.int32) for number in frequent)
            shards.write(work, f"{language}.words", numbers)
    elif sides.keys() == {"a", "b"}:
        grammar = corpora[sides["b"]].grammar
        assert grammar is not None
        gold = synthetic.gold_sentences(grammar, min(GOLD_SENTENCES, 2000))
        words = synthetic.gold_words(grammar)
        for column, side in enumerate(("a", "b")):
            encode = vocabulary.encoder(sides[side])
            shards.write(work, f"{sides[side]}.gold", encode([pair[column] for pair in gold]))
            shards.write(work, f"{sides[side]}.words", encode([pair[column] for pair in words]))
