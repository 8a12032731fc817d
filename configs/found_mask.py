"""Masks that tools/find_mask.py proposes, beside the paper's rows with as many private parameters.

    python train.py --config.seed=100 --config.keep_curve=True --workdir=runs/shared
    python tools/find_mask.py --workdir=runs/shared --budget=12800      and with 34816, 47600
    python tools/run_study.py --config=configs/found_mask.py
    python tools/run_study.py --config=configs/found_mask.py:ud/en_ewt-ud-{split}.conllu \\
      --out=studies/found_mask

The main job under Sep L1, Sep Emb, and both; and under the three masks that the gradients of a run
with everything shared propose for the same budgets. That run has another seed than these. With a
treebank of English also the transfer of tags, by a linear classifier.

Expected: no published figure. Cost: 1 to 2 minutes of a core a run, 21 runs. Ours, three seeds:
docs/studies/found_mask.md.
"""

from configs.table1 import probe
from xl_jax.studies.study import Study

TOKENS = "embed/token|mlm/bias"
NORMS = (
    *("layer_1/attention_norm/.*", "layer_1/ffn_norm/.*"),
    *("layer_2/attention_norm/.*", "layer_2/ffn_norm/.*"),
    *("layer_3/attention_norm/.*", "layer_3/ffn_norm/.*", "final_norm/.*"),
)
FOUND = {  # budget -> what is private
    12800: ("layer_3/ffn/.*", "layer_2/attention/.*", NORMS[2], NORMS[3], NORMS[4]),
    34816: (TOKENS, *NORMS),
    47600: (TOKENS, "layer_3/ffn/.*", "layer_2/attention/.*", *NORMS),
}


def rules(private: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    return (*((pattern, "private") for pattern in private), (".*", "shared"))


def get_study(treebank: str = "") -> Study:
    return Study(
        title="Masks that gradients propose",
        config="configs/tiny.py",
        rows={
            "all_shared": ["--config.sharing=all_shared"],
            "sep_l1": ["--config.sharing=sep_l1"],
            "found_as_sep_l1": [f"--config.sharing={rules(FOUND[12800])}"],
            "sep_emb": ["--config.sharing=sep_emb"],
            "found_as_sep_emb": [f"--config.sharing={rules(FOUND[34816])}"],
            "sep_emb_l1": ["--config.sharing=sep_emb_l1"],
            "found_as_sep_emb_l1": [f"--config.sharing={rules(FOUND[47600])}"],
        },
        seeds=(0, 1, 2),
        evaluations=probe(treebank),
        reference="all_shared",
    )
