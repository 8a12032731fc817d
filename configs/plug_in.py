"""A third language learns to use a finished model of two (Artetxe et al. 2020, at the size of the
main job): its embeddings are trained, the body stays as it was trained on the others.

    python train.py
    python train.py --config=configs/plug_in.py --workdir=runs/plug_in
    python train.py --config=configs/plug_in.py:random_body --workdir=runs/random_body

The argument says what the third language, another twin of English, meets:

    embeddings    the frozen body of runs/tiny (--config.start for another run)
    layer_1       the same, and a first layer of its own that starts as English's
    random_body   a frozen body that nobody trained: what embeddings learn by themselves
    joint         all three are trained together from the start, for comparison

Cost: 1 to 2 minutes each on two CPU cores. Figures: docs/start.md. The documents of English are
divided among three languages here and among two in runs/tiny, so the third language reads
documents, in pieces of its own, that one of the others has read.
"""

from ml_collections import config_dict

from configs.tiny import get_config as tiny
from xl_jax.errors import unknown

LANGUAGES = ("en", "twin", "third")
OLD = (("en", "twin"), ("third",))  # one variant for the languages that are there, one for the new
PIECES = ("embed/token", "mlm/bias")  # what a language has that has no token in common
KINDS = ("embeddings", "layer_1", "random_body", "joint")


def get_config(kind: str = "embeddings") -> config_dict.ConfigDict:
    if kind not in KINDS:
        raise unknown("argument of configs/plug_in.py", kind, KINDS)
    own = PIECES if kind != "layer_1" else (*PIECES, "layer_1/.*")
    config = tiny()
    config.languages = LANGUAGES
    config.corpora = {"en": "docstrings:", "twin": "twin:en", "third": "twin:en"}
    if kind == "joint":
        return config
    config.sharing = (*((pattern, OLD) for pattern in own), (".*", "shared"))
    config.freeze = (*((pattern, "trained") for pattern in own), (".*", "frozen"))
    config.batch.schedule = ((1.0, (0, 0, 1)),)  # only the third language is trained
    if kind != "random_body":
        config.start = "runs/tiny"
    if kind == "layer_1":
        config.start_rules = (("layer_1/.*", "en"), (".*", "start"))
    return config
