"""What gives two languages one frame of reference, when the bottom of the model is private?

    python tools/run_study.py --config=configs/frame.py
    python tools/run_study.py --config=configs/frame.py --dry_run     what it costs on this machine

Private layer 1 with: starting values equal or different, 30 % of the tokens in common or none,
positions shared or private. Then private embeddings: the token table alone (positions shared) or
with positions (Sep Emb), equal, different, and degrees between. English docstrings and a twin, 4
layers; 3 to 4 minutes of a core a run, 42 runs. Rows that table1.py:tiny has too need not be
trained again: --adopt=studies/table1-tiny .

Expected: no published figure. Ours, three seeds: docs/studies/frame.md. Equal starts or tokens in
common each keep the languages together above a private layer 1; shared positions do above private
tokens; with nothing nothing is left.
"""

from xl_jax.studies.study import Study

BASE = ["--config.model.layers=4", "--config.steps=8000"]
STARTS = {"equal": ["--config.private_init=equal"], "different": []}
ANCHORS = {"anchors": ["--config.corpora.twin=twin:en#shift=0.7"], "no_anchors": []}
POSITIONS = {"shared_positions": "sep_l1", "private_positions": "sep_positions_l1"}
DEGREES = {
    "equal": "equal",
    "0.1": "(('.*',0.1),)",
    "0.5": "(('.*',0.5),)",
    "different": "different",
}

LAYER_1 = {
    f"l1_{start}_{tokens}_{positions}": [*BASE, f"--config.sharing={sharing}", *a, *b]
    for start, a in STARTS.items()
    for tokens, b in ANCHORS.items()
    for positions, sharing in POSITIONS.items()
}
EMBEDDINGS = {
    f"{sharing}_{name}": [*BASE, f"--config.sharing={sharing}", f"--config.private_init={degree}"]
    for sharing, degrees in (
        ("sep_tokens", ("equal", "different")),
        ("sep_emb", ("equal", "0.1", "0.5", "different")),
    )
    for name, degree in ((x, DEGREES[x]) for x in degrees)
}

STUDY = Study(
    title="What gives a frame of reference",
    config="configs/tiny.py",
    rows=LAYER_1 | EMBEDDINGS,
    seeds=(0, 1, 2),
    reference="l1_equal_anchors_shared_positions",
)
