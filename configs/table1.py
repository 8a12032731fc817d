"""Table 1 of the paper: which parameters the languages share, and what they have in common.

    python tools/run_study.py --config=configs/table1.py:tiny
    python tools/run_study.py --config=configs/table1.py:small_cpu
    python tools/run_study.py --config=configs/table1.py:small_cpu,en-fr+en-ru,'my/{language}/*.txt'
    python tools/run_study.py --config=configs/table1.py:small
    python tools/run_study.py --config=configs/table1.py:paper --executor=slurm ...

SIZE[,PAIRS[,FILES]]: pairs are joined by +; FILES are text files in place of the size's own text.

size       model and text                                         cost of a run
tiny       4 x 32, English docstrings and a twin, no download     3 to 4 minutes of a CPU core
small_cpu  4 x 128 (configs/bilingual_cpu.py), text files         half an hour of a CPU core
small      8 x 256 (configs/small.py), two Wikipedias             not run yet
paper      8 x 768 (configs/paper.py), two Wikipedias             not run; paper: 3 days of 8 GPUs

Expected: the paper's figures (ACL 2020, Table 1), in `expected`. Where a size has 4 layers, the
paper's lower 3 of 8 are layer 1, and its lower 6 of 8 are layers 1 to 3. At `tiny` each row has the
mean over the paper's three pairs beside it, of which only the order and the differences count.

The paper's words. Default: a joint vocabulary. "40k/40k": one vocabulary a language; equal pieces
are one row (default anchors), or none is (no anchors). Extra anchors: training text with words
replaced by a dictionary's translations. Sep: private parts; random words of the masking are then of
the row's own language.
"""

from collections.abc import Iterable, Mapping

from xl_jax.errors import InputError, unknown
from xl_jax.studies.study import Expected, Study

SOURCE = "Conneau et al. 2020, Table 1"
LANGUAGES = ("fr", "ru", "zh")
TASKS = {"nli": "accuracy", "ner": "f1", "parsing": "las"}
# Percent: XNLI of fr, ru, zh; NER; LAS.
PAPER = {
    "default": ((73.6, 68.7, 68.3), (79.8, 60.9, 63.6), (73.2, 56.6, 28.8)),
    "wiki_cc": ((74.2, 65.8, 66.5), (74.0, 49.6, 61.9), (71.3, 54.8, 25.2)),
    "no_anchors": ((72.1, 67.5, 67.7), (74.0, 57.9, 65.0), (72.3, 56.2, 27.4)),
    "default_anchors": ((74.0, 68.1, 68.9), (76.8, 56.3, 61.2), (73.0, 57.0, 28.3)),
    "extra_anchors": ((74.0, 69.8, 72.1), (76.1, 59.7, 66.8), (73.3, 56.9, 29.2)),
    "sep_emb": ((72.7, 63.6, 60.8), (75.5, 57.5, 59.0), (71.7, 54.0, 27.5)),
    "sep_l1_3": ((72.4, 65.0, 63.1), (74.0, 53.3, 60.8), (69.7, 54.1, 26.4)),
    "sep_l1_6": ((61.9, 43.6, 37.4), (61.2, 23.7, 3.1), (61.7, 31.6, 12.0)),
    "sep_emb_l1_3": ((69.2, 61.7, 56.4), (73.8, 46.8, 53.5), (68.2, 53.6, 23.9)),
    "sep_emb_l1_6": ((51.6, 35.8, 34.4), (56.5, 5.4, 1.0), (50.9, 6.4, 1.5)),
}

# tiny: flags, and the paper's row that it stands for.
ANCHORS = "--config.corpora.twin=twin:en#shift=0.7"  # 30 % of the pieces keep their row
EQUAL = "--config.private_init=equal"
TINY = {
    "default": ([ANCHORS, "--config.sharing=all_shared"], "default"),
    "no_anchors": (["--config.sharing=all_shared"], "no_anchors"),
    "sep_emb_equal": (["--config.sharing=sep_emb", EQUAL], "sep_emb"),
    "sep_l1_equal": (["--config.sharing=sep_l1", EQUAL], "sep_l1_3"),
    "sep_emb_l1_equal": (["--config.sharing=sep_emb_l1", EQUAL], "sep_emb_l1_3"),
    "sep_l1_3_equal": (["--config.sharing=sep_l1_3", EQUAL], "sep_l1_6"),
    "sep_emb_l1_3_equal": (["--config.sharing=sep_emb_l1_3", EQUAL], "sep_emb_l1_6"),
    "all_private_equal": (["--config.sharing=all_private", EQUAL], ""),
    "sep_l1_anchors": ([ANCHORS, "--config.sharing=sep_l1"], "sep_l1_3"),
    "sep_l1_3_anchors": ([ANCHORS, "--config.sharing=sep_l1_3"], "sep_l1_6"),
    "extra_anchors": (
        ["--config.corpora.twin=twin:en#shift=0.4", "--config.sharing=all_shared"],
        "extra_anchors",
    ),
    "sep_emb_different": (["--config.sharing=sep_emb"], "sep_emb"),
    "sep_tokens_different": (["--config.sharing=sep_tokens"], ""),
    "all_private_different": (["--config.sharing=all_private"], ""),
}


def get_study(argument: str = "tiny") -> Study:
    size, *more = argument.split(",", 2)
    if size == "tiny":
        if more:
            raise InputError(f"table1.py:{argument}: tiny has no other pairs")
        return tiny()
    raise unknown("size of table1.py", size, ["tiny"])


def tiny() -> Study:
    return Study(
        title="Table 1 at four layers: English docstrings and their twin",
        config="configs/tiny.py",
        rows={
            row: ["--config.model.layers=4", "--config.steps=8000", *flags]
            for row, (flags, _) in TINY.items()
        },
        seeds=(0, 1, 2, 3, 4),
        reference="default",
        expected=means({row: paper for row, (_, paper) in TINY.items() if paper}),
    )


def means(rows: Mapping[str, str]) -> list[Expected]:
    """The paper's means over its three pairs. `rows`: of the study -> of the paper."""
    return [
        Expected(row, "", task, metric, round(sum(figures) / 300, 4), f"{SOURCE}, mean of 3 pairs")
        for row, paper in rows.items()
        for (task, metric), figures in zip(TASKS.items(), PAPER[paper], strict=True)
    ]


def by_pair(rows: Mapping[str, str], pairs: Iterable[str]) -> list[Expected]:
    """The paper's figures of the pairs that it has. `rows`: of the study -> of the paper."""
    return [
        Expected(row, pair, task, metric, round(figure / 100, 4), SOURCE)
        for row, paper in rows.items()
        for (task, metric), figures in zip(TASKS.items(), PAPER[paper], strict=True)
        for language, figure in zip(LANGUAGES, figures, strict=True)
        for pair in pairs
        if pair == f"en-{language}"
    ]
