"""The training step: rows of several languages in, one update of the stacked tree out."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Int

from xl_jax.batches.placement import step_shardings
from xl_jax.batches.sampler import Step
from xl_jax.config import Masking
from xl_jax.devices.compiler_options import compiler_options
from xl_jax.devices.mesh import everywhere, gathered, like_params, one_device, param_shardings
from xl_jax.model import sharing
from xl_jax.model.masking import mask_rows, n_predictions
from xl_jax.model.predictions import Predictions, next_tokens
from xl_jax.model.shared_model import SharedModel
from xl_jax.training import optimizer
from xl_jax.training.loss import StepLoss, Sums, row_losses

Metrics = dict[str, jax.Array]
# Summed over the steps of a call; of the others the last step counts.
SUMMED = ("loss_sum", "predicted", "skipped")
UNROLLED_SLOTS = 4  # more take too long to compile


class State(NamedTuple):
    """Everything that training changes. Random numbers are functions of the seed and `step`."""

    step: Int[Array, ""]
    params: Any
    moments: Any


def init_state(model: SharedModel, mesh: Mesh | None = None) -> State:
    """The state at step 0, a function of the config's seed, made where it lives (by default on one
    device)."""
    where = state_shardings(model, mesh or one_device())
    # On a CPU most of the time would go into optimising a program that runs once.
    fast = {"xla_backend_optimization_level": 0} if jax.default_backend() == "cpu" else None
    make = jax.jit(_start, static_argnums=0, out_shardings=where, compiler_options=fast)
    return make(model)  # traced once a model


def state_shardings(model: SharedModel, mesh: Mesh) -> State:
    """Where every array of the state lives."""
    return jax.tree.map(lambda x: x.sharding, state_shapes(model, mesh))


def state_shapes(model: SharedModel, mesh: Mesh) -> State:
    """Shapes and shardings of the state, without computing it."""
    shapes = jax.eval_shape(partial(_state_0, model), model.shapes)
    params = param_shardings(mesh, model.config.mesh.rules, shapes.params, model.absent)
    moments = like_params(params, shapes.params, shapes.moments, mesh)

    def shape(x: Any, where: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=where)

    where = State._make((everywhere(mesh), params, moments))
    return jax.tree.map(shape, shapes, where)


def _start(model: SharedModel) -> State:
    return _state_0(model, model.init())


def _state_0(model: SharedModel, params: Any) -> State:
    moments = optimizer.init(model.config.optim, params, model.frozen)
    return State(jnp.zeros((), jnp.int32), params, moments)


def make_step(
    model: SharedModel, steps: int, mesh: Mesh | None = None
) -> Callable[[State, Step], tuple[State, Metrics]]:
    """The jitted update: (state, batch of K steps) -> (state, metrics of the K steps).

    The loss is (sum over predicted tokens) / (their number) over the whole step, within each
    connected component of the sharing graph: components are optimised independently. `batch` has a
    leading axis K of consecutive steps; the state is donated. With `skip_nonfinite` a component
    whose loss or gradient is not finite stays as it is for that step, which counts as skipped.
    `mesh`: by default one device.

    Raises:
      InputError: a mesh that does not divide the parameters, or nothing to train, before compiling.
    """
    model.check_trains()
    mesh = mesh or one_device()
    where = state_shardings(model, mesh)
    update = Update(model, steps, mesh)

    def call(state: State, batches: Step) -> tuple[State, Metrics]:
        state, metrics = jax.lax.scan(update, state, batches)
        return state, {name: x.sum(0) if name in SUMMED else x[-1] for name, x in metrics.items()}

    return jax.jit(
        call,
        in_shardings=(where, step_shardings(mesh)),
        out_shardings=(where, everywhere(mesh)),
        donate_argnums=0,
        compiler_options=compiler_options() if _platform(mesh) == "cpu" else None,
    )


class Update:
    """One step of training as a pure function: (state, batch of the step) -> (state, metrics)."""

    def __init__(self, model: SharedModel, steps: int, mesh: Mesh):
        self.model, self.config = model, model.config
        # One matrix product a slot suits a CPU (1.2 times the speed of a batch of two,
        # tools/bench.py); GPUs want large ones, and slots on several devices have to be a batch.
        most = UNROLLED_SLOTS if _platform(mesh) == "cpu" else 1
        unroll = mesh.shape["data"] == 1 and self.config.batch.slots <= most
        self.loss = StepLoss(model, unroll, steps, _whole(model, mesh))
        self.learning_rate = optimizer.learning_rate(self.config.optim, steps)
        self.of_language, self.of_variant = model.components
        self.n_components = int(self.of_language.max()) + 1

    def __call__(self, state: State, batch: Step) -> tuple[State, Metrics]:
        grads, sums = self.loss.gradients(state.params, state.step, batch)
        grads, norms = self._normalised(grads, sums)
        present = self._present(state.params, batch)
        skipped: Metrics = {}
        if self.config.skip_nonfinite:
            present, sums, norms, skipped = self._without_nonfinite(present, sums, norms)
        lr = self.learning_rate(state.step)
        params, moments = optimizer.update(
            self.config.optim, grads, state.moments, state.params, present, lr
        )
        metrics = {
            "loss_sum": sums.loss,
            "predicted": sums.tokens,
            "grad_norm": jnp.sqrt(jnp.sum(jnp.square(norms))),
            "lr": lr,
            **self._part_norms(state.step + 1, grads, state.params, params),
            **skipped,
        }
        return State(state.step + 1, params, moments), metrics

    def _normalised(self, grads: Any, sums: Sums) -> tuple[Any, jax.Array]:
        """(gradient of the mean loss, clipped; its norm before clipping) within each component."""
        tokens = jnp.zeros(self.n_components).at[self.of_language].add(sums.tokens)
        grads = optimizer.scale(grads, self.of_variant, 1 / jnp.maximum(tokens, 1))
        norms = optimizer.norms(grads, self.of_variant, self.n_components)
        if largest := self.config.optim.clip:
            clip = jnp.minimum(1.0, largest / jnp.maximum(norms, 1e-12))
            grads = optimizer.scale(grads, self.of_variant, clip)
        return grads, norms

    def _part_norms(self, step: jax.Array, grads: Any, old: Any, new: Any) -> Metrics:
        """L2 norms of each part of the tree (`sharing.parts`), [parts]: of the clipped gradient, of
        the update and of the parameters. At steps that are not logged they are 0: they are three
        passes over the tree, which a CPU feels."""
        names, of_variant = self.model.parts

        def norms(tree: Any) -> jax.Array:
            found = optimizer.norms(tree, of_variant, len(names))
            return jnp.where(jnp.isfinite(found), found, 0.0)

        def measured() -> jax.Array:
            return jnp.stack(list(map(norms, (grads, jax.tree.map(jnp.subtract, new, old), new))))

        found = jax.lax.cond(
            self.config.logs(step), measured, lambda: jnp.zeros((3, len(names)), jnp.float32)
        )
        return dict(zip(("grad_norms", "update_norms", "param_norms"), found, strict=True))

    def _present(self, params: Any, batch: Step) -> Any:
        """Which variants some language of the batch uses: bool[V] per leaf."""
        languages = jnp.zeros(len(self.config.languages), bool)
        here = languages.at[batch.language.reshape(-1)].set(True)
        return sharing.presence(params, self.model.mask, here)

    def _without_nonfinite(
        self, present: Any, sums: Sums, norms: jax.Array
    ) -> tuple[Any, Sums, jax.Array, Metrics]:
        """The same without the components whose loss or gradient is not finite."""
        loss = jnp.zeros(self.n_components).at[self.of_language].add(sums.loss)
        finite = jnp.isfinite(loss) & jnp.isfinite(norms)
        present = jax.tree.map(lambda x, component: x & finite[component], present, self.of_variant)
        sums = Sums(*(jnp.where(finite[self.of_language], x, 0) for x in sums))
        norms = jnp.where(finite, norms, 0)
        return present, sums, norms, {"skipped": 1 - jnp.all(finite).astype(jnp.int32)}


def _whole(model: SharedModel, mesh: Mesh) -> Any | None:
    """Where a language's parameters are while they are used."""
    return gathered(mesh, state_shardings(model, mesh).params)


def _platform(mesh: Mesh) -> str:
    return mesh.devices.flat[0].platform  # not always the default: tools/compile_for.py


def make_heldout(
    model: SharedModel, mesh: Mesh | None = None
) -> Callable[..., tuple[jax.Array, Predictions]]:
    """A jitted function (params, tokens, language, key) -> (losses [R, P], predictions).

    15 % of the tokens, whatever the training's rate, all shown as the mask symbol: perplexities
    compare across settings. A causal model predicts every token but a row's first. `mesh`: where
    the parameters live, if not on one device.
    """
    hidden = Masking(rate=0.15, mask=1.0, keep=0.0, random=0.0)

    def losses(
        params: Any, tokens_RxT: jax.Array, language: jax.Array, choice: jax.Array
    ) -> tuple[jax.Array, Predictions]:
        if mesh is not None and len(tokens_RxT) % (mesh.shape["data"] * mesh.shape["fsdp"]) == 0:
            where = NamedSharding(mesh, PartitionSpec(("data", "fsdp")))
            tokens_RxT = jax.lax.with_sharding_constraint(tokens_RxT, where)
        rows = (
            next_tokens(tokens_RxT)
            if model.config.model.causal
            else mask_rows(tokens_RxT, language, choice, hidden, model.pools)
        )
        view = model.view(params, language, None if mesh is None else _whole(model, mesh))
        return row_losses(model, view, rows, language), rows

    return jax.jit(losses, out_shardings=None if mesh is None else everywhere(mesh))


def flops_per_step(model: SharedModel) -> float:
    """Model floating-point operations of one step, forward and backward (3 x forward; layers that
    `remat` computes again do not count), every row at full length: 2 per multiply-add of linear
    maps, attention (of the keys that are seen) and output softmax."""
    c, b = model.config.model, model.config.batch
    T = model.config.data.length
    read = 2 * c.width * c.width  # keys and values, of all tokens
    write = read + (3 if c.gated else 2) * c.width * c.ffn
    seen = [min(T, c.window + 1) if c.is_local(i) else T for i in range(1, c.layers + 1)]
    if c.causal:  # itself and the mean of what is before
        seen = [(keys + 1) / 2 for keys in seen]
    predicted = T - 1 if c.causal else n_predictions(model.config.masking.highest, T)
    layers: list[float] = [2 * (read + write) + 4 * keys * c.width for keys in seen]
    if c.last_layer == "predicted":
        layers[-1] = 2 * read + predicted / T * (2 * write + 4 * seen[-1] * c.width)
    head = 2 * predicted / T * c.width * model.vocab_size
    return 3.0 * float(np.prod([b.accum, b.slots, b.rows, T])) * (sum(layers) + head)
