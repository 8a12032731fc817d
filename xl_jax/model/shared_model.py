"""A run's model: the plain module, and the mask that says how languages share its parameters."""

import itertools
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from xl_jax.config import NO_TEXT, Config
from xl_jax.errors import InputError
from xl_jax.model import leaf_parts, sharing
from xl_jax.model.absent import absent_leaves
from xl_jax.model.masking import Pools, make_pools
from xl_jax.model.mlm import MaskedLM
from xl_jax.rng import Purpose, key
from xl_jax.rules import Absent, apply_rules, split_name
from xl_jax.tokens.special import N_SPECIAL
from xl_jax.tokens.vocabulary import Vocabulary


@dataclass(frozen=True, eq=False)
class SharedModel:
    """One language's module, its shapes, and the sharing mask over them. No parameters inside."""

    config: Config
    vocab_size: int
    possible: np.ndarray  # bool[languages, V]: pieces that the language's text can become
    seen: np.ndarray  # bool[languages, V]: ordinary pieces that occur in its training text
    special_offset: tuple[int, ...] = ()  # by language, where it has special tokens of its own

    @cached_property
    def module(self) -> MaskedLM:
        return MaskedLM(self.config.model, self.vocab_size)

    @cached_property
    def cuts(self) -> leaf_parts.Cuts:
        """The leaves of the module that rules name parts of."""
        c, whole = self.config, _template(self.module)
        fields = ("sharing", "freeze", "private_init", "start_rules")
        rules = {name: getattr(c, name) for name in fields}
        cuts = leaf_parts.cuts(whole, {k: x for k, x in rules.items() if not isinstance(x, str)})
        if "embed/token" in cuts and c.vocab.specials == "private":
            raise InputError(
                "vocab.specials = 'private' keeps rows of embed/token for each language: rules "
                "cannot name rows of it besides"
            )
        return cuts

    @cached_property
    def template(self) -> Any:
        """Shapes of one language's parameters, cut as the rules need them."""
        whole = _template(self.module)
        return (
            jax.eval_shape(partial(leaf_parts.split, cuts=self.cuts), whole) if self.cuts else whole
        )

    @cached_property
    def absent(self) -> Absent:
        """Leaves that the config leaves out, and why, for rules that name them."""
        return absent_leaves(self.config.model)

    @cached_property
    def mask(self) -> sharing.Mask:
        c = self.config
        rules = sharing.preset(c.sharing) if isinstance(c.sharing, str) else c.sharing
        if c.model.language_embedding:
            rules = (("embed/language", "private"), *rules)
        mask = sharing.make_mask(rules, self.template, c.languages, self.absent)
        if c.vocab.mode == "local" and len(c.languages) > 1:
            for path, variants in sharing.by_path(self.template, mask):
                own = len(set(variants)) == len(c.languages)
                if split_name(path)[0] in ("embed/token", "mlm/bias") and not own:
                    raise InputError(
                        f"vocab.mode = 'local' gives each language its own numbering, but {path} "
                        "is shared: make it private (preset sep_emb) or use mode 'disjoint'"
                    )
        return mask

    @cached_property
    def shapes(self) -> sharing.Params:
        """Shapes [variants, ...] of the stacked parameters."""

        def stacked(x: Any, variants: sharing.Variants) -> jax.ShapeDtypeStruct:
            return jax.ShapeDtypeStruct((max(variants) + 1, *x.shape), x.dtype)

        return jax.tree.map(stacked, self.template, self.mask)

    @cached_property
    def frozen(self) -> Any:
        """Which leaves training leaves as they are (`Config.freeze`): a bool a leaf."""
        trainable = sharing.trainable(self.shapes, self.mask, self.config.freeze, self.absent)
        return jax.tree.map(lambda x: not x.any(), trainable)

    @property
    def only_starts(self) -> bool:
        """Whether the run is another one's parameters, of which it trains none."""
        return bool(self.config.start) and all(jax.tree.leaves(self.frozen))

    def check_trains(self) -> None:
        """Raises InputError: everything is frozen."""
        if all(jax.tree.leaves(self.frozen)):
            raise InputError(f"freeze = {self.config.freeze!r} leaves nothing to train")

    @cached_property
    def components(self) -> tuple[np.ndarray, Any]:
        return sharing.components(self.template, self.mask, len(self.config.languages))

    @cached_property
    def init_degrees(self) -> Any:
        """How different the variants of each leaf start, 0..1: `config.private_init`."""
        degrees = {"equal": 0.0, "different": 1.0}
        given = self.config.private_init
        rules = ((".*", given),) if isinstance(given, str) else given
        resolved = [(pattern, degrees.get(value, value)) for pattern, value in rules]
        return apply_rules(resolved, self.template, "private_init", self.absent)

    @cached_property
    def start_values(self) -> Any:
        """Of each leaf "start", "new" or a language: `config.start_rules`."""
        given = self.config.start_rules
        rules = ((".*", given),) if isinstance(given, str) else given
        return apply_rules(rules, self.template, "start_rules", self.absent)

    @property
    def equal_rows(self) -> str:
        """A warning where equal starts are a leak: private token tables in which the same row means
        something in two languages start alike in it. Empty where nothing leaks."""
        what = "numbers" if self.config.vocab.mode == "local" else "pieces"
        degrees = jax.tree.leaves(self.init_degrees)
        found = []
        for (name, variants), degree in zip(
            sharing.by_path(self.template, self.mask), degrees, strict=True
        ):
            path, part = split_name(name)
            if path != "embed/token" or degree == 1:
                continue
            rows = slice(*part[1:]) if part else slice(None)
            how = "the same" if degree == 0 else f"alike (degree {degree:g})"
            for (i, a), (j, b) in itertools.combinations(enumerate(self.config.languages), 2):
                common = int((self.seen[i] & self.seen[j])[rows].sum())
                if variants[i] != variants[j] and common:
                    found.append(f"{how} for {common:,} {what} of {a} and {b}")
        if not found:
            return ""
        return (
            f"private_init: rows of embed/token start {', '.join(found)}: the private "
            "tables have that much in common before any training"
        )

    @cached_property
    def parts(self) -> tuple[list[str], Any]:
        return sharing.parts(self.template, self.mask, self.config.languages)

    @cached_property
    def allowed(self) -> np.ndarray:
        """bool[languages, V]: the pieces that the output softmax of each language ranges over."""
        if self.config.model.softmax == "own" or self.config.vocab.mode == "local":
            return self.possible
        return np.broadcast_to(self.possible.any(0), self.possible.shape)

    @cached_property
    def pools(self) -> Pools:
        corpora = [self.config.corpora[x] for x in self.config.languages]
        read = [i for i, spec in enumerate(corpora) if spec != NO_TEXT]
        return make_pools(self.seen, self.config.masking.pool, read)

    def view(
        self, params: sharing.Params, language: int | jax.Array, where: Any | None = None
    ) -> Any:
        """One language's ordinary tree of the stacked `params`; `language` may be traced.

        Its special tokens stand in the table's first rows, where every batch expects them.
        `where`: shardings that its leaves shall have, by default as they come.
        """
        view = sharing.select(params, self.mask, language)
        if where is not None:
            view = jax.lax.with_sharding_constraint(view, where)
        if self.cuts:
            view = leaf_parts.join(view)
        if not any(self.special_offset):
            return view
        table, start = view["embed"]["token"], jnp.asarray(self.special_offset)[language]
        own = jax.lax.dynamic_slice_in_dim(table, start, N_SPECIAL)
        return {**view, "embed": {**view["embed"], "token": table.at[:N_SPECIAL].set(own)}}

    def init(self, seed: int | jax.Array | None = None) -> sharing.Params:
        """Stacked parameters at step 0, a function of `seed`, by default the config's."""
        start = key(self.config.seed if seed is None else seed, Purpose.INIT)

        def init_one(start: jax.Array) -> Any:
            return leaf_parts.split(_init_one(self.module, start), self.cuts)

        return sharing.init(init_one, self.mask, start, self.init_degrees)

    @classmethod
    def abstract(cls, config: Config, vocab_size: int = 0) -> "SharedModel":
        """The model of a run whose text need not be there: every language uses every piece.

        `vocab_size`: rows of the embedding table, by default `config.vocab.size`. The mask does
        not depend on it.

        Raises:
          InputError: a sharing rule that does not fit, see `mask`.
        """
        size = vocab_size or config.vocab.size
        possible = np.ones((len(config.languages), size), bool)
        model = cls(config, size, possible, possible & (np.arange(size) >= N_SPECIAL))
        _ = model.mask, model.init_degrees, model.start_values, model.frozen
        return model

    def totals(self) -> str:
        """Numbers of parameters in one line."""
        counts = sharing.count(self.template, self.mask, self.config.languages)
        return ", ".join(f"{name} {n:,}" for name, n in counts.items()) + " parameters"

    def describe(self) -> str:
        """The printable partition: every leaf, its shape, who shares it; then the totals."""
        table = sharing.table(self.template, self.mask, self.config.languages)
        return f"{table}\n{self.totals()}"


def _init_one(module: MaskedLM, start: jax.Array) -> Any:
    """One language's parameters at step 0."""
    tokens = jnp.zeros((1, 4), jnp.int32)
    pieces = jnp.ones(module.vocab_size, bool)
    return module.init(start, tokens, tokens == 0, tokens[:, :1], pieces)["params"]


@lru_cache(maxsize=32)
def _template(module: MaskedLM) -> Any:
    """Shapes of `_init_one`'s parameters: traced once for all runs of one form."""
    return jax.eval_shape(partial(_init_one, module), jax.random.key(0))


def make_model(config: Config, vocabulary: Vocabulary, counts: np.ndarray) -> SharedModel:
    """The model of a run. `counts` int[languages, V] are the pieces' training occurrences.

    Raises:
      InputError: a sharing rule that does not fit, or a local vocabulary with shared embeddings.
    """
    seen = counts > 0
    seen[:, :N_SPECIAL] = False
    possible = np.stack([vocabulary.possible(language) for language in config.languages])
    offsets = tuple(vocabulary.special_offset[language] for language in config.languages)
    model = SharedModel(config, vocabulary.size, possible, seen, offsets)
    _ = model.mask
    return model
