"""Maps between two encoders' spaces: learnt from sentence pairs; kept in the run directory."""

from collections.abc import Iterable

from xl_jax.analysis import procrustes
from xl_jax.analysis.procrustes import Map
from xl_jax.evaluate.context import Context
from xl_jax.evaluate.pairs import Pairs
from xl_jax.file_names import file_name
from xl_jax.json_files import fingerprint

ROTATIONS = ("procrustes", "identity", "random")  # learnt; no rotation; the control
OPTIONS = (
    "map",
    "map_dictionary",
    "links",
    "normalise",
    "text",
    "types",
    "fasttext",
    "special_tokens",
)


def sentence_maps(
    context: Context, source: str, target: str, pairs: Pairs, weights: tuple[str, str]
) -> dict[str, list[Map]]:
    """By kind of rotation, for every layer, the map of the target's space into the source's,
    learnt from sentence pairs.

    Args:
      weights: of the source's and the target's encoder, see `Encoders`.

    Raises:
      InputError: spaces of different width.
    """
    x = context.source.sentences(weights[0], source, pairs.source)
    y = context.target.sentences(weights[1], target, pairs.target)
    normalise, layers = context.options.normalise, range(min(len(x), len(y)))
    maps = {
        kind: [procrustes.fit(y[i], x[i], normalise, kind, seed=i) for i in layers]
        for kind in ROTATIONS
    }
    if weights == ("trained", "trained"):
        save_maps(context, maps["procrustes"], "sentences", source, target)
    return maps


def save_maps(context: Context, maps: Iterable[Map], of: str, source: str, target: str) -> None:
    """Writes the maps of the target's space into the source's, a file a layer from 0 on, for
    `procrustes.load`: eval/maps/OF-TARGET-SOURCE-DIGEST/layer_N.npz, see `digest`."""
    name = f"{of}-{file_name(target)}-{file_name(source)}-{digest(context)}"
    folder = context.run.folder / "eval" / "maps" / name
    if not folder.exists():
        context.log(f"maps: {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    for layer, learnt in enumerate(maps):
        learnt.save(folder / f"layer_{layer}.npz")


def digest(context: Context) -> str:
    """Of what the maps depend on."""
    options = {name: x for name, x in context.options.request.items() if name in OPTIONS}
    return fingerprint(context.request | {"probe": options})
