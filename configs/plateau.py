"""Does a model that shares nothing leave the plateau of its loss as often as one that shares all?

    python tools/run_study.py --config=configs/plateau.py
    python tools/report.py --study=studies/plateau

Early in training the loss stands still near that of unigrams; then it falls. Everything private is
two independent models, each with half of the rows and so half as much text a step; everything
shared is one with all of them. 16 runs of the size of `python train.py`. Look at held-out
perplexity by seed, and at its curve over training.

Expected: no published figure.
"""

from xl_jax.studies.study import Study

STUDY = Study(
    title="Leaving the plateau",
    config="configs/tiny.py",
    rows={
        "shared": ["--config.eval_every=200"],
        "private": ["--config.eval_every=200", "--config.sharing=all_private"],
    },
    seeds=tuple(range(8)),
    reference="shared",
)
