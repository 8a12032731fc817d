"""Text to tokens: corpora and vocabulary options in, a prepared corpus (see `prepared`) out.

Its folder is named by a digest of what was requested. It is made under the same name with a dot
before it and renamed when it is complete: it is there with all its files or not at all, the same
request is worked on once, and work that was stopped goes on part by part.
"""

import glob
import hashlib
import secrets
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from xl_jax import atomic_files
from xl_jax.config import NO_TEXT, Config
from xl_jax.errors import InputError
from xl_jax.json_files import plain, read_json, write_json
from xl_jax.prepare import corpus_report, gold, integrity, prepared, stages, text_state, workers
from xl_jax.prepare.prepared import Prepared
from xl_jax.prepare.request import GIVEN, folder_of, keeps_start, request, start_folder
from xl_jax.prepare.stages import Opened, Work
from xl_jax.text.corpora import fetch, open_corpora, pinned
from xl_jax.tokens import shards
from xl_jax.tokens import vocabulary as vocabularies
from xl_jax.tokens.sentencepiece_model import Size
from xl_jax.tokens.special import N_SPECIAL

CHARACTERS_HERE = 4_000_000  # a vocabulary is learnt from more of them in a process of its own

Log = Callable[[str], None]
Records = dict[str, list[Any]]  # language -> what a stage returned for each part


def prepare(
    config: Config,
    folder: Path,
    log: Log = print,
    run: workers.Run | None = None,
    verify: bool = False,
) -> Prepared:
    """The tokens of a run: read from under `folder` if they are there, made otherwise. Reading them
    does not need the text; if that is there and has changed, the log says so.

    Args:
      config: languages, corpora, vocab, clean, anchors, data and seed matter; the rest does not.
      folder: of prepared corpora; of several, this one's is named by a digest.
      log: gets a line for every stage.
      run: where the work is done; by default in several processes if it is worth it.
      verify: compare the digest of every file, not only of those that look changed. A damaged file
        is named and made again in either case.

    Raises:
      InputError: a bad corpus, an empty one, one smaller than a window, an impossible vocabulary; a
        damaged file whose text is not there or has changed; a start whose vocabulary is not kept.
      RuntimeError: the disk is full, a process was killed, it may not open so many files; the same
        call goes on from there.
    """
    if config.start and not keeps_start(config, folder):
        kept = start_folder(config, folder)
        raise InputError(f"start = {config.start!r}: its vocabulary is not kept in {kept}")
    corpus = folder_of(config, folder)
    if not corpus.exists():
        _exclusively(corpus, log, run, lambda run: _make(config, corpus, log, run))
    elif integrity.damaged(corpus, verify):
        _exclusively(corpus, log, run, lambda run: _repair(config, corpus, log, run))
    else:
        _tell_changed_text(config, corpus, log)
    data = prepared.read(corpus)
    prepared.check_rows(data, config)
    return data


def _exclusively(
    corpus: Path, log: Log, run: workers.Run | None, work: Callable[[workers.Run], None]
) -> None:
    """Does `work` on the folder `corpus`, where no other process does so at the same time. What
    stops it is said in one line."""
    corpus.parent.mkdir(parents=True, exist_ok=True)
    lock, progress = corpus.with_name(f".{corpus.name}.lock"), corpus.with_name(f".{corpus.name}")
    with (
        workers.told_when_full(corpus.parent),
        workers.Processes() as processes,
        workers.alone(lock, progress, f"prepares {corpus}", log),
    ):
        work(run or processes)


def _make(config: Config, corpus: Path, log: Log, run: workers.Run) -> None:
    """Makes the folder `corpus`, if no other process has done so meanwhile."""
    if not corpus.exists():
        made = _complete(config, corpus, log, run)
        integrity.record(made)
        made.rename(corpus)
        atomic_files.sync_folder(corpus.parent)
        (corpus / integrity.REQUEST).unlink()


def _repair(config: Config, corpus: Path, log: Log, run: workers.Run) -> None:
    """Makes the damaged files of the folder `corpus` again, by preparing the text once more with
    the vocabulary that is there."""
    names = integrity.damaged(corpus)
    if not names:  # another process has done it
        return
    log(f"{corpus}: damaged: {', '.join(names)}; made again from the text")
    vocabulary = None
    if not any(x == "vocab.json" or x.endswith(vocabularies.ENDINGS) for x in names):
        vocabulary = vocabularies.load(corpus)
    try:
        made = _complete(config, corpus, log, run, vocabulary)
    except InputError as error:
        lost = ", ".join(str(corpus / x) for x in names)
        raise InputError(f"{lost}: damaged, and cannot be made again: {error}") from error
    try:
        integrity.replace(corpus, made, names)
    finally:
        shutil.rmtree(made)
    if wrong := integrity.damaged(corpus):
        raise InputError(f"{corpus}: still damaged: {', '.join(wrong)}")


def _tell_changed_text(config: Config, corpus: Path, log: Log) -> None:
    """Logs whose text is not what it was when it was prepared, as far as it is there."""
    path = corpus / integrity.SOURCE
    if not path.exists():
        return
    try:
        before = text_state.read(path)
    except InputError as error:
        log(f"{error}: whether the text has changed since it was prepared cannot be told")
        return
    for language, why in text_state.changed(config, before).items():
        log(
            f"{corpus}: the text of {language} has changed since it was prepared ({why}); its "
            "tokens are used as they are. Remove the folder to prepare the text anew"
        )


def _complete(
    config: Config,
    corpus: Path,
    log: Log,
    run: workers.Run,
    vocabulary: vocabularies.Vocabulary | None = None,
) -> Path:
    """The hidden folder beside `corpus` with all files of a prepared corpus, going on with what an
    interrupted process left there.

    Args:
      vocabulary: to be used instead of learning one.
    """
    requested, folder = request(config, corpus.parent), corpus.with_name(f".{corpus.name}")
    marker = folder / integrity.REQUEST
    config = _pinned(config, corpus, marker)
    corpora = open_corpora({x: config.corpora[x] for x in config.languages})
    fetch(corpora, log)
    source = text_state.state(corpora)
    inputs = {**requested, "source": source}
    inputs["parts"] = {x: stages.parts_of(c) for x, c in corpora.items()}
    inputs["measured"] = {x: stages.measured_share(config, c) for x, c in corpora.items()}
    if not marker.exists() or read_json(marker)["inputs"] != plain(inputs):
        shutil.rmtree(folder, ignore_errors=True)  # of other files under the same names
        folder.mkdir()
        write_json(marker, {"created": secrets.token_hex(8), "inputs": inputs})
    else:
        log(f"going on with what {folder} holds")
    if vocabulary is None and config.vocab.type == "given" and not config.start:
        vocabulary = vocabularies.load(corpus.parent / GIVEN)
    if vocabulary is not None:
        vocabulary.save(folder)
    work = Work(folder, read_json(marker)["created"], config, requested["seed"])
    try:
        if not (folder / "header.json").exists():
            _write(work, requested, log, run)
    except InputError:  # there is nothing to go on with
        shutil.rmtree(folder, ignore_errors=True)
        raise
    text_state.write(folder / integrity.SOURCE, source)
    for name in ("parts", "records", "sample", "duplicates", "vocabulary"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for left in folder.glob(".*.tmp"):  # of a killed process
        left.unlink()
    return folder


def _pinned(config: Config, corpus: Path, marker: Path) -> Config:
    """With the commit of every set of the Hub: the one that was read where `corpus` is repaired or
    work goes on, or else what its revision names now."""
    if marker.exists():
        states = read_json(marker)["inputs"]["source"]
    else:
        source = corpus / integrity.SOURCE
        states = text_state.read(source) if source.exists() else {}
    specs = {x: config.corpora[x] for x in config.languages}
    return replace(config, corpora={**config.corpora, **pinned(specs, states)})


def _write(work: Work, requested: dict, log: Log, run: workers.Run) -> None:
    """Every stage; what a killed process finished is taken from its records."""
    o, folder = stages.opened(work), work.folder
    if work.config.clean.duplicates:
        _over_parts(work, "hashes of lines", stages.find_duplicates, o.owners, run)
        _over_parts(work, "duplicates", stages.mark_duplicates, o.owners, run)
    sizes = _measure(work, run)
    if not (folder / "vocab.json").exists():
        v = work.config.vocab
        log(f"vocabulary: {v.mode}, {v.type}, {v.size} pieces a model")
        own = {x: size for x, size in sizes.items() if not o.corpora[x].base}
        characters = min(sum(size.characters for size in own.values()), v.sample)
        train = partial(_train_vocabulary, work, own)
        train() if characters <= CHARACTERS_HERE else workers.apart(train)
    encoded = _over_parts(work, "encode", stages.encode, o.corpora, run)
    kept = _gather(work, encoded, run)
    for language, size in kept.items():
        log(f"{language}: {size['lines']:,} lines, {size['tokens']:,} tokens for training")
    counts = _count(o, kept)
    atomic_files.write_array(folder / "counts.npy", counts)
    gold.write(folder, o.corpora, o.vocabulary, counts)
    report = corpus_report.summarise(o, encoded, kept, counts)
    write_json(folder / "report.json", report)
    atomic_files.write(folder / "report.txt", corpus_report.text(report) + "\n")
    write_json(folder / "header.json", _header(o, requested, encoded, kept, counts))


def _over_parts(
    work: Work,
    stage: str,
    function: Callable[..., Any],
    languages: Iterable[str],
    run: workers.Run,
    indices: Callable[[str], range] | None = None,
) -> Records:
    """The results of `function(work, language, part)` for every part, or for those of `indices`."""
    every = stages.opened(work).parts
    parts = [
        (x, index) for x in languages for index in (indices(x) if indices else range(len(every[x])))
    ]
    arguments = {f"{x}.{index:05d}": (work, x, index) for x, index in parts}
    found = workers.each(function, arguments, work.folder / "records" / stage, run, stage)
    records: Records = {x: [] for x in languages}
    for (language, _), result in zip(parts, found.values(), strict=True):
        records[language].append(result)
    return records


def _measure(work: Work, run: workers.Run) -> dict[str, Size]:
    """Lines and characters of every text, extrapolated where only some of its parts are read.

    Raises:
      InputError: a text without a line.
    """
    o, sizes = stages.opened(work), {}
    records = _over_parts(work, "measure", stages.measure, o.owners, run, o.measured)
    for language, measured in records.items():
        factor = len(o.parts[language]) / len(measured)
        sizes[language] = Size(*(round(factor * sum(r[x] for r in measured)) for x in Size._fields))
        spec = o.corpora[language].spec
        if not sizes[language].lines and spec != NO_TEXT:
            raise InputError(f"corpus of {language}, {spec!r}: no line of text")
    return sizes


def _known(work: Work) -> vocabularies.Vocabulary | None:
    """The vocabulary of the run that this one starts from."""
    if not work.config.start:
        return None
    return vocabularies.load(start_folder(work.config, work.folder.parent))


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
        _known(work),
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
            texts = [records for x, records in train.items() if o.corpora[x].spec != NO_TEXT]
            most = min((sum(r["tokens"] for r in records) for records in texts), default=0)
        names = [(x, copy) for x in encoded for copy in range(o.copies(x))]
        arguments = {f"{x}@{copy}": (work, x, copy, most) for x, copy in names}
        cut = workers.each(stages.cut, arguments, folder / "records" / "cut", run, "cut")
        kept = {x: cut[f"{x}@0"] for x in encoded}
    for language, size in kept.items():
        if not work.config.data.tokens:
            stem = shards.stem(f"{language}.train")
            for path in parts.glob(f"{glob.escape(stem)}*"):
                path.replace(folder / path.name)
        for kind in ("heldout", "test", "order"):
            name, dtype = f"{language}.{kind}", np.int32 if kind == "order" else o.dtype
            if shards.exists(parts, name):
                shards.write(folder, name, shards.read(parts, name), dtype=dtype)
        size |= _size(folder, language)
    return kept


def _size(folder: Path, language: str) -> dict[str, int]:
    """Lines and tokens of the training text: a shard is two open files a part while it is held."""
    train = shards.read(folder, f"{language}.train")
    return {"lines": len(train), "tokens": train.n_tokens}


def _count(o: Opened, languages: Iterable[str]) -> Int[np.ndarray, "languages V"]:
    """Occurrences of each piece in the training texts, all copies together."""
    counts = []
    for language in languages:
        names = shards.copies(o.work.folder, f"{language}.train")
        counts.append(sum(shards.read(o.work.folder, x).counts(o.vocabulary.size) for x in names))
    return np.stack(counts)


def _header(
    o: Opened,
    requested: Mapping[str, Any],
    encoded: Records,
    kept: Mapping[str, Mapping[str, int]],
    counts: Int[np.ndarray, "languages V"],
) -> dict[str, Any]:
    """The content of header.json."""
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
    return {**requested, "digest": o.vocabulary.digest, "languages": languages}


def _digest(digests: Sequence[str]) -> str:
    """One digest of those of a text's parts."""
    joined = hashlib.sha256("".join(digests).encode()).hexdigest()
    return joined if len(digests) > 1 else digests[0]
