"""One language's encoder, before and after fine-tuning on another language."""

import hashlib
from dataclasses import dataclass

import numpy as np

from xl_jax.config import Model
from xl_jax.config.finetune import Tuning
from xl_jax.errors import InputError
from xl_jax.finetune.model import NEW, Leaves, flatten
from xl_jax.finetune.twin_data import copy_of
from xl_jax.model import leaf_parts, sharing
from xl_jax.runs.run_directory import Run
from xl_jax.tasks.rows import FIRST, Framing
from xl_jax.text.corpora import Corpus
from xl_jax.tokens.special import N_SPECIAL
from xl_jax.tokens.vocabulary import Vocabulary

TABLE = "embed/token"


@dataclass(frozen=True, eq=False)
class View:
    """One language's pretrained encoder, of this run or of another, and how its text becomes rows.

    `shared` are the paths whose leaves are also the source's: fine-tuning changes them here too.
    `affine` takes the encoder's states into the source's space (see `model.Tuned`). The first
    `own_rows` of `embed/token` are the language's alone, though the table may be shared: its
    special tokens, where they are private. `twin`: what makes the language one, if it is.
    """

    language: str
    vocabulary: Vocabulary
    framing: Framing
    model: Model
    leaves: Leaves
    shared: frozenset[str] = frozenset()
    affine: tuple[np.ndarray, np.ndarray] | None = None
    own_rows: int = 0
    twin: Corpus | None = None

    def after(self, tuned: Leaves) -> Leaves:
        """The view with new layers and head, and what it shares with the source, as `tuned`."""
        plugged = {p: x for p, x in tuned.items() if p in self.shared or p.startswith(NEW)}
        if self.own_rows and TABLE in plugged:
            parts = (self.leaves[TABLE][: self.own_rows], plugged[TABLE][self.own_rows :])
            plugged[TABLE] = np.concatenate(parts)
        return {**self.leaves, **plugged}

    @property
    def digest(self) -> str:
        """Of the leaves and the map: what scores depend on."""
        arrays = [*self.leaves.values(), *(self.affine or ())]
        result = hashlib.sha256(repr((list(self.leaves), self.framing, self.language)).encode())
        for array in arrays:
            result.update(np.ascontiguousarray(array).tobytes())
        return result.hexdigest()[:8]


def run_views(run: Run, tuning: Tuning, params: sharing.Params) -> dict[str, View]:
    """Every language's view of a run's stacked parameters, by name; `tuning.source` is one of them.

    Raises:
      InputError: rows longer than the model's positions, a layer that the encoder does not have.
    """
    c = run.config
    length = tuning.length or c.data.length
    if length > c.model.positions:
        raise InputError(f"tune.length = {length} is beyond model.positions = {c.model.positions}")
    if tuning.layer > c.model.layers:
        last = f"the encoder's last layer, {c.model.layers}"
        raise InputError(f"tune.layer = {tuning.layer} is beyond {last}")
    framing = Framing(FIRST[c.data.windows], length, tuning.long, tuning.spaces, c.model.causal)
    mask = flatten(run.model.mask)
    source = run.language(tuning.source)
    views = {}
    for number, language in enumerate(c.languages):
        leaves = flatten(leaf_parts.split(run.model.view(params, number), run.model.cuts))
        leaves = {p: x for p, x in leaves.items() if not p.startswith("mlm/")}
        shared = frozenset(p for p in leaves if mask[p][number] == mask[p][source])
        vocabulary = run.data.vocabulary
        own = N_SPECIAL if vocabulary.specials == "private" and number != source else 0
        twin = copy_of(c.corpora, language)
        views[language] = View(
            language, vocabulary, framing, c.model, leaves, shared, own_rows=own, twin=twin
        )
    return views


def trainable(run: Run, tuning: Tuning, params: sharing.Params) -> list[str]:
    """The paths of the source's leaves that `tuning.freeze` leaves trainable.

    Raises:
      InputError: an unknown kind of freezing, or rules that do not fit.
    """
    free = flatten(sharing.trainable(params, run.model.mask, tuning.freeze, run.model.absent))
    mask, source = flatten(run.model.mask), run.language(tuning.source)
    return [p for p, x in free.items() if x[mask[p][source]] and not p.startswith("mlm/")]
