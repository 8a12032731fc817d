"""The model, what it predicts, and how it is trained."""

from dataclasses import dataclass
from typing import Any

from xl_jax.config.domains import (
    Section,
    boolean,
    choice,
    integer,
    literal,
    number,
    option,
    require,
    rules,
)

WIDEST = 1_000_000  # no model has more


@dataclass(frozen=True)
class Model(Section, where="model."):
    layers: int = option(8, integer(1, 1000), "transformer layers")
    heads: int = option(12, integer(1, WIDEST), "attention heads of a layer; they divide the width")
    width: int = option(768, integer(1, WIDEST), "width of the states")
    ffn: int = option(3072, integer(1, WIDEST), "width of the feed-forward layer")
    positions: int = option(512, integer(4, WIDEST), "tokens of the longest row")
    position_encoding: str = option(
        "learned",
        choice("learned", "rope", "none"),
        "learned: a table that is added to the tokens (XLM, BERT); rope: queries and keys are "
        "rotated (ModernBERT), no parameters; none: the model sees no order",
    )
    rope_base: float = option(
        10_000.0,
        number("(1, 1e9]"),
        "rope: pair i of a head of width K turns by base^(-2i/K) a token",
    )
    rope_base_local: float = option(10_000.0, number("(1, 1e9]"), "and in layers that see a window")
    window: int = option(
        0,
        integer(0, WIDEST),
        "neighbours that a token sees in local layers, half of them to each side (ModernBERT: "
        "128); 0 = no layer is local",
    )
    global_every: int = option(
        3,
        integer(2, 1000),
        "with a window layers 1, 1 + n, 1 + 2n, ... see all tokens, the others are local",
    )
    causal: bool = option(
        False,
        boolean(),
        "a decoder: a token sees itself and those before it, and predicts the next (GPT); nothing "
        "is masked",
    )
    norm: str = option(
        "post", choice("post", "pre"), "the norm is after (XLM, BERT) or before a sublayer"
    )
    norm_kind: str = option(
        "layer", choice("layer", "rms"), "LayerNorm, or RMSNorm: no mean is subtracted, no bias"
    )
    embed_norm: bool = option(
        False,
        boolean(),
        "norm = 'pre': embeddings have a norm, in place of that before layer 1's attention "
        "(ModernBERT); post-norm models always have one",
    )
    norm_eps: float = option(
        1e-12, number("(0, 1)"), "added to the norm's variance (XLM, BERT: 1e-12; RoBERTa: 1e-5)"
    )
    activation: str = option(
        "gelu",
        choice("gelu", "gelu_tanh", "relu", "geglu", "swiglu"),
        "of the feed-forward layers; gelu is exact; geglu and swiglu are GELU and SiLU times a "
        "second linear map of width model.ffn",
    )
    bias: bool = option(
        True, boolean(), "linear maps and norms have biases (ModernBERT: no); the softmax always"
    )
    mlm_transform: bool = option(
        False, boolean(), "BERT's output layer: linear, activation, norm, tied softmax"
    )
    dropout: float = option(0.1, number("[0, 1)"), "dropout rate of the states")
    attention_dropout: float = option(0.1, number("[0, 1)"), "dropout rate of attention weights")
    init_token: float = option(
        0.0,
        number("[0, inf)"),
        "standard deviation of initial token embeddings; 0 = XLM's, width^-0.5",
    )
    init_position: float = option(0.0, number("[0, inf)"), "and of position embeddings")
    init_body: float = option(
        0.0,
        number("[0, inf)"),
        "and of the other kernels; 0 = XLM's, uniform in +-fan_in^-0.5, biases too",
    )
    language_embedding: bool = option(
        False, boolean(), "one private vector a language (XLM yes, XLM-R no)"
    )
    softmax: str = option(
        "all",
        choice("all", "own"),
        "the output softmax is over all pieces (paper), or those of the row's own language",
    )
    dtype: str = option(
        "float32", choice("float32", "bfloat16"), "number format of the matrix products"
    )
    attention: str = option(
        "xla",
        choice("xla", "cudnn"),
        "cudnn: the fused kernel of NVIDIA GPUs (bfloat16, no dropout in it)",
    )
    last_layer: str = option(
        "all",
        choice("all", "predicted"),
        "where pretraining computes the last layer: at all tokens, or only where one is predicted, "
        "which saves most of it; the same model, but for other random choices of dropout there",
    )
    remat: bool = option(
        False,
        boolean(),
        "layers are computed again in the backward pass: less memory, more time",
    )

    @property
    def gated(self) -> bool:
        """Whether the feed-forward layers are."""
        return self.activation in ("geglu", "swiglu")

    @property
    def normed_embeddings(self) -> bool:
        return self.norm == "post" or self.embed_norm

    def is_local(self, layer: int) -> bool:
        """Whether layer 1, 2, ... sees a window alone."""
        return self.window > 0 and (layer - 1) % self.global_every > 0

    def agree(self) -> None:
        require(
            self.width % self.heads == 0,
            f"model.heads = {self.heads} does not divide model.width = {self.width}",
        )
        require(
            self.position_encoding != "rope" or (self.width // self.heads) % 2 == 0,
            f"model.position_encoding = 'rope' turns pairs: model.width / model.heads = "
            f"{self.width} / {self.heads} must be even",
        )
        require(
            self.window % 2 == 0,
            f"model.window = {self.window} must be even: half of it is on each side of a token",
        )
        require(
            not (self.embed_norm and self.norm == "post"),
            "model.embed_norm = True is for model.norm = 'pre': model.norm = 'post' has that norm",
        )
        if self.attention == "cudnn":
            require(
                self.window == 0,
                f"model.attention = 'cudnn' has no windows: model.window = {self.window} needs xla",
            )
            require(
                self.dtype == "bfloat16" and self.attention_dropout == 0,
                "model.attention = 'cudnn' needs model.dtype = 'bfloat16' and "
                f"model.attention_dropout = 0, not {self.dtype!r} and {self.attention_dropout}",
            )


@dataclass(frozen=True)
class Masking(Section, where="masking."):
    rate: float = option(0.15, number("(0, 1)"), "share of a row's tokens that is predicted")
    last_rate: float = option(
        0.0,
        number("[0, 1)"),
        "the share at the last step, reached in a straight line from `rate` at the first (mmBERT "
        "goes from 0.3 to 0.05); 0 = `rate` throughout",
    )
    mask: float = option(0.8, number("[0, 1]"), "of those: share shown as the mask symbol")
    keep: float = option(0.1, number("[0, 1]"), "share shown as themselves")
    random: float = option(0.1, number("[0, 1]"), "share shown as a random piece")
    pool: str = option(
        "all",
        choice("all", "own"),
        "random pieces come from all languages, or from the row's own (the paper's Sep runs, "
        "section 4.3)",
    )

    @property
    def highest(self) -> float:
        """The largest share of any step."""
        return max(self.rate, self.last_rate)

    def agree(self) -> None:
        total = self.mask + self.keep + self.random
        require(abs(total - 1) < 1e-6, f"masking.mask + keep + random is {total:g}, not 1")


def _is_phases(value: Any) -> bool:
    """Whether it is ((end, shares), ...) with ends rising to 1."""
    share, end = number("[0, inf)"), 0.0
    for phase in value if type(value) is tuple else (None,):
        if type(phase) is not tuple or len(phase) != 2 or type(phase[1]) is not tuple:
            return False
        if not (number("(0, 1]").holds(phase[0]) and end < phase[0]):
            return False
        if not (all(map(share.holds, phase[1])) and sum(phase[1]) > 0):
            return False
        end = phase[0]
    return end in (0.0, 1.0)


@dataclass(frozen=True)
class Batch(Section, where="batch."):
    accum: int = option(1, integer(1), "sequential parts of a step whose gradients add up")
    slots: int = option(8, integer(1), "parallel parts; all rows of a slot are of one language")
    rows: int = option(96, integer(1), "rows of a slot")
    alpha: float = option(
        0.7, number("[0, 10]"), "a slot's language l is drawn with p ~ (share of lines)^alpha"
    )
    by: str = option(
        "lines", choice("lines", "tokens"), "what a language's share counts (paper: lines)"
    )
    schedule: Any = option(
        (),
        literal("((end, shares), ...) with ends rising to 1", _is_phases),
        "other shares by phase, instead: ((0.5, (0.9, 0.1)), (1.0, (0.5, 0.5))) for two languages; "
        "ends are shares of the run's steps",
    )
    draw: str = option(
        "independent",
        choice("independent", "systematic"),
        "each slot is drawn alone (paper), or systematic: the same p, least variance",
    )


@dataclass(frozen=True)
class Optim(Section, where="optim."):
    lr: float = option(1e-4, number("(0, inf)"), "largest learning rate of AdamW")
    schedule: str = option(
        "inverse_sqrt",
        choice("inverse_sqrt", "cosine", "constant"),
        "of the learning rate after the warm-up: inverse_sqrt (paper), cosine (to 0 at the last "
        "step), constant",
    )
    warmup: int = option(30_000, integer(0), "steps of linear increase of the learning rate")
    b1: float = option(0.9, number("[0, 1)"), "decay of AdamW's mean of gradients")
    b2: float = option(0.999, number("[0, 1)"), "and of its mean of squared gradients")
    eps: float = option(1e-6, number("(0, inf)"), "AdamW's epsilon")
    decay: float = option(
        0.01,
        number("[0, inf)"),
        "decoupled weight decay of the leaves that decay_rules call decay",
    )
    decay_rules: Any = option(
        ((".*/(bias|scale)", "none"), (".*", "decay")),
        rules("ordered (pattern, 'decay' or 'none') pairs", ("none", "decay").__contains__),
        "which leaves decay; the first pattern that matches a leaf's path wins",
    )
    clip: float = option(5.0, number("[0, inf)"), "largest gradient norm; 0 = no clipping")


def _is_axes(value: Any) -> bool:
    return type(value) is tuple and all(x is None or type(x) is str for x in value)


@dataclass(frozen=True)
class Mesh(Section, where="mesh."):
    """Devices in each direction, and which direction divides which dimension of a parameter."""

    data: int = option(1, integer(1), "devices that divide a step's slots")
    fsdp: int = option(1, integer(1), "devices that divide a slot's rows, and parameters")
    tensor: int = option(
        1, integer(1), "devices that divide vocabulary, heads and feed-forward width"
    )
    rules: Any = option(
        (
            ("embed/token", ("tensor", "fsdp")),
            ("(mlm|.*/attention/(query|key|value)|.*/ffn/(up|gate))/bias", ("tensor",)),
            (".*/attention/(query|key|value)/kernel", ("fsdp", "tensor")),
            (".*/attention/output/kernel", ("tensor", None, "fsdp")),
            (".*/ffn/(up|gate)/kernel", ("fsdp", "tensor")),
            (".*/ffn/down/kernel", ("tensor", "fsdp")),
            (".*", ()),
        ),
        rules("ordered (pattern, axes) pairs; axes such as ('fsdp', None)", _is_axes),
        "which axis of the mesh divides which dimension of a leaf; the first match wins",
    )
