"""Test items of an evaluation: those that its options name, or the run's own known translations."""

import dataclasses

from xl_jax.evaluate.context import Context
from xl_jax.evaluate.pairs import (
    Pairs,
    dictionary_file,
    gold_sentences,
    gold_words,
    sentence_files,
)
from xl_jax.text.text_files import read_lines
from xl_jax.tokens.shards import Shard, of_lines

LINES = 10_000  # of candidates, encoded at once


def sentences(context: Context, source: str, target: str) -> Pairs | None:
    """The sentence pairs to measure on, None where none are known."""
    o = context.between(source, target)
    if o.pairs:
        return file_sentences(context, source, target, o.pairs)
    if context.target is not context.source:
        return None
    return gold_sentences(context.run.data, source, target, o.sentences, o.length)


def words(context: Context, source: str, target: str) -> Pairs | None:
    """The word pairs to measure on, None where none are known."""
    o, data = context.between(source, target), context.run.data
    if o.dictionary:
        return dictionary_file(data, source, target, o.dictionary, context.target.run.data)
    if context.target is not context.source:
        return None
    return gold_words(data, source, target, o.words)


def map_sentences(context: Context, source: str, target: str) -> Pairs | None:
    """The sentence pairs to learn a map from, None where there are none."""
    spec = context.between(source, target).map
    return file_sentences(context, source, target, spec) if spec else None


def file_sentences(context: Context, source: str, target: str, spec: str) -> Pairs:
    """Sentence pairs of files, see `pairs.sentence_files`; says how many are left out."""
    found = sentence_files(context.run.data, source, target, spec, context.target.run.data)
    if found.dropped:
        context.log(f"{found.name}: {found.dropped:,} pairs with an empty side are left out")
    return found


def with_candidates(context: Context, source: str, target: str, pairs: Pairs) -> Pairs:
    """The pairs with the lines of `probe.candidates` as further target sentences, which no source
    sentence means.

    Raises:
      InputError: no such file.
    """
    name = context.between(source, target).candidates
    if not name:
        return pairs
    lines = list(filter(None, map(str.strip, read_lines(name))))
    encode = context.target.run.data.vocabulary.encoder(target)
    some = (lines[at : at + LINES] for at in range(0, len(lines), LINES))
    more = [part for these in some for part in of_lines(encode(these)).parts]
    every = Shard([*pairs.target.parts, *more])
    return dataclasses.replace(pairs, name=f"{pairs.name} among {len(every):,}", target=every)
