"""Every knob of a run, once: frozen dataclasses, checked when they are made.

A file in `configs/` fills them through an `ml_collections.ConfigDict` (so that the command line can
override any field); `from_dict` turns that into these types at the border and nowhere else.
Sizes count tokens or rows; rates and shares are in 0..1; a seed of the run decides every random
choice.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from xl_jax.errors import InputError, unknown


def _choice(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise unknown(what, value, known)


def _check(holds: bool, message: str) -> None:
    if not holds:
        raise InputError(message)


def pairs(what: str, text: str) -> dict[str, str]:
    """`name=value,name=value` as a dictionary; InputError where a part is not of that form."""
    parts = [part.partition("=") for part in filter(None, text.split(","))]
    for name, found, value in parts:
        _check(bool(name and found and value), f"{what} = {text!r}: not name=value,name=value")
    return {name: value for name, _, value in parts}


@dataclass(frozen=True)
class Vocab:
    mode: str = "joint"  # joint: one model; union: one a language, equal pieces are one row;
    # disjoint: one a language, no piece in common; local: one a language, each numbering its own
    # pieces (needs private embeddings)
    type: str = "bpe"  # SentencePiece model: bpe, unigram, word or char
    size: int = 8000  # pieces of one SentencePiece model, special tokens included
    sizes: str = ""  # other sizes for some languages' own models: "zh=16000,fr=12000"
    specials: str = "shared"  # rows of the special tokens: shared, or private to each language
    sample: int = 50_000_000  # most characters of text that one SentencePiece model learns from
    alpha: float = 0.7  # languages' shares of a joint model's training text, see Batch.alpha

    def __post_init__(self) -> None:
        _choice("vocab.mode", self.mode, ("joint", "union", "disjoint", "local"))
        _choice("vocab.type", self.type, ("bpe", "unigram", "word", "char"))
        _choice("vocab.specials", self.specials, ("shared", "private"))
        _check(self.sample >= 1, f"vocab.sample is {self.sample}, not positive")
        pairs("vocab.sizes", self.sizes)


@dataclass(frozen=True)
class Clean:
    """What is done to every line of text, in this order. A corpus spec's `script` comes after."""

    nfc: bool = True  # Unicode normal form C
    control: bool = True  # control characters dropped, white space made single blanks
    shortest: int = 0  # characters of the lines that are kept; 0 = no limit
    longest: int = 0
    duplicates: bool = False  # of equal lines in a corpus only the first is kept


@dataclass(frozen=True)
class Anchors:
    """Extra anchors: training text with words replaced by their translations (paper 4.2)."""

    dictionaries: str = ""  # "en-fr=FILE,en-ru=FILE": MUSE pairs, or a third column of weights
    both: bool = True  # each dictionary is read in both directions
    rate: float = 0.3  # a word that has a translation is replaced with this probability
    cap: float = 0.15  # largest share of the words replaced
    copies: int = 1  # differently switched copies of the text; epoch e reads copy e mod copies

    def __post_init__(self) -> None:
        pairs("anchors.dictionaries", self.dictionaries)
        _check(0 <= self.rate <= 1, f"anchors.rate is {self.rate}, not within [0, 1]")
        _check(0 < self.cap <= 1, f"anchors.cap is {self.cap}, not within (0, 1]")
        _check(self.copies >= 1, f"anchors.copies is {self.copies}, not positive")


@dataclass(frozen=True)
class Data:
    dir: str = ""  # where vocabulary and token shards go; "" = inside the run directory
    windows: str = "stream"  # stream: lines joined by </s> and cut (paper); line: one line a row
    length: int = 256  # tokens of a row
    heldout: float = 0.01  # share of documents kept from training, by a hash of the document
    test: float = 0.0  # a further share, kept from both
    tokens: int = 0  # training tokens kept of a language: 0 = all, -1 = as many as the smallest has

    def __post_init__(self) -> None:
        _choice("data.windows", self.windows, ("stream", "line"))
        _check(self.length >= 4, f"data.length is {self.length}, at least 4 is needed")
        _check(0 < self.heldout < 0.5, f"data.heldout is {self.heldout}, not within (0, 0.5)")
        _check(0 <= self.test < 0.5, f"data.test is {self.test}, not within [0, 0.5)")
        _check(self.tokens >= -1, f"data.tokens is {self.tokens}: a number, 0 or -1")


@dataclass(frozen=True)
class Model:
    layers: int = 8
    heads: int = 12
    width: int = 768
    ffn: int = 3072
    positions: int = 512  # longest row
    norm: str = "post"  # post (XLM, BERT) or pre
    norm_eps: float = 1e-12  # added to LayerNorm's variance (XLM, BERT; RoBERTa: 1e-5)
    activation: str = "gelu"  # of the feed-forward layers: gelu (exact), gelu_tanh or relu
    mlm_transform: bool = False  # BERT's output layer: linear, activation, LayerNorm, tied softmax
    dropout: float = 0.1
    attention_dropout: float = 0.1
    init_token: float = 0.0  # standard deviations; 0 = XLM's: width^-0.5 for token and position,
    init_position: float = 0.0
    init_body: float = 0.0  # uniform in +-fan_in^-0.5 for the other kernels and biases
    language_embedding: bool = False  # one private vector a language (XLM yes, XLM-R no)
    softmax: str = "all"  # over all pieces (paper) or own: those of the row's language
    dtype: str = "float32"  # of the matrix products: float32 or bfloat16
    attention: str = "xla"  # or cudnn: the fused kernel of NVIDIA GPUs (bfloat16, no dropout in it)
    remat: bool = False  # layers are computed again in the backward pass: less memory, more time

    def __post_init__(self) -> None:
        _choice("model.attention", self.attention, ("xla", "cudnn"))
        _choice("model.norm", self.norm, ("post", "pre"))
        _choice("model.activation", self.activation, ("gelu", "gelu_tanh", "relu"))
        _choice("model.softmax", self.softmax, ("all", "own"))
        _choice("model.dtype", self.dtype, ("float32", "bfloat16"))
        _check(self.layers >= 1, f"model.layers is {self.layers}, at least 1 is needed")
        _check(
            self.heads >= 1 and self.width % self.heads == 0,
            f"model.heads = {self.heads} does not divide model.width = {self.width}",
        )
        if self.attention == "cudnn":
            _check(
                self.dtype == "bfloat16" and self.attention_dropout == 0,
                "model.attention = 'cudnn' needs model.dtype = 'bfloat16' and "
                f"model.attention_dropout = 0, not {self.dtype!r} and {self.attention_dropout}",
            )


@dataclass(frozen=True)
class Masking:
    rate: float = 0.15  # share of a row's tokens to predict
    mask: float = 0.8  # of those: shown as the mask symbol,
    keep: float = 0.1  # as themselves,
    random: float = 0.1  # as a random piece
    pool: str = "all"  # random pieces come from all languages, or own: the row's language
    # (the paper's Sep runs, section 4.3)

    def __post_init__(self) -> None:
        _choice("masking.pool", self.pool, ("all", "own"))
        _check(0 < self.rate < 1, f"masking.rate is {self.rate}, not within (0, 1)")
        total = self.mask + self.keep + self.random
        _check(abs(total - 1) < 1e-6, f"masking.mask + keep + random is {total:g}, not 1")


@dataclass(frozen=True)
class Batch:
    accum: int = 1  # sequential parts of a step whose gradients add up
    slots: int = 8  # parallel parts; all rows of a slot are of one language
    rows: int = 96
    alpha: float = 0.7  # a slot's language l is drawn with p ~ (share of lines)^alpha
    by: str = "lines"  # what a language's share counts: lines (paper) or tokens
    schedule: Any = ()  # other shares by phase, instead: ((end, shares), ...), e.g. for two
    # languages ((0.5, (0.9, 0.1)), (1.0, (0.5, 0.5))); ends are shares of the run's steps
    draw: str = "independent"  # each slot alone (paper), or systematic: the same p, least variance

    def __post_init__(self) -> None:
        _choice("batch.draw", self.draw, ("independent", "systematic"))
        _choice("batch.by", self.by, ("lines", "tokens"))
        for name in ("accum", "slots", "rows"):
            _check(getattr(self, name) >= 1, f"batch.{name} is {getattr(self, name)}, not positive")


@dataclass(frozen=True)
class Optim:
    lr: float = 1e-4
    schedule: str = "inverse_sqrt"  # inverse_sqrt (paper), cosine (to 0 at the last step), constant
    warmup: int = 30_000  # steps of linear increase
    b1: float = 0.9
    b2: float = 0.999
    eps: float = 1e-6
    decay: float = 0.01  # decoupled weight decay of the leaves that decay_rules call "decay"
    decay_rules: Any = ((".*/(bias|scale)", "none"), (".*", "decay"))
    clip: float = 5.0  # largest gradient norm; 0 = no clipping

    def __post_init__(self) -> None:
        _choice("optim.schedule", self.schedule, ("inverse_sqrt", "cosine", "constant"))
        _check(self.lr > 0, f"optim.lr is {self.lr}, not positive")


@dataclass(frozen=True)
class Mesh:
    """Devices in each direction, and which direction divides which dimension of a parameter."""

    data: int = 1  # divides a step's slots
    fsdp: int = 1  # divides a slot's rows, and parameters
    tensor: int = 1  # divides vocabulary, heads and feed-forward width
    rules: Any = (
        ("embed/token", ("tensor", "fsdp")),
        ("mlm/bias", ("tensor",)),
        (".*/attention/(query|key|value)/kernel", ("fsdp", "tensor")),
        (".*/attention/(query|key|value)/bias", ("tensor",)),
        (".*/attention/output/kernel", ("tensor", None, "fsdp")),
        (".*/ffn/up/kernel", ("fsdp", "tensor")),
        (".*/ffn/up/bias", ("tensor",)),
        (".*/ffn/down/kernel", ("tensor", "fsdp")),
        (".*", ()),
    )

    def __post_init__(self) -> None:
        for name in ("data", "fsdp", "tensor"):
            _check(getattr(self, name) >= 1, f"mesh.{name} is {getattr(self, name)}, not positive")


@dataclass(frozen=True)
class EvalOptions:
    """What training measures at its end, and `eval.py` by default (all layers)."""

    source: str = ""  # language pair; "" = the first language with each of the others
    target: str = ""
    sentences: int = 1000  # gold pairs of held-out sentences
    length: int = 0  # tokens a gold sentence is cut to, shorter ones left out; 0 = whole sentences
    words: int = 1000  # gold word pairs, most frequent first
    pairs: str = ""  # real sentence pairs instead: "SOURCE_FILE,TARGET_FILE", line by line
    candidates: str = ""  # retrieval: file of further target sentences, a line each
    dictionary: str = ""  # real word pairs instead: a file of two columns, source and target
    map: str = ""  # learn a map between the encoders from these sentence pairs (as `pairs`)
    map_dictionary: str = ""  # and from these word pairs (as `dictionary`)
    links: str = ""  # word alignment of the pairs in `map`, Pharaoh format; "" = by eflomal
    normalise: str = "iterative"  # of both spaces before a map: iterative (paper), centre, none
    layers: tuple[int, ...] = ()  # of retrieval, translation, tasks through a map; () = all
    text: int = 500_000  # lines of training text that averages of words are taken over (paper)
    types: int = 200_000  # most frequent words of it, of each language
    fasttext: int = 0  # width of fastText vectors trained on the same text; 0 = none (paper: 300)
    kernel: str = "linear"  # of CKA: linear or rbf
    centred: bool = True  # CKA with centring
    debiased: bool = False  # CKA without the bias of few items

    def __post_init__(self) -> None:
        _choice("probe.normalise", self.normalise, ("iterative", "centre", "none"))
        _choice("probe.kernel", self.kernel, ("linear", "rbf"))
        for name in ("sentences", "words", "text", "types"):
            _check(getattr(self, name) >= 1, f"probe.{name} is {getattr(self, name)}, not positive")


@dataclass(frozen=True)
class Config:
    languages: tuple[str, ...] = ("en", "fr")
    corpora: Mapping[str, str] = field(default_factory=dict)  # language -> corpus spec
    sharing: Any = "all_shared"  # a preset's name or ordered (pattern, value) pairs
    private_init: str = "different"  # private variants start different, or equal
    seed: int = 0
    steps: int = 416_667
    steps_per_call: int = 1  # steps in one call of the device; logs and saves fall between calls
    log_every: int = 100
    eval_every: int = 5000
    checkpoint_every: int = 5000
    keep: int = 2  # newest checkpoints kept
    skip_nonfinite: bool = False  # leave out updates that are not finite, and count them, not stop
    best: str = ""  # also keep the step of this language's smallest held-out perplexity, for eval
    vocab: Vocab = Vocab()
    clean: Clean = Clean()
    anchors: Anchors = Anchors()
    data: Data = Data()
    model: Model = Model()
    masking: Masking = Masking()
    batch: Batch = Batch()
    optim: Optim = Optim()
    mesh: Mesh = Mesh()
    probe: EvalOptions = EvalOptions()

    def __post_init__(self) -> None:
        _choice("private_init", self.private_init, ("different", "equal"))
        _check(len(self.languages) >= 1, "languages is empty")
        _check(len(set(self.languages)) == len(self.languages), "languages repeat themselves")
        for language in self.languages:
            if language not in self.corpora:
                raise unknown("language without a corpus", language, self.corpora)
        for language in self.corpora:
            if language not in self.languages:
                raise unknown("language of a corpus", language, self.languages)
        _check(
            self.data.length <= self.model.positions,
            f"data.length = {self.data.length} is beyond model.positions = {self.model.positions}",
        )
        for name in ("log_every", "eval_every", "checkpoint_every", "steps"):
            value = getattr(self, name)
            _check(
                value >= 1 and value % self.steps_per_call == 0,
                f"{name} = {value} is not a positive multiple of steps_per_call = "
                f"{self.steps_per_call}",
            )
        known = self.languages
        if self.best and self.best not in known:
            raise unknown("language to judge checkpoints by", self.best, known)
        named = [*pairs("vocab.sizes", self.vocab.sizes)]
        named += [x for p in pairs("", self.anchors.dictionaries) for x in p.split("-", 1)]
        for language in named:
            if language not in known:
                raise unknown("language in vocab.sizes or anchors.dictionaries", language, known)
        end = 0.0
        for phase in self.batch.schedule:
            good = len(phase) == 2 and len(phase[1]) == len(known) and end < phase[0] <= 1
            _check(
                good and min(phase[1]) >= 0 and sum(phase[1]) > 0,
                f"batch.schedule: {phase!r} is not (end, shares of {len(known)} languages) with "
                f"ends rising to 1",
            )
            end = phase[0]
        _check(end in (0.0, 1.0), f"batch.schedule ends at {end}, not at 1")
