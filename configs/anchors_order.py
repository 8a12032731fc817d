"""Tokens in common against word order: a twin of English with 0, 5, 20 or 100 % of its pieces in
common with English, and its words in the same, the inverted, or a random order.

    python tools/run_study.py --config=configs/anchors_order.py

Everything is shared. 36 runs of the size of `python train.py`, whose cost README tells. The share
is of the pieces of the vocabulary, not of the running text. Without an order in common and without
tokens in common nothing is left that ties the languages.

Expected: with tokens in common, an inverted order costs little; without any, it is fatal
(Deshpande et al. 2022, section 4: transliteration and inversion alone cost XNLI 2 and 3 points,
together 19; Dufter and Schuetze 2020, table 1: inverted order without a common token .01). Ours,
three seeds: docs/studies/anchors_order.md; there any other order is fatal.
"""

from xl_jax.studies.study import Study

SHARES = {0: 1.0, 5: 0.95, 20: 0.8, 100: 0.0}  # percent in common -> share of pieces renamed
ORDERS = ("keep", "invert", "permute")

STUDY = Study(
    title="Tokens in common and word order",
    config="configs/tiny.py",
    rows={
        f"{order}_{percent}": [f"--config.corpora.twin=twin:en#shift={renamed},order={order}"]
        for order in ORDERS
        for percent, renamed in SHARES.items()
    },
    seeds=(0, 1, 2),
    evaluations={"twins": ["--task=twins"]},
    reference="keep_0",
)
