"""fastText vectors of words, by gensim: the baseline of the paper (5.1.1).

gensim is optional: pip install -r requirements-analysis.txt.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from xl_jax.analysis import kept_arrays
from xl_jax.errors import InputError
from xl_jax.progress import Bar

EPOCHS = 5
WINDOW = 5
NEGATIVE = 5  # the defaults of fastText's skip-grams


@dataclass
class _Counted:
    """Sentences that can be read several times, each counted as it is."""

    sentences: Sequence[Sequence[str]]
    bar: Bar

    def __iter__(self) -> Iterator[Sequence[str]]:
        for sentence in self.sentences:
            yield sentence
            self.bar.advance()


def vectors(
    sentences: Iterable[Sequence[str]],
    words: Sequence[str],
    width: int,
    kept: Path,
    seed: int = 0,
    epochs: int = EPOCHS,
) -> Float[np.ndarray, "n D"]:
    """The vectors of `words` after skip-grams on `sentences`, which are read several times; from
    the file `kept` where they are there. One thread: the same every time.

    Raises:
      InputError: gensim is not installed.
    """
    found = kept_arrays.read(kept)
    if found is not None and "vectors" in found:
        return found["vectors"]
    try:
        from gensim.models import FastText
    except ImportError as error:
        raise InputError(
            "fastText vectors need gensim: pip install -r requirements-analysis.txt"
        ) from error
    model = FastText(
        vector_size=width,
        window=WINDOW,
        negative=NEGATIVE,
        min_count=1,
        sg=1,
        seed=seed,
        workers=1,
    )
    listed = [list(words) for words in sentences]
    model.build_vocab(listed)
    with Bar("fastText", epochs * len(listed)) as bar:
        model.train(_Counted(listed, bar), total_examples=len(listed), epochs=epochs)
    made = np.stack([model.wv[word] for word in words]).astype(np.float32)
    kept_arrays.write(kept, {"vectors": made})
    return made
