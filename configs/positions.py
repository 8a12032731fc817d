"""Table 1's rows where there are no learned positions to separate: learned, rotary, none.

    python tools/run_study.py --config=configs/positions.py
    python tools/run_study.py --config=configs/positions.py --dry_run    what it costs here
    python tools/run_study.py --config=configs/positions.py:ud/en_ewt-ud-{split}.conllu \\
      --out=studies/positions

Private tokens align where learned positions are shared; where these are private too (Sep Emb) and
starts differ, they seldom do (docs/studies/frame.md). A model with rotary positions, or none, has
no positions to separate: its Sep Emb is the token table and the output bias. Without positions the
order of tokens does not count. English docstrings and a twin, 4 layers, 72 runs of about 4 minutes
of a core; with a treebank of English also the transfer of tags, by a linear classifier. Rows with
learned positions that table1.py:tiny or frame.py has need not be trained again:
--adopt=studies/table1-tiny .

Expected: no published figure. If private positions were what breaks Sep Emb with different starts,
it would be near Default under `rope`. It is not: shared learned positions are a tie, and rotary
ones are none (docs/studies/positions.md, three seeds). Dufter and
Schuetze 2020 found that a small model without shared learned positions is hardly multilingual.
"""

from configs.table1 import probe
from xl_jax.studies.study import Study

BASE = ["--config.model.layers=4", "--config.steps=8000"]
EQUAL = "--config.private_init=equal"
ROWS = {
    "default": ["--config.corpora.twin=twin:en#shift=0.7", "--config.sharing=all_shared"],
    "no_anchors": ["--config.sharing=all_shared"],
    "sep_emb_equal": ["--config.sharing=sep_emb", EQUAL],
    "sep_emb_different": ["--config.sharing=sep_emb"],
    "sep_l1_equal": ["--config.sharing=sep_l1", EQUAL],
    "sep_l1_different": ["--config.sharing=sep_l1"],
    "sep_emb_l1_equal": ["--config.sharing=sep_emb_l1", EQUAL],
    "sep_emb_l1_different": ["--config.sharing=sep_emb_l1"],
}
ENCODINGS = {
    encoding: [*BASE, f"--config.model.position_encoding={encoding}"]
    for encoding in ("learned", "rope", "none")
}


def get_study(treebank: str = "") -> Study:
    return Study(
        title="Table 1 without learned positions",
        config="configs/tiny.py",
        rows={
            f"{row}_{encoding}": [*base, *flags]
            for encoding, base in ENCODINGS.items()
            for row, flags in ROWS.items()
        },
        seeds=(0, 1, 2),
        evaluations=probe(treebank),
        reference="default_learned",
    )
