"""Draw sharing masks: which parts of a three-layer model two languages share, read from the masks.

python tools/draw_masks.py             writes docs/masks.svg
python tools/draw_masks.py --check     exit code 1 where that file is not up to date
"""

from collections.abc import Iterator
from pathlib import Path

from tools import svg

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "masks.svg"
LANGUAGES = ("en", "fr")
MASKS = {
    "all_shared": "one multilingual model",
    "sep_emb": "private embeddings (Sep Emb)",
    "sep_l1_2": "private layers 1 and 2 (Sep L1-2)",
    "all_private": "two monolingual models",
}
PARTS = ("mlm", "layer_3", "layer_2", "layer_1", "embed")
NAMES = ("output softmax", "layer 3", "layer 2", "layer 1", "embeddings")
FILLS = {"shared": "#e3d5ee", "en": "#cfe5f1", "fr": "#fbe3c0"}
WIDTH, HEIGHT, GAP, TOP = 210, 30, 16, 62  # of a stack, a part, between them, titles; pixels


def shares(preset: str) -> dict[str, bool]:
    """Whether the languages share a part, for each part of the model. The output's softmax is tied
    to the embeddings."""
    from xl_jax.model.sharing import make_mask

    paths = {part: {"kernel": 0} for part in PARTS if part.startswith("layer")}
    embed = {"token": 0, "position": 0, "norm": 0}
    template = {"embed": embed, "mlm": {"bias": 0}, **paths}
    mask = make_mask(preset, template, LANGUAGES)
    found = {}
    for part in PARTS:
        variants = set(mask[part].values())
        if len(variants) > 1:
            raise ValueError(f"{preset}: {part} is shared in part, which is not drawn")
        found[part] = len(set(variants.pop())) == 1
    return found


def draw() -> str:
    """The picture as SVG."""
    width = len(MASKS) * (WIDTH + 2 * GAP)
    height = TOP + len(PARTS) * (HEIGHT + 6) + 40

    def shapes() -> Iterator[str]:
        for i, (preset, words) in enumerate(MASKS.items()):
            left = float(GAP + i * (WIDTH + 2 * GAP))
            yield svg.text(left + WIDTH / 2, 24, preset, 14, bold=True)
            yield svg.text(left + WIDTH / 2, 42, words)
            half = (WIDTH - GAP) / 2
            for row, shared in enumerate(shares(preset).values()):
                y = TOP + row * (HEIGHT + 6)
                columns = {"shared": (left, float(WIDTH))}
                if not shared:
                    columns = {"en": (left, half), "fr": (left + half + GAP, half)}
                for who, (x, wide) in columns.items():
                    yield svg.box(x, y, wide, HEIGHT, FILLS[who])
                    yield svg.text(x + wide / 2, y + 19, NAMES[row])
            for language, x in zip(
                LANGUAGES, (left + half / 2, left + WIDTH - half / 2), strict=True
            ):
                yield svg.text(x, height - 18, {"en": "English", "fr": "French"}[language], 12)

    return svg.document(width, height, shapes())


if __name__ == "__main__":
    svg.main(__doc__ or "", "python tools/draw_masks.py", PICTURE, draw)
