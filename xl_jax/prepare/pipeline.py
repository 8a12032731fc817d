"""Text to tokens: corpora and vocabulary options in, a folder of token shards out.

The folder is named by a digest of what was asked. It is made under the same name with a dot before
it and renamed when it is complete: it is there whole or not at all, the same question is answered
once, and work that was stopped goes on part by part.

    vocab.json *.model          the vocabulary
    LANG.train LANG.heldout     token shards (see `shards`); LANG.train@1, ... further copies with
    LANG.test                   other words switched; LANG.test where a share is kept for it
    LANG.gold LANG.words        sentences and words; line i means the same in every gold language
    LANG.order                  of a twin's held-out and gold lines: tokens' places in the base's
    counts.npy                  int64[languages, pieces]: occurrences in the training text
    header.json                 what was asked, lines and tokens, digests
    report.json report.txt      what became of the text (see `corpus_report`)
"""

import glob
import hashlib
import secrets
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from xl_jax import atomic_files
from xl_jax.config import Config
from xl_jax.errors import InputError
from xl_jax.json_files import fingerprint, plain, read_json, write_json
from xl_jax.prepare import corpus_report, gold, stages, workers
from xl_jax.prepare.stages import Work
from xl_jax.text.corpora import Corpus, open_corpora
from xl_jax.tokens import shards
from xl_jax.tokens import vocabulary as vocabularies
from xl_jax.tokens.sentencepiece_model import Size
from xl_jax.tokens.shards import Shard
from xl_jax.tokens.special import N_SPECIAL
from xl_jax.tokens.vocabulary import Vocabulary

FORMAT = 2  # of the folder; part of its name

Log = Callable[[str], None]
Records = dict[str, list[Any]]  # language -> what each pass over a part returned


@dataclass(frozen=True)
class Prepared:
    """A run's tokens. `gold` and `words` hold only the languages with known translations, `order`
    only twins."""

    vocabulary: Vocabulary
    copies: dict[str, list[Shard]]  # of the training text; several where words are switched
    heldout: dict[str, Shard]
    test: dict[str, Shard]
    gold: dict[str, Shard]
    order: dict[str, Shard]
    words: dict[str, Shard]
    counts: np.ndarray  # int64[languages, vocabulary.size]
    header: dict
    folder: Path

    @property
    def train(self) -> dict[str, Shard]:
        """The (first copy of the) training text."""
        return {language: copies[0] for language, copies in self.copies.items()}


def prepare(
    config: Config, folder: Path, log: Log = print, run: workers.Run | None = None
) -> Prepared:
    """The tokens of a run: read from under `folder` if they are there, made otherwise.

    Args:
      config: languages, corpora, vocab, clean, anchors, data and seed matter; the rest does not.
      folder: of prepared corpora; of several, this one's is named by a digest.
      log: gets a line for every stage.
      run: where the work is done; by default in several processes if it is worth it.

    Raises:
      InputError: a bad corpus, an empty one, one smaller than a window, an impossible vocabulary.
      RuntimeError: the disk is full, a process was killed; the same call goes on from there.
    """
    corpora = open_corpora({x: config.corpora[x] for x in config.languages})
    place = place_of(config, folder)
    if not _there(place):
        with workers.disk_errors(folder), workers.Processes() as processes:
            folder.mkdir(parents=True, exist_ok=True)

            def waiting() -> None:
                log(f"another process prepares {place}: waiting for it")

            with workers.alone(folder / f".{place.name}.lock", waiting):
                if not _there(place):
                    _make(config, corpora, place, log, run or processes)
    data = read(place)
    for language, train in data.train.items():
        if train.n_tokens < config.data.length or not len(data.heldout[language]):
            raise InputError(
                f"corpus of {language}, {config.corpora[language]!r}: {train.n_tokens} training "
                f"tokens and {len(data.heldout[language])} held-out lines are too few for rows of "
                f"{config.data.length} tokens"
            )
    return data


def place_of(config: Config, folder: Path) -> Path:
    """Where under `folder` the tokens of a run are, or will be."""
    return folder / fingerprint(_question(config), 12, sort_keys=False)


def _question(config: Config) -> dict[str, Any]:
    """What the tokens depend on."""
    anchors = asdict(config.anchors) if config.anchors.dictionaries else None
    return {
        "format": FORMAT,
        "corpora": {x: config.corpora[x] for x in config.languages},
        "clean": asdict(config.clean),
        "vocab": asdict(config.vocab),
        "anchors": anchors,
        "heldout": config.data.heldout,
        "test": config.data.test,
        "tokens": config.data.tokens,
        "seed": config.seed if config.vocab.mode == "joint" or anchors else 0,
    }


def read(place: Path) -> Prepared:
    """Opens a folder that `prepare` wrote.

    Raises:
      InputError: files that do not belong together: shards of another vocabulary, changed ones.
    """
    header = read_json(place / "header.json")
    vocabulary = vocabularies.load(place)
    if vocabulary.digest != header["digest"]:
        raise InputError(
            f"{place}: the shards were made with another vocabulary than the one there "
            "(digests differ)"
        )
    for language, expected in header["languages"].items():
        found = shards.read(place, f"{language}.train")
        if (len(found), found.n_tokens) != (expected["lines"], expected["tokens"]):
            raise InputError(
                f"{place}: {language}.train has {len(found)} lines and {found.n_tokens} tokens, "
                f"header.json says {expected['lines']} and {expected['tokens']}"
            )

    def every(kind: str) -> dict[str, Shard]:
        names = [x for x in header["languages"] if shards.exists(place, f"{x}.{kind}")]
        return {x: shards.read(place, f"{x}.{kind}") for x in names}

    return Prepared(
        vocabulary=vocabulary,
        copies={x: shards.read_copies(place, f"{x}.train") for x in header["languages"]},
        heldout=every("heldout"),
        test=every("test"),
        gold=every("gold"),
        order=every("order"),
        words=every("words"),
        counts=np.load(place / "counts.npy"),
        header=header,
        folder=place,
    )


def _there(place: Path) -> bool:
    return (place / "header.json").exists()


def _make(
    config: Config, corpora: Mapping[str, Corpus], place: Path, log: Log, run: workers.Run
) -> None:
    """Makes the folder `place`, going on with what an interrupted process left."""
    asked, folder = _question(config), place.with_name(f".{place.name}")
    inputs = {**asked, "parts": {x: stages.parts_of(c) for x, c in corpora.items()}}
    inputs["measured"] = {x: stages.measured_share(config, c) for x, c in corpora.items()}
    marker = folder / "asked.json"
    if not marker.exists() or read_json(marker)["inputs"] != plain(inputs):
        shutil.rmtree(folder, ignore_errors=True)  # of other files under the same names
        folder.mkdir()
        created = secrets.token_hex(8)
        write_json(marker, {"created": created, "inputs": inputs})
    else:
        log(f"going on with what {folder} holds")
    created = read_json(marker)["created"]
    work = Work(folder, created, config, asked["seed"])
    try:
        if not _there(folder):
            _write(work, asked, log, run)
    except InputError:  # there is nothing to go on with
        shutil.rmtree(folder, ignore_errors=True)
        raise
    for name in ("parts", "records", "sample", "duplicates", "vocabulary"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for left in folder.glob(".*.tmp"):  # of a killed process
        left.unlink()
    folder.rename(place)
    (place / marker.name).unlink()


def _write(work: Work, asked: dict, log: Log, run: workers.Run) -> None:
    """Every stage; what a killed process finished is taken from its records."""
    o, folder, config = stages.opened(work), work.folder, work.config

    def every(language: str) -> range:
        return range(len(o.parts[language]))

    def over_parts(
        stage: str,
        function: Callable[..., Any],
        languages: Iterable[str],
        indices: Callable[[str], range] = every,
    ) -> Records:
        """The results of `function(work, language, part)` for every part, or those given."""
        parts = [(x, index) for x in languages for index in indices(x)]
        arguments = {f"{x}.{index:05d}": (work, x, index) for x, index in parts}
        found = workers.each(function, arguments, folder / "records" / stage, run, stage)
        records: Records = {x: [] for x in languages}
        for (language, _), result in zip(parts, found.values(), strict=True):
            records[language].append(result)
        return records

    if config.clean.duplicates:
        over_parts("hashes of lines", stages.find_duplicates, o.owners)
        over_parts("duplicates", stages.mark_duplicates, o.owners)
    sizes = {}
    for language, records in over_parts("measure", stages.measure, o.owners, o.measured).items():
        factor = len(o.parts[language]) / len(records)
        found = (round(factor * sum(r[x] for r in records)) for x in Size._fields)
        sizes[language] = Size(*found)
        if not sizes[language].lines:
            spec = o.corpora[language].spec
            raise InputError(f"corpus of {language}, {spec!r}: no line of text")

    if not (folder / "vocab.json").exists():
        v = config.vocab
        log(f"vocabulary: {v.mode}, {v.type}, {v.size} pieces a model")
        _train_vocabulary(work, {x: n for x, n in sizes.items() if not o.corpora[x].base})

    encoded = over_parts("encode", stages.encode, o.corpora)
    kept = _gather(work, encoded, run)
    for language, size in kept.items():
        log(f"{language}: {size['lines']:,} lines, {size['tokens']:,} tokens for training")
    counts = np.zeros((len(kept), o.vocabulary.size), np.int64)
    for i, language in enumerate(kept):
        for shard in shards.read_copies(folder, f"{language}.train"):
            counts[i] += shard.counts(o.vocabulary.size)
    np.save(folder / "counts.npy", counts)
    gold.write(folder, o.corpora, o.vocabulary, counts)
    report = corpus_report.summarise(o, encoded, kept, counts)
    write_json(folder / "report.json", report)
    atomic_files.write(folder / "report.txt", corpus_report.text(report) + "\n")
    languages = {
        x: {
            "spec": o.corpora[x].spec,
            "lines": size["lines"],
            "tokens": size["tokens"],
            "unknown": int(counts[i, :N_SPECIAL].sum()),
            "heldout_lines": sum(r["heldout"]["lines"] for r in encoded[x]),
            "text": _digest([r["text"] for r in encoded[x]]),
        }
        for i, (x, size) in enumerate(kept.items())
    }
    header = {**asked, "digest": o.vocabulary.digest, "languages": languages}
    write_json(folder / "header.json", header)


def _train_vocabulary(work: Work, sizes: Mapping[str, Size]) -> None:
    """Trains it on the samples of the languages with sizes; vocab.json is there when all of it
    is."""
    o, folder = stages.opened(work), work.folder
    vocabulary = vocabularies.train(
        work.config.vocab,
        {x: partial(stages.sampled, o, x) for x in sizes},
        {x: c.base or x for x, c in o.corpora.items()},
        {x: c.shift for x, c in o.corpora.items() if c.base},
        work.seed,
        sizes,
        {x: len(o.measured(x)) / len(o.parts[x]) for x in sizes},
    )
    temporary = folder / "vocabulary"
    temporary.mkdir(exist_ok=True)
    vocabulary.save(temporary)
    for path in sorted(temporary.iterdir(), key=lambda path: path.suffix == ".json"):
        path.replace(folder / path.name)


def _gather(work: Work, encoded: Records, run: workers.Run) -> dict[str, dict[str, int]]:
    """Makes shards of the parts: training text is moved as it is, or cut to a number of tokens; the
    others become one part. Returns documents, lines and tokens of each language's training text."""
    o, folder, parts = stages.opened(work), work.folder, work.folder / "parts"
    train = {x: [r["train"] for r in records] for x, records in encoded.items()}
    kept = {x: {"documents": sum(r["documents"] for r in records)} for x, records in train.items()}
    if most := work.config.data.tokens:
        if most == -1:
            most = min(sum(r["tokens"] for r in records) for records in train.values())
        names = [(x, copy) for x in encoded for copy in range(o.copies(x))]
        arguments = {f"{x}@{copy}": (work, x, copy, most) for x, copy in names}
        cut = workers.each(stages.cut, arguments, folder / "records" / "cut", run, "cut")
        kept = {x: cut[f"{x}@0"] for x in encoded}
    for language, size in kept.items():
        if not most:
            for path in parts.glob(f"{glob.escape(language)}.train*"):
                path.replace(folder / path.name)
        for kind in ("heldout", "test", "order"):
            name, dtype = f"{language}.{kind}", np.int32 if kind == "order" else o.dtype
            if shards.exists(parts, name):
                shards.write(folder, name, shards.read(parts, name), dtype=dtype)
        found = shards.read(folder, f"{language}.train")
        size |= {"lines": len(found), "tokens": found.n_tokens}
    return kept


def _digest(digests: Sequence[str]) -> str:
    """One digest of those of a text's parts."""
    whole = hashlib.sha256("".join(digests).encode()).hexdigest()
    return whole if len(digests) > 1 else digests[0]
