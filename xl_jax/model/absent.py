"""Leaves that a model has not because of an option, and which: what a rule about them is told."""

from collections.abc import Iterator

from xl_jax.config import Model
from xl_jax.rules import Absent

_LINEAR = (
    *(f"attention/{x}" for x in ("query", "key", "value", "output")),
    *(f"ffn/{x}" for x in ("up", "gate", "down")),
)


def absent_leaves(c: Model) -> Absent:
    """Path -> why it is not there."""
    return dict(_absent(c))


def _absent(c: Model) -> Iterator[tuple[str, str]]:
    layers = [f"layer_{i}" for i in range(1, c.layers + 1)]
    norms = [f"{layer}/{x}_norm" for layer in layers for x in ("attention", "ffn")]
    norms += ["embed/norm", "final_norm", "mlm/norm"]
    if c.embed_norm:
        why = "with model.embed_norm = True layer 1 has no norm before its attention"
        yield from ((f"layer_1/attention_norm/{x}", why) for x in ("scale", "bias"))
    if c.position_encoding != "learned":
        why = f"model.position_encoding = {c.position_encoding!r} has no learned positions"
        yield "embed/position", why
    if not c.gated:
        why = f"model.activation = {c.activation!r} has no gate"
        yield from ((f"{layer}/ffn/gate/{x}", why) for layer in layers for x in ("kernel", "bias"))
    if not c.bias:
        linear = [f"{layer}/{x}" for layer in layers for x in _LINEAR]
        for x in (*linear, "mlm/dense", *norms):
            yield f"{x}/bias", "model.bias = False has none"
    elif c.norm_kind == "rms":
        yield from ((f"{x}/bias", "model.norm_kind = 'rms' has none") for x in norms)
