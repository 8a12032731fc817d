"""Rows of an embedding table."""

from xl_jax.config import Config, pairs
from xl_jax.tokens.special import N_SPECIAL

MULTIPLE = 128  # of the rows: what devices multiply at once


def padded(n_pieces: int) -> int:
    """Rows of the table of so many pieces."""
    return -(-n_pieces // MULTIPLE) * MULTIPLE


def rows_of(config: Config) -> int:
    """Rows that the vocabulary of a config asks for, before there is text: joint, those of one
    model; local, of the largest language's; else of all languages' together, none in common.

    Not those of a vocabulary that is given, or that goes on from another run's; and pieces which a
    twin's `shift` renames in a joint vocabulary are not in it.
    """
    v, n = config.vocab, len(config.languages)
    own = N_SPECIAL * (n - 1) if v.specials == "private" else 0
    if v.mode == "joint":
        return padded(v.size + own)
    requested = pairs("vocab.sizes", v.sizes)
    sizes = [int(requested.get(_base(config.corpora[x]) or x, v.size)) for x in config.languages]
    if v.mode == "local":
        return padded(max(sizes))
    return padded(N_SPECIAL + sum(size - N_SPECIAL for size in sizes) + own)


def _base(spec: str) -> str:
    """The language that a spec makes a twin of; "" for none."""
    scheme, _, path = spec.partition(":")
    return path.partition("#")[0] if scheme == "twin" else ""
