"""The map of every layer between two encoders, learnt from contextual words (paper 5.1.2)."""

from collections.abc import Sequence

import numpy as np

from xl_jax.analysis import eflomal, procrustes
from xl_jax.analysis.procrustes import Map
from xl_jax.errors import InputError
from xl_jax.evaluate.context import Context
from xl_jax.evaluate.encoders import Encoders
from xl_jax.evaluate.maps import save_maps
from xl_jax.evaluate.pairs import read_pairs
from xl_jax.file_names import file_name
from xl_jax.json_files import fingerprint
from xl_jax.tasks.rows import encode_words
from xl_jax.tokens.shards import Shard, of_lines


def word_maps(
    context: Context, source: str, target: str, weights: str = "trained"
) -> dict[str, list[Map]]:
    """By kind of rotation, the map of every layer, between trained or between untrained encoders.

    Raises:
      InputError: no sentence pairs, links that do not fit them, encoders of different width.
    """
    o = context.between(source, target)
    pairs = [(a, b) for a, b in read_pairs(o.map, source, target) if a and b]
    if o.links:  # they count blank-separated words
        texts = [(_blanks(a), _blanks(b)) for a, b in pairs]
        links = eflomal.read_links(o.links, [(a[0], b[0]) for a, b in texts])
    else:
        texts = [(eflomal.tokenise(a), eflomal.tokenise(b)) for a, b in pairs]
        digest = fingerprint(texts)
        name = f"links-{file_name(source)}-{file_name(target)}-{digest}.txt"
        kept = context.run.folder / "eval" / name
        links = eflomal.align([(a[0], b[0]) for a, b in texts], kept, context.log)
    links = [eflomal.one_to_one(x) for x in links]
    sides = []
    for column, (encoders, language) in enumerate(
        ((context.source, source), (context.target, target))
    ):
        lines, parts = _read_at(
            encoders, language, [t[column] for t in texts], [x[:, column] for x in links]
        )
        view = encoders.views(weights)[language]
        sides.append(encoders.extractor.words(view, lines, parts))
    both = sides[0].seen & sides[1].seen
    context.log(f"word pairs: {both.sum():,} of {len(pairs):,} sentence pairs")
    if not both.any():
        raise InputError(f"{o.map}: no word of it has a link")
    x, y = (side.vectors[:, both] for side in sides)
    each = range(min(len(x), len(y)))
    maps = {
        kind: [procrustes.fit(y[i], x[i], o.normalise, kind, seed=i) for i in each]
        for kind in ("procrustes", "random")
    }
    if weights == "trained":
        save_maps(context, maps["procrustes"], "words", source, target)
    return maps


def _blanks(text: str) -> tuple[list[str], list[bool]]:
    words = text.split()
    return words, [True] * len(words)


def _read_at(
    encoders: Encoders,
    language: str,
    texts: Sequence[tuple[list[str], list[bool]]],
    chosen: Sequence[np.ndarray],
) -> tuple[Shard, list[np.ndarray]]:
    """Lines of pieces, and for each token which of the line's links it stands for: where
    the i-th chosen word is read has number i."""
    vocabulary = encoders.run.data.vocabulary
    encode = encode_words(vocabulary, language, "text", encoders.run.config.model.causal)
    words = encode([t[0] for t in texts], [t[1] for t in texts])
    lines, parts = [], []
    for sentence, links in zip(words, chosen, strict=True):
        sizes = [len(word.pieces) for word in sentence]
        starts = np.concatenate([[0], np.cumsum(sizes)]).astype(int)
        read_at = starts[:-1] + [word.read for word in sentence]
        part = np.full(starts[-1], -1)
        part[read_at[links]] = np.arange(len(links))
        lines.append(np.concatenate([np.zeros(0, np.int32), *(w.pieces for w in sentence)]))
        parts.append(part)
    return of_lines([line.astype(np.int32) for line in lines]), parts
