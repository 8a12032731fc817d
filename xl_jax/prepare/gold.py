"""Sentences and words whose translation is known: of twins (free) and of a synthetic pair."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Int

from xl_jax.text import synthetic
from xl_jax.text.corpora import Corpus
from xl_jax.tokens import shards
from xl_jax.tokens.special import N_SPECIAL
from xl_jax.tokens.vocabulary import Vocabulary

SENTENCES = 10_000  # most gold ones
SYNTHETIC_SENTENCES = 2000


def write(
    folder: Path,
    corpora: Mapping[str, Corpus],
    vocabulary: Vocabulary,
    counts: Int[np.ndarray, "languages V"],
) -> None:
    """Writes LANG.gold and LANG.words: line i means the same in every language that has them.

    A base and its twins have the held-out sentences and, most frequent first, every piece of the
    base's training text, as the twin numbers it; a language with text of its own in another's
    vocabulary has the words alone. LANG.order is cut to a twin's gold sentences: token i is token
    `order[i]` of the base's sentence.
    """
    names = list(corpora)
    derived = [x for x in names if corpora[x].base]
    sides = {corpora[x].side: x for x in names if corpora[x].side}
    if derived:
        base = corpora[derived[0]].base
        of_base = counts[names.index(base)]
        frequent = np.argsort(-of_base, kind="stable")
        frequent = frequent[(of_base[frequent] > 0) & (frequent >= N_SPECIAL)]
        row_of = np.zeros(vocabulary.size, np.int32)
        for language in [base, *(x for x in derived if corpora[x].base == base)]:
            row_of[vocabulary.ids[base]] = vocabulary.ids[language]
            shards.write(folder, f"{language}.words", row_of[frequent, None])
            if not corpora[language].own_text:
                heldout = shards.read(folder, f"{language}.heldout")
                shards.write(folder, f"{language}.gold", heldout.first_lines(SENTENCES))
    elif sides.keys() == {"a", "b"}:
        grammar = corpora[sides["b"]].grammar
        assert grammar is not None
        sentences = synthetic.gold_sentences(grammar, SYNTHETIC_SENTENCES)
        words = synthetic.gold_words(grammar)
        for column, side in enumerate(("a", "b")):
            language = sides[side]
            encode = vocabulary.encoder(language)
            for name, items in (("gold", sentences), ("words", words)):
                shards.write(folder, f"{language}.{name}", encode([item[column] for item in items]))
