"""What a metric is called and how its values are shown. One that is not listed here gets a name and
a scale from its records, so a new metric needs no code."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from xl_jax.analysis.record import Record

# What a metric tells of: transfer to the other language, one space of both, the model's own fit; or
# it is a part of another metric, and no table has it beside that one.
TRANSFER, SPACE, FIT, PART = "transfer", "space", "fit", "part"


@dataclass(frozen=True)
class Shown:
    """How the values of a metric are shown.

    Attributes:
      title: in words, with the unit of what is shown.
      scale: a value times this is what is shown.
      digits: decimals of that.
      tells: TRANSFER, SPACE, FIT or PART.
      lower: whether lower is better.
    """

    title: str
    scale: float = 100.0
    digits: int = 1
    tells: str = SPACE
    lower: bool = False

    @property
    def short(self) -> str:
        """The title without the unit, which stands behind its last comma."""
        return self.title.rpartition(",")[0] or self.title

    @property
    def unit(self) -> str:
        """Of the title; the title where it has none."""
        return self.title.rpartition(",")[2].strip() or self.title

    def text(self, value: float | None) -> str:
        return "-" if value is None else f"{self.scale * value:,.{self.digits}f}"


METRICS = {
    "accuracy": Shown("accuracy, %", tells=TRANSFER),
    "f1": Shown("span F1, %", tells=TRANSFER),
    "uas": Shown("UAS, %", tells=TRANSFER),
    "las": Shown("LAS, %", tells=TRANSFER),
    "uas_official": Shown("UAS official, %", tells=TRANSFER),
    "las_official": Shown("LAS official, %", tells=TRANSFER),
    "linear_probe": Shown("linear probe, %", tells=TRANSFER),
    "sentence_retrieval": Shown("sentence retrieval, P@1 %"),
    "word_translation": Shown("word translation, P@1 %"),
    "cka_debiased": Shown("debiased linear CKA of sentences, x100"),
    "cka": Shown("linear CKA of sentences, x100"),
    "anc": Shown("average neuron-wise correlation of sentences, x100"),
    "procrustes_similarity": Shown("Procrustes similarity of sentences, x100"),
    "dictionary_induction": Shown("dictionary induction, P@1 %"),
    "word_alignment": Shown("word alignment, F1 %"),
    "twins_retrieval": Shown("sentence retrieval, both ways, P@1 %"),
    "twins_translation": Shown("word translation, both ways, P@1 %"),
    "word_translation_different": Shown("word translation, words spelled differently, P@1 %"),
    "twins_translation_different": Shown("word translation, both ways, renamed pieces, P@1 %"),
    "word_alignment_different": Shown("word alignment, renamed tokens, F1 %"),
    "multilinguality": Shown("multilinguality score", scale=1.0, digits=2),
    "perplexity": Shown("held-out perplexity", scale=1.0, tells=FIT, lower=True),
    "precision": Shown("precision, %", tells=PART),
    "recall": Shown("recall, %", tells=PART),
}
# Tasks that are trained on labels: several have the same metric.
TASKS = {
    "nli": "NLI",
    "ner": "NER",
    "parsing": "parsing",
    "tagging": "tagging",
}
# Records of other records: shown beside them, in forms of their own.
DERIVED = (
    "best_layer",
    "cka_layers",
    "cka_layers_debiased",
    "cka_retrieval_correlation",
    "over_training",
)


def shown(metric: str, values: Iterable[float] = ()) -> Shown:
    """How a metric is shown. One that is not listed: its name in words; in % where its values lie
    in -1..1, as they are otherwise."""
    if metric in METRICS:
        return METRICS[metric]
    name = metric.replace("_", " ")
    if all(abs(v) <= 1 for v in values):
        return Shown(f"{name}, x100")
    return Shown(name, scale=1.0, digits=2)


def order(metrics: Iterable[str]) -> list[str]:
    """Those that stand alone, in the order of the list above; the others after them, by name."""
    found = dict.fromkeys(m for m in metrics if m not in DERIVED)
    return [m for m in METRICS if m in found] + sorted(m for m in found if m not in METRICS)


def title(records: Sequence[Record]) -> str:
    """Of records of one metric, with what they say of the kernel."""
    text = shown(records[0].metric, [r.value for r in records]).title
    return text.replace("linear", "RBF") if records[0].get("kernel") == "rbf" else text
