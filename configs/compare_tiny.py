"""Swap the mask, see the structure go: the main job under seven sharing masks, three seeds each.

python tools/run_study.py --config=configs/compare_tiny.py --out=studies/compare_tiny
python tools/run_study.py --config=configs/compare_tiny.py:decoder      configs/decoder.py so
"""

from xl_jax.errors import unknown
from xl_jax.studies.study import Study

CONFIGS = {"masked": "configs/tiny.py", "decoder": "configs/decoder.py"}


def get_study(objective: str = "masked") -> Study:
    if objective not in CONFIGS:
        raise unknown("objective of compare_tiny.py", objective, CONFIGS)
    return Study(
        title="English and its twin: no token and no sentence in common",
        config=CONFIGS[objective],
        rows={
            "all shared": ["--config.sharing=all_shared"],
            "private positions": ["--config.sharing=sep_positions"],
            "Sep Emb": ["--config.sharing=sep_emb"],
            "Sep L1": ["--config.sharing=sep_l1"],
            "Sep L1-2 (all but the top)": ["--config.sharing=sep_l1_2"],
            "Sep Emb + L1-2": ["--config.sharing=sep_emb_l1_2"],
            "all private": ["--config.sharing=all_private"],
        },
        seeds=(0, 1, 2),
    )
