"""The training step: masked rows of several languages in, one update of the shared tree out.

Letters in names: A sequential parts (accum), S slots, R rows, T tokens, L languages.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Int

from xl_jax.batches.placement import step_shardings
from xl_jax.batches.sampler import Step
from xl_jax.config import Masking
from xl_jax.devices.mesh import everywhere, like_params, one_device, param_shardings
from xl_jax.model import sharing
from xl_jax.model.masking import MaskedRows, mask_rows
from xl_jax.model.shared_model import SharedModel
from xl_jax.rng import Purpose, key
from xl_jax.tokens.special import PAD
from xl_jax.training import optimizer

UNROLLED_SLOTS = 4  # more take too long to compile


class State(NamedTuple):
    """Everything that training changes. Random numbers are functions of the seed and `step`."""

    step: Int[Array, ""]
    params: Any
    moments: Any


class Sums(NamedTuple):
    """Sums over predicted tokens, by language: divide only after adding everything up."""

    loss: Float[Array, " L"]
    tokens: Float[Array, " L"]


def init_state(model: SharedModel, mesh: Mesh | None = None) -> State:
    """The state at step 0, a function of the config's seed, made where it lives (by default on one
    device)."""
    where = state_shardings(model, mesh or one_device())
    # On a CPU most of the time would go into optimising a program that runs once.
    fast = {"xla_backend_optimization_level": 0} if jax.default_backend() == "cpu" else None
    make = jax.jit(lambda: _state_0(model), out_shardings=where, compiler_options=fast)
    return make()


def state_shardings(model: SharedModel, mesh: Mesh) -> State:
    """Where every array of the state lives."""
    shapes = jax.eval_shape(lambda: _state_0(model))
    params = param_shardings(mesh, model.config.mesh.rules, shapes.params)
    moments = like_params(params, shapes.params, shapes.moments, mesh)
    return State._make((everywhere(mesh), params, moments))


def state_shapes(model: SharedModel, mesh: Mesh) -> State:
    """Shapes and shardings of the state, without computing it."""
    shapes = jax.eval_shape(lambda: _state_0(model))

    def shape(x: Any, where: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=where)

    return jax.tree.map(shape, shapes, state_shardings(model, mesh))


def _state_0(model: SharedModel) -> State:
    params = model.init()
    return State(jnp.zeros((), jnp.int32), params, optimizer.init(model.config.optim, params))


def row_losses(
    model: SharedModel,
    view: Any,
    rows: MaskedRows,
    language: Int[Array, ""],
    dropout: jax.Array | None = None,
) -> Float[Array, "R P"]:
    """Cross-entropy in nats of each predicted position, 0 where its weight is 0."""
    logits: Any = model.module.apply(
        {"params": view},
        rows.tokens,
        rows.tokens != PAD,
        rows.positions,
        jnp.asarray(model.allowed)[language],
        train=dropout is not None,
        rngs=None if dropout is None else {"dropout": dropout},
    )
    flat = logits.reshape(-1, logits.shape[-1])  # with one axis of predictions XLA reduces faster
    losses = optax.softmax_cross_entropy_with_integer_labels(flat, rows.targets.reshape(-1))
    return jnp.where(rows.weights > 0, losses.reshape(rows.weights.shape), 0.0)


def make_step(
    model: SharedModel, steps: int, mesh: Mesh | None = None
) -> Callable[[State, Step], tuple[State, dict[str, jax.Array]]]:
    """The jitted update: (state, batch of K steps) -> (state, metrics summed over the K steps).

    The loss is (sum over predicted tokens) / (their number) over the whole step, within each
    component of languages that share anything: languages that share nothing train exactly as they
    would alone. `batch` has a leading axis K of consecutive steps; the state is donated. With
    `skip_nonfinite` a component whose loss or gradient is not finite stays as it is for that step,
    which counts as skipped. `mesh`: by default one device.

    Raises:
      InputError: a mesh that does not divide the parameters, before compiling.
    """
    config = model.config
    mesh = mesh or one_device()
    where = state_shardings(model, mesh)
    n_languages = len(config.languages)
    of_language, of_variant = model.components
    n_components = int(of_language.max()) + 1
    schedule = optimizer.learning_rate(config.optim, steps)
    masking_key, dropout_key = (key(config.seed, p) for p in (Purpose.MASKING, Purpose.DROPOUT))
    # One matrix product a slot suits a CPU (1.2 times the speed of a batch of two, tools/bench.py);
    # slots on several devices have to be a batch.
    unroll = mesh.shape["data"] == 1 and config.batch.slots <= UNROLLED_SLOTS
    dropout_on = config.model.dropout > 0 or config.model.attention_dropout > 0

    def slot_sums(params: Any, tokens_RxT: jax.Array, language: jax.Array, slot: jax.Array) -> Any:
        """(sum of losses, number of predictions) of one slot; `slot` counts slots since step 0."""
        rows = mask_rows(
            tokens_RxT,
            language,
            jax.random.fold_in(masking_key, slot),
            config.masking,
            model.pools,
        )
        view = model.view(params, language)
        dropout = jax.random.fold_in(dropout_key, slot) if dropout_on else None
        losses = row_losses(model, view, rows, language, dropout)
        return jnp.sum(losses), jnp.sum(rows.weights)

    def part_loss(
        params: Any, tokens: jax.Array, language: jax.Array, slot: jax.Array
    ) -> tuple[jax.Array, Sums]:
        if unroll:
            each = [slot_sums(params, *one) for one in zip(tokens, language, slot, strict=True)]
            losses, counts = (jnp.stack(x) for x in zip(*each, strict=True))
        else:
            slots = jax.vmap(slot_sums, in_axes=(None, 0, 0, 0), spmd_axis_name="data")
            losses, counts = slots(params, tokens, language, slot)
        zeros = jnp.zeros(n_languages)
        sums = Sums(zeros.at[language].add(losses), zeros.at[language].add(counts))
        return jnp.sum(losses), sums

    def gradients(state: State, batch: Step) -> tuple[Any, Sums]:
        """Gradient of the summed loss and the sums, over all sequential parts."""
        A, S = batch.language.shape
        slots = (state.step * (A * S) + jnp.arange(A * S)).reshape(A, S)
        grad = jax.grad(part_loss, has_aux=True)
        if A == 1:
            return grad(state.params, batch.tokens[0], batch.language[0], slots[0])

        def add(total: Any, part: Any) -> tuple[Any, None]:
            return jax.tree.map(jnp.add, total, grad(state.params, *part)), None

        zeros = jnp.zeros(n_languages)
        start = (jax.tree.map(jnp.zeros_like, state.params), Sums(zeros, zeros))
        return jax.lax.scan(add, start, (batch.tokens, batch.language, slots))[0]

    def one_step(state: State, batch: Step) -> tuple[State, dict[str, jax.Array]]:
        grads, sums = gradients(state, batch)
        tokens = jnp.zeros(n_components).at[of_language].add(sums.tokens)
        grads = optimizer.scale(grads, of_variant, 1 / jnp.maximum(tokens, 1))
        norms = optimizer.norms(grads, of_variant, n_components)
        if config.optim.clip:
            clip = jnp.minimum(1.0, config.optim.clip / jnp.maximum(norms, 1e-12))
            grads = optimizer.scale(grads, of_variant, clip)
        here = jnp.zeros(n_languages, bool).at[batch.language.reshape(-1)].set(True)
        present = sharing.presence(state.params, model.mask, here)
        more = {}
        if config.skip_nonfinite:
            loss = jnp.zeros(n_components).at[of_language].add(sums.loss)
            finite = jnp.isfinite(loss) & jnp.isfinite(norms)
            present = jax.tree.map(lambda x, component: x & finite[component], present, of_variant)
            sums = Sums(*(jnp.where(finite[of_language], x, 0) for x in sums))
            norms = jnp.where(finite, norms, 0)
            more = {"skipped": 1 - jnp.all(finite).astype(jnp.int32)}
        lr = schedule(state.step)
        params, moments = optimizer.update(
            config.optim, grads, state.moments, state.params, present, lr
        )
        metrics = {
            "loss_sum": sums.loss,
            "predicted": sums.tokens,
            "grad_norm": jnp.sqrt(jnp.sum(jnp.square(norms))),
            "lr": lr,
            **more,
        }
        return State(state.step + 1, params, moments), metrics

    def call(state: State, batches: Step) -> tuple[State, dict[str, jax.Array]]:
        state, metrics = jax.lax.scan(one_step, state, batches)
        last = ("grad_norm", "lr")
        return state, {name: x[-1] if name in last else x.sum(0) for name, x in metrics.items()}

    return jax.jit(
        call,
        in_shardings=(where, step_shardings(mesh)),
        out_shardings=(where, everywhere(mesh)),
        donate_argnums=0,
        compiler_options=compiler_options() if _platform(mesh) == "cpu" else None,
    )


def _platform(mesh: Mesh) -> str:
    return mesh.devices.flat[0].platform  # not always the default: tools/compile_tpu.py


def make_heldout(
    model: SharedModel, mesh: Mesh | None = None
) -> Callable[..., tuple[jax.Array, MaskedRows]]:
    """A jitted function (params, tokens, language, key) -> (losses [R, P], masked rows).

    15 % of the tokens, whatever the training's rate, all shown as the mask symbol: perplexities
    compare across settings. `mesh`: where the parameters live, if not on one device.
    """
    hidden = Masking(rate=0.15, mask=1.0, keep=0.0, random=0.0)

    def losses(
        params: Any, tokens_RxT: jax.Array, language: jax.Array, choice: jax.Array
    ) -> tuple[jax.Array, MaskedRows]:
        if mesh is not None and len(tokens_RxT) % (mesh.shape["data"] * mesh.shape["fsdp"]) == 0:
            where = NamedSharding(mesh, PartitionSpec(("data", "fsdp")))
            tokens_RxT = jax.lax.with_sharding_constraint(tokens_RxT, where)
        rows = mask_rows(tokens_RxT, language, choice, hidden, model.pools)
        view = model.view(params, language)
        return row_losses(model, view, rows, language), rows

    return jax.jit(losses, out_shardings=None if mesh is None else everywhere(mesh))


def flops_per_step(model: SharedModel) -> float:
    """Model floating-point operations of one step, forward and backward (3 x forward; layers that
    `remat` computes again do not count), every row at full length: 2 per multiply-add of linear
    maps, attention and output softmax."""
    c, b = model.config.model, model.config.batch
    T = model.config.data.length
    layer = 2 * (4 * c.width * c.width + 2 * c.width * c.ffn) + 4 * T * c.width
    predictions = max(1, round(model.config.masking.rate * T)) / T
    head = 2 * predictions * c.width * model.vocab_size
    return 3.0 * float(np.prod([b.accum, b.slots, b.rows, T])) * (c.layers * layer + head)


def compiler_options() -> dict[str, str] | None:
    """For `jax.jit(compiler_options=...)`.

    On a CPU, fusing the element-wise work into the matrix products of XLA's newer library (YNNPACK,
    on by default in this jaxlib) made a step a fifth slower (tools/bench.py step).
    """
    cpu = jax.default_backend() == "cpu"
    return {"xla_cpu_experimental_ynn_fusion_type": ""} if cpu else None
