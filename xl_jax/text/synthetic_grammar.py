"""The knobs of a generated pair of languages."""

from dataclasses import dataclass

from xl_jax.errors import InputError, unknown

ORDERS = ("same", "inverted", "head_final", "unigram")
ANCHOR_KINDS = ("same", "other", "random")
MOST_UNSEEN = 0.3  # more leave too few sentences


@dataclass(frozen=True)
class Grammar:
    """The pair of languages; `anchors` to `domain` set the second against the first.

    Args:
      words: word types of language a, at least 20 + 10 * topics.
      topics: number of topics of language a; the first are the most frequent.
      sentences: training sentences of the side. Side a has its default; so fewer of b make b the
        minority language.
      anchors: share of the concepts whose word in b is a word of a, 0..1.
      anchor_kind: which word: "same", the concept's own; "other", that of another concept of its
        class (false friends); "random", that of any other concept.
      cognates: share of the other word types that keep a's stem and change the ending, 0..1; the
        rest have no syllable in common with a.
      distance: of the words that are neither, the share of syllables that are not a's, 0..1.
      unseen: share of the nouns, verbs, adjectives and adverbs that b's training text never says,
        0..0.3. Gold sentences do; the dictionary does not have them.
      order: "same"; "inverted", every sentence from its last word to its first; "head_final", the
        derivation's heads and adjuncts change places (SVO to SOV, prepositions to postpositions,
        adjectives and relative clauses to the noun's other side); "unigram", b's words are as
        frequent and its sentences as long, but which word stands where is chance (gold sentences
        have a's order).
      domain: share of b's sentences on topics that a never speaks of, 0..1. Their words come on top
        of `words`.
      seed: non-negative.

    Raises:
      InputError (a ValueError): a knob is out of its range.
    """

    words: int = 400
    topics: int = 8
    sentences: int = 40_000
    anchors: float = 0.0
    anchor_kind: str = "same"
    cognates: float = 0.0
    distance: float = 1.0
    unseen: float = 0.0
    order: str = "same"
    domain: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.order not in ORDERS:
            raise unknown("order of a synthetic pair", self.order, ORDERS)
        if self.anchor_kind not in ANCHOR_KINDS:
            raise unknown("anchor_kind of a synthetic pair", self.anchor_kind, ANCHOR_KINDS)
        shares = dict.fromkeys(("anchors", "cognates", "distance", "domain"), 1)
        for name, most in (shares | {"unseen": MOST_UNSEEN}).items():
            if not 0 <= getattr(self, name) <= most:
                raise InputError(f"synthetic {name} = {getattr(self, name)} is not in 0..{most}")
        ranges = {
            "topics": (1, 64),
            "words": (20 + 10 * self.topics, 10_000),  # every topic needs a word of each class
            "sentences": (1, 100_000_000),
            "seed": (0, 2**63 - 1),
        }
        for name, (low, high) in ranges.items():
            if not low <= getattr(self, name) <= high:
                value = getattr(self, name)
                raise InputError(f"synthetic {name} = {value} is not in {low}..{high}")
