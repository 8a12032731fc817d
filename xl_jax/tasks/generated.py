"""Labelled sentences of a generated pair of languages: zero-shot transfer without any file.

synthetic:SIDE#take=N,key=value    side a or b; the pair's knobs (see `synthetic_grammar.Grammar`)

Their meanings are held out of both languages' text. The first N of side a and of side b have the
same meanings: train and test on others (`skip`).
"""

import dataclasses
from collections.abc import Iterator

from xl_jax.errors import InputError, unknown
from xl_jax.tasks import specs
from xl_jax.text import synthetic
from xl_jax.text.corpora import open_corpora
from xl_jax.text.synthetic_grammar import Grammar

SCHEME = "synthetic"
KEYS = tuple(f.name for f in dataclasses.fields(Grammar))


def sentences(spec: specs.Spec) -> Iterator[synthetic.Labelled]:
    """An endless stream.

    Raises:
      InputError: another side than a or b, a knob out of its range, no `take`.
    """
    if spec.path not in ("a", "b"):
        raise unknown(f"side in {spec.text!r}", spec.path, ("a", "b"))
    if "take" not in spec.keys:
        raise InputError(f"{spec.text}: how many sentences? say take=N")
    knobs = ",".join(f"{k}={v}" for k, v in spec.keys.items() if k in KEYS)
    grammar = open_corpora({"b": f"{SCHEME}:b#{knobs}"})["b"].grammar
    assert grammar is not None
    return synthetic.labelled(grammar, spec.path)
