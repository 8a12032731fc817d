"""Architectures of `transformers` that hold an encoder of ours: names of tensors, fields of config.

    xlm             post-norm, feed-forward width 4 x width
    bert            post-norm, any feed-forward width
    roberta         bert, with position 0 at row pad + 1, and other names
    megatron-bert   pre-norm

A linear map is [out, in] there and [*inputs, *outputs] here. Token types, which are never used
here, are part of the position table: every token is of type 0.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from xl_jax.config import Model
from xl_jax.errors import InputError, unknown
from xl_jax.tokens.special import BOS, EOS, MASK, PAD, UNK

TRANSFORM = ("mlm/dense", "mlm/norm")  # of the output layer, where `Model.mlm_transform`
_BERT = {
    "embed/token": "embeddings.word_embeddings.weight",
    "embed/position": "embeddings.position_embeddings.weight",
    "embed/norm": "embeddings.LayerNorm",
    "layer/attention/query": "encoder.layer.{}.attention.self.query",
    "layer/attention/key": "encoder.layer.{}.attention.self.key",
    "layer/attention/value": "encoder.layer.{}.attention.self.value",
    "layer/attention/output": "encoder.layer.{}.attention.output.dense",
    "layer/attention_norm": "encoder.layer.{}.attention.output.LayerNorm",
    "layer/ffn/up": "encoder.layer.{}.intermediate.dense",
    "layer/ffn/down": "encoder.layer.{}.output.dense",
    "layer/ffn_norm": "encoder.layer.{}.output.LayerNorm",
}
_BERT_HEAD = {
    "mlm/bias": "cls.predictions.bias",
    "mlm/dense": "cls.predictions.transform.dense",
    "mlm/norm": "cls.predictions.transform.LayerNorm",
}
_XLM = {
    "embed/token": "embeddings.weight",
    "embed/position": "position_embeddings.weight",
    "embed/language": "lang_embeddings.weight",
    "embed/norm": "layer_norm_emb",
    "layer/attention/query": "attentions.{}.q_lin",
    "layer/attention/key": "attentions.{}.k_lin",
    "layer/attention/value": "attentions.{}.v_lin",
    "layer/attention/output": "attentions.{}.out_lin",
    "layer/attention_norm": "layer_norm1.{}",
    "layer/ffn/up": "ffns.{}.lin1",
    "layer/ffn/down": "ffns.{}.lin2",
    "layer/ffn_norm": "layer_norm2.{}",
}
_MEGATRON = {
    "layer/attention_norm": "encoder.layer.{}.attention.ln",
    "layer/ffn_norm": "encoder.layer.{}.ln",
    "final_norm": "encoder.ln",
}


@dataclass(frozen=True)
class Format:
    """Where an architecture keeps the parameters of an encoder.

    `encoder` and `head` give the module (or the tensor, where it ends in `.weight`) of each of our
    modules; {} is a layer's number from 0 on. `prefix` stands before the encoder's names, except in
    files of the bare encoder. `tied` are copies of the token table or of its bias.
    """

    name: str  # `model_type` in config.json
    prefix: str
    norm: str
    encoder: Mapping[str, str]
    head: Mapping[str, str]
    tied: tuple[str, ...]
    classes: Mapping[str, str]  # mlm | nli | ner -> class
    nli: str  # module of the layer that classifies a sentence pair

    @property
    def type_table(self) -> str:
        """The token types' table; "" where there is none."""
        return "" if self.name == "xlm" else self.prefix + "embeddings.token_type_embeddings.weight"

    def module(self, path: str) -> str:
        """The name there of our module, or table, `path`: `layer_2/ffn/up`."""
        layer = re.match(r"layer_(\d+)/", path)
        key = path.replace(layer[0], "layer/", 1) if layer else path
        if key in self.head:
            return self.head[key]
        name = self.prefix + self.encoder[key]
        return name.format(int(layer[1]) - 1) if layer else name

    def tensor(self, path: str) -> str:
        """The name there of our leaf `path`."""
        module, _, leaf = path.rpartition("/")
        if path == "mlm/bias" or module == "embed":
            return self.module(path)
        return f"{self.module(module)}.{'bias' if leaf == 'bias' else 'weight'}"


def _classes(name: str) -> dict[str, str]:
    kinds = {"mlm": "ForMaskedLM", "nli": "ForSequenceClassification"}
    return {k: name + x for k, x in {**kinds, "ner": "ForTokenClassification"}.items()}


_DECODER = ("cls.predictions.decoder.weight", "cls.predictions.decoder.bias")
FORMATS = {
    x.name: x
    for x in (
        Format(
            "xlm",
            "transformer.",
            "post",
            _XLM,
            {"mlm/bias": "pred_layer.proj.bias"},
            ("pred_layer.proj.weight",),
            _classes("XLM") | {"mlm": "XLMWithLMHeadModel"},
            "sequence_summary.summary",
        ),
        Format(
            "bert", "bert.", "post", _BERT, _BERT_HEAD, _DECODER, _classes("Bert"), "classifier"
        ),
        Format(
            "roberta",
            "roberta.",
            "post",
            _BERT,
            {
                "mlm/bias": "lm_head.bias",
                "mlm/dense": "lm_head.dense",
                "mlm/norm": "lm_head.layer_norm",
            },
            ("lm_head.decoder.weight", "lm_head.decoder.bias"),
            _classes("Roberta"),
            "classifier.out_proj",
        ),
        Format(
            "megatron-bert",
            "bert.",
            "pre",
            {k: x for k, x in _BERT.items() if k != "embed/norm"} | _MEGATRON,
            _BERT_HEAD,
            _DECODER,
            _classes("MegatronBert"),
            "classifier",
        ),
    )
}
_HELD = {  # by all of them
    "norm_kind": "layer",
    "bias": True,
    "embed_norm": False,
    "window": 0,
    "causal": False,
}
ALIASES = {"xlm-roberta": "roberta", "camembert": "roberta"}  # equal tensors, another name


def known(name: object) -> Format:
    """The format of a `model_type`.

    Raises:
      InputError: another architecture; names those supported.
    """
    named = ALIASES.get(str(name), str(name))
    if named not in FORMATS:
        raise unknown("architecture", name, [*FORMATS, *ALIASES])
    return FORMATS[named]


def choose(model: Model, name: str = "") -> Format:
    """The format `name`, or the first that holds the model: xlm, bert, megatron-bert.

    Raises:
      InputError: an unknown format, or one that does not hold the model (with the reason).
    """
    if name and name not in FORMATS:
        raise unknown("--format", name, FORMATS)
    candidates = [FORMATS[name]] if name else [f for f in FORMATS.values() if f.name != "roberta"]
    reasons = {f.name: misfit(model, f) for f in candidates}
    for made in candidates:
        if not reasons[made.name]:
            return made
    shown = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
    raise InputError(f"no format holds this model: {shown}")


def misfit(model: Model, target: Format) -> str:
    """Why `target` does not hold the model, "" if it does."""
    if model.position_encoding != "learned":
        return f"its positions are learned, the model's are {model.position_encoding!r}"
    for name, held in _HELD.items():
        if getattr(model, name) != held:
            return f"it has model.{name} = {held!r}, not {getattr(model, name)!r}"
    if model.gated:
        return f"its feed-forward has no gate, the model's is {model.activation!r}"
    if model.norm != target.norm:
        return f"it is {target.norm}-norm, the model is {model.norm}-norm"
    if target.name != "xlm":
        return ""
    if model.ffn != 4 * model.width:
        return f"its ffn is 4 x width = {4 * model.width}, the model's is {model.ffn}"
    if model.mlm_transform:
        return "it has no transform below the softmax"
    return "" if model.activation in ("gelu", "relu") else f"it knows no {model.activation}"


def config_of(model: Model, target: Format, pieces: int, first: int) -> dict[str, Any]:
    """The content of config.json, with every number of a special token.

    Args:
      pieces: rows of the embedding table.
      first: the special token that opens a row.
    """
    ids = {
        "pad_token_id": PAD,
        "bos_token_id": BOS,
        "eos_token_id": EOS,
        "cls_token_id": first,
        "sep_token_id": EOS,
        "unk_token_id": UNK,
        "mask_token_id": MASK,
    }
    common = {
        "model_type": target.name,
        "architectures": [target.classes["mlm"]],
        "dtype": "float32",
        "vocab_size": pieces,
        "max_position_embeddings": model.positions,
        "layer_norm_eps": model.norm_eps,
        "tie_word_embeddings": True,
        **ids,
    }
    if target.name == "xlm":
        return {
            **common,
            "emb_dim": model.width,
            "n_layers": model.layers,
            "n_heads": model.heads,
            "dropout": model.dropout,
            "attention_dropout": model.attention_dropout,
            "gelu_activation": model.activation == "gelu",
            "sinusoidal_embeddings": False,
            "causal": False,
            "asm": False,
            "is_encoder": True,
            "n_langs": 1,
            "use_lang_emb": False,
            "lang_id": 0,
            "bos_index": BOS,
            "eos_index": EOS,
            "pad_index": PAD,
            "unk_index": UNK,
            "mask_index": MASK,
            "summary_type": "first",
            "summary_use_proj": True,
            "summary_activation": None,
            "summary_proj_to_labels": True,
        }
    return {
        **common,
        "max_position_embeddings": model.positions + row_0(target),
        "hidden_size": model.width,
        "num_hidden_layers": model.layers,
        "num_attention_heads": model.heads,
        "intermediate_size": model.ffn,
        "hidden_act": _ACTIVATIONS[model.activation],
        "hidden_dropout_prob": model.dropout,
        "attention_probs_dropout_prob": model.attention_dropout,
        "type_vocab_size": 1,
    }


_ACTIVATIONS = {"gelu": "gelu", "gelu_tanh": "gelu_new", "relu": "relu"}
_READ = {x: k for k, x in _ACTIVATIONS.items()} | {
    "gelu_python": "gelu",
    "gelu_pytorch_tanh": "gelu_tanh",
}


def row_0(target: Format, pad: int = PAD) -> int:
    """The row of the position table that a text's first token reads."""
    return pad + 1 if target.name == "roberta" else 0


def model_of(config: Mapping[str, Any], where: str) -> Model:
    """The model that a config.json of a supported architecture describes.

    Args:
      where: the file, for errors.

    Raises:
      InputError: a field that is missing, or says what no encoder here does.
    """

    def need(name: str) -> Any:
        if name not in config:
            raise InputError(f"{where}: the field {name!r} is missing")
        return config[name]

    def whole(name: str) -> int:
        if type(need(name)) is not int:
            raise InputError(f"{where}: {name} = {config[name]!r} is no whole number")
        return config[name]

    def refuse(name: str, *allowed: Any) -> None:
        if config.get(name, allowed[0]) not in allowed:
            choices = " or ".join(map(repr, allowed))
            raise InputError(f"{where}: {name} = {config[name]!r} is not supported, {choices} is")

    target = known(need("model_type"))
    refuse("is_decoder", False)
    refuse("add_cross_attention", False)
    refuse("position_embedding_type", "absolute")
    refuse("tie_word_embeddings", True)
    positions = whole("max_position_embeddings")
    if target.name == "xlm":
        refuse("asm", False)
        refuse("causal", False)
        return Model(
            layers=whole("n_layers"),
            heads=whole("n_heads"),
            width=whole("emb_dim"),
            ffn=4 * whole("emb_dim"),
            positions=positions,
            norm_eps=config.get("layer_norm_eps", 1e-12),
            activation="gelu" if config.get("gelu_activation", True) else "relu",
            dropout=config.get("dropout", 0.1),
            attention_dropout=config.get("attention_dropout", 0.1),
            language_embedding=bool(config.get("use_lang_emb", True)) and whole("n_langs") > 1,
        )
    activation = str(need("hidden_act"))
    if activation not in _READ:
        raise unknown(f"activation in {where}: hidden_act", activation, _READ)
    pad = whole("pad_token_id") if target.name == "roberta" else 0
    return Model(
        layers=whole("num_hidden_layers"),
        heads=whole("num_attention_heads"),
        width=whole("hidden_size"),
        ffn=whole("intermediate_size"),
        positions=positions - row_0(target, pad),
        norm=target.norm,
        norm_eps=config.get("layer_norm_eps", 1e-12),
        activation=_READ[activation],
        dropout=config.get("hidden_dropout_prob", 0.1),
        attention_dropout=config.get("attention_probs_dropout_prob", 0.1),
    )


def outward(path: str, x: Any) -> np.ndarray:
    """A leaf of ours as its tensor there."""
    x = np.asarray(x)
    if path.endswith("/kernel"):
        return (x.reshape(-1, x.shape[-1]) if _joins(path) else x.reshape(x.shape[0], -1)).T
    return x.reshape(-1) if path.endswith("/bias") else x


def inward(path: str, x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A tensor there, of shape `shape_there`, as our leaf `path`."""
    return (x.T if path.endswith("/kernel") else x).reshape(shape)


def shape_there(path: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Of the tensor that is our leaf `path`."""
    size = int(np.prod(shape))
    if path.endswith("/kernel"):
        fan_in = size // shape[-1] if _joins(path) else shape[0]
        return (size // fan_in, fan_in)
    return (size,) if path.endswith("/bias") else shape


def _joins(path: str) -> bool:
    """Whether a kernel takes in the heads, [H, K, D]; others are [D, ...]."""
    return path.endswith("attention/output/kernel")
