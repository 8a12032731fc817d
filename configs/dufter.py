"""Dufter and Schuetze (EMNLP 2020): what makes a small model of English and its copy multilingual.

    python tools/run_study.py --config=configs/dufter.py
    python tools/run_study.py --config=configs/dufter.py:small

SIZE: tiny is configs/tiny.py with their choices (parallel text, a softmax over both languages,
random words of both), minutes of a core a run; small is near their model (12 layers of width 64),
hours of a core a run, not run yet. What they cost on a machine: --dry_run . Text: docstrings in
place of their New Testament, BPE in place of WordPiece.

Rows: language-specific positions (lang-pos), private special tokens (shift-special), no random
words in the masking (no-random), the copy's order inverted (inv-order), other sentences for each
language (no-parallel), a wider model (overparam), and their combinations.

Measured: `eval.py --task=twins`, their multilinguality score at two layers and over all layers, at
every checkpoint that is kept.

Expected (their table 1, means of five seeds): original high, lang-pos much lower, all three lower
still, the inverted order near 0; with overparam .01 (lang-pos) and .00 (all three). Ours of tiny,
three seeds: docs/studies/dufter.md; there the wider model stays on the plateau of its loss.
"""

from typing import Any

from xl_jax.analysis.expected import Expected
from xl_jax.errors import unknown
from xl_jax.studies.study import Study

LANG_POS = "--config.sharing=sep_positions"
SHIFT_SPECIAL = "--config.vocab.specials=private"
NO_RANDOM = ["--config.masking.mask=0.9", "--config.masking.keep=0.1", "--config.masking.random=0"]
INVERTED = "--config.corpora.twin=twin:en#text=parallel,order=invert"
SOURCE = "Dufter and Schuetze 2020, table 1"
SIZES: dict[str, Any] = {  # flags, and those of overparam
    "tiny": (
        [],
        ["--config.model.width=128", "--config.model.ffn=512"],
    ),
    "small": (
        [
            "--config.model.layers=12",
            "--config.model.width=64",
            "--config.model.ffn=256",
            "--config.vocab.size=2048",
            "--config.batch.rows=128",
            "--config.steps=13500",
        ],
        ["--config.model.width=768", "--config.model.heads=12", "--config.model.ffn=3072"],
    ),
}


def get_study(size: str = "tiny") -> Study:
    if size not in SIZES:
        raise unknown("size of dufter.py", size, SIZES)
    base, wider = SIZES[size]
    base = ["--config.model.softmax=all", "--config.masking.pool=all", *base]
    three = [LANG_POS, SHIFT_SPECIAL, *NO_RANDOM]
    parallel = "--config.corpora.twin=twin:en#text=parallel"
    rows = {
        "original": [],
        "lang_pos": [LANG_POS],
        "shift_special": [SHIFT_SPECIAL],
        "no_random": NO_RANDOM,
        "lang_pos_shift_special": [LANG_POS, SHIFT_SPECIAL],
        "lang_pos_no_random": [LANG_POS, *NO_RANDOM],
        "shift_special_no_random": [SHIFT_SPECIAL, *NO_RANDOM],
        "all_three": three,
        "overparam": wider,
        "lang_pos_overparam": [LANG_POS, *wider],
        "all_three_overparam": [*three, *wider],
        "inv_order": [INVERTED],
        "inv_order_all_three": [INVERTED, *three],
        "no_parallel": ["--config.corpora.twin=twin:en"],
    }
    return Study(
        title=f"What makes a copy of English align, {size}",
        config="configs/tiny.py",
        rows={row: [*base, *merged(parallel, flags)] for row, flags in rows.items()},
        seeds=(0, 1, 2),
        evaluations={"twins": ["--task=twins"]},
        expected=[
            Expected("lang_pos_overparam", "", "twins", "multilinguality", 0.01, SOURCE),
            Expected("all_three_overparam", "", "twins", "multilinguality", 0.0, SOURCE),
        ],
    )


def merged(parallel: str, flags: list[str]) -> list[str]:
    """The row's flags, after the parallel text where it names no other text of the copy."""
    own_text = any(x.startswith("--config.corpora.twin=") for x in flags)
    return flags if own_text else [parallel, *flags]
