"""The encoders of one run, as every language sees them: trained, untrained, and random ones."""

import copy
import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from xl_jax.analysis.features import Extractor
from xl_jax.devices.mesh import one_device
from xl_jax.errors import InputError, unknown
from xl_jax.evaluate.vector_cache import VectorCache
from xl_jax.model.shared_model import SharedModel
from xl_jax.model.sharing import Params
from xl_jax.rng import Purpose, generator
from xl_jax.runs.run_directory import Run
from xl_jax.tasks.rows import FIRST
from xl_jax.tokens.shards import Shard
from xl_jax.training.step import init_state, state_shapes

Views = dict[str, Any]  # language -> its ordinary parameter tree
RANDOM = ("random 1", "random 2", "random 3")
WEIGHTS = ("trained", "untrained", *RANDOM)


class Encoders:
    """The languages' views of one run under several weights.

    Weights: "trained"; "untrained", the run's own random numbers, which a trained encoder has in
    common with it (also where the run started from another one); and those of RANDOM, drawn with
    other seeds, so independent of the run and of each other.

    Args:
      special_tokens: see `Extractor`.
    """

    def __init__(self, run: Run, special_tokens: bool = False):
        self.run = run
        self.step, self.params = run.trained()
        self.at_start = False  # of a curve: the run's own random numbers
        first = FIRST[run.config.data.windows]
        self.extractor = Extractor(run.model.module, first, special_tokens=special_tokens)
        self.cache = VectorCache()
        self._random: tuple[str, Views] = ("", {})  # the last one: each is as large as the model

    @property
    def last_layer(self) -> int:
        return self.run.config.model.layers

    def check_weights(self, weights: str) -> None:
        """Raises InputError: other weights than those listed above."""
        if weights not in WEIGHTS:
            raise unknown("weights of an encoder", weights, WEIGHTS)

    def views(self, weights: str) -> Views:
        """Every language's view under these weights."""
        if weights in RANDOM:
            if self._random[0] != weights:
                self._random = (weights, self._draw(RANDOM.index(weights)))
            return self._random[1]
        return {"trained": self._trained_views, "untrained": self._untrained_views}[weights]

    def sentences(
        self, weights: str, language: str, lines: Shard, layers: Sequence[int] | None = None
    ) -> Float[np.ndarray, "L n D"]:
        """Mean state of each line (see `Extractor.sentences`), of all layers or of those given."""
        layers = range(self.last_layer + 1) if layers is None else layers
        content = hashlib.sha256()
        for part in lines.parts:
            content.update(np.ascontiguousarray(part.tokens).data)
            content.update(np.ascontiguousarray(part.starts).data)

        def compute() -> np.ndarray:
            return self.extractor.sentences(self.views(weights)[language], lines, layers)

        return self.cache.get((weights, language, content.digest(), tuple(layers)), compute)

    def at(self, step: int, params: Params, at_start: bool = False) -> "Encoders":
        """The same at another step: what is compiled is shared, nothing that was computed is."""
        other = copy.copy(self)
        other.step, other.params, other.cache = step, params, VectorCache()
        other.at_start = at_start
        other.__dict__.pop("_trained_views", None)
        return other

    def over_training(self, log: Callable[[str], None] = print) -> Iterator["Encoders"]:
        """The encoders at step 0 and at every checkpoint that is kept and whole, oldest first."""
        yield self.at(0, init_state(self.run.model).params, at_start=True)
        checkpoints = self.run.checkpoints(log)
        shapes = state_shapes(self.run.model, one_device())
        try:
            for step in checkpoints.steps:
                try:
                    params = checkpoints.at(step, shapes).params
                except InputError as error:
                    log(f"{error}: left out")
                    continue
                yield self.at(step, params)
        finally:
            checkpoints.close()

    @cached_property
    def _trained_views(self) -> Views:
        return self.run.views(self.params)

    @cached_property
    def _untrained_views(self) -> Views:
        return self.run.views(init_state(self.run.model).params)

    def _draw(self, number: int) -> Views:
        seed = generator(self.run.config.seed, Purpose.RANDOM_ENCODER, number).integers(2**31)
        return self.run.views(self._init(np.int32(seed)))

    @cached_property
    def _init(self) -> Callable[[np.int32], Params]:
        """Compiled once for all seeds, and for all encoders of the same run."""
        fast = {"xla_backend_optimization_level": 0} if jax.default_backend() == "cpu" else None
        init = jax.jit(SharedModel.init, static_argnums=0, compiler_options=fast)
        return partial(init, self.run.model)
