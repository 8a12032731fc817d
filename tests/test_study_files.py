"""The studies of configs/: every size makes runs that can be trained, and the paper's figures are
those of the paper."""

import dataclasses
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from xl_jax.errors import InputError
from xl_jax.json_files import fingerprint
from xl_jax.model import sharing
from xl_jax.model.shared_model import SharedModel
from xl_jax.studies.grid import runs
from xl_jax.studies.published import TABLE1
from xl_jax.studies.study import load_study

FILES = {  # file -> rows, pairs
    "table1.py:tiny": (14, 1),
    "table1.py:tiny,ud/en_ewt-ud-{split}.conllu": (14, 1),
    "table1.py:small_cpu": (11, 1),
    "table1.py:small": (10, 3),
    "table1.py:paper": (10, 3),
    "table1.py:tiny8": (14, 1),
    "table1.py:tiny_softmax_all": (14, 1),
    "table1.py:small_cpu,en-fr+en-ru,my/{language}/*.txt": (11, 2),
    "monolingual.py:small_cpu": (3, 1),
    "monolingual.py:tiny,section5": (3, 1),
    "monolingual.py:paper,en-fr+en-zh": (3, 2),
    "dufter.py:tiny": (14, 1),
    "dufter.py:small": (14, 1),
    "anchors_order.py": (12, 1),
    "plateau.py": (2, 1),
    "frame.py": (14, 1),
    "positions.py": (24, 1),
    "family.py": (6, 1),
    "family.py:real": (4, 1),
    "family.py:twins,ud/en-{split}.conllu": (6, 1),
    "found_mask.py": (7, 1),
    "three_way.py:tiny": (5, 1),
    "three_way.py:small_cpu": (5, 1),
    "compare_tiny.py": (7, 1),
    "compare_tiny.py:decoder": (7, 1),
    "positions.py:ud/en-{split}.conllu": (24, 1),
    "found_mask.py:ud/en-{split}.conllu": (7, 1),
}
FORM = (  # decide the paths
    *("layers", "norm", "language_embedding", "position_encoding"),
    *("activation", "bias", "norm_kind", "embed_norm"),
)
TEMPLATES: dict[str, Any] = {}


@pytest.mark.parametrize("name", FILES)
def test_every_row_makes_runs_of_its_own_with_a_mask_that_fits(name: str) -> None:
    study = dataclasses.replace(load_study(f"configs/{name}"), seeds=(0,))
    rows, pairs = FILES[name]
    found = runs(study, Path("x"))
    assert len(found) == rows * pairs
    for run in found:
        model = run.config.model
        paths = fingerprint([*map(vars(model).get, FORM)])
        if paths not in TEMPLATES:
            TEMPLATES[paths] = SharedModel.abstract(run.config).template
        rules = run.config.sharing
        sharing.make_mask(rules, TEMPLATES[paths], run.config.languages)
        if run.config.vocab.mode == "local":
            assert "emb" in rules or rules == "all_private"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("table1.py:huge", "unknown size of table1.py 'huge'.*paper, small, small_cpu, tiny"),
        ("table1.py:small_cpu,en", "'en' is not two languages"),
        ("dufter.py:large", "unknown size"),
        ("monolingual.py:large", "unknown size"),
        ("three_way.py:large", "unknown size"),
        ("family.py:large", "unknown size"),
    ],
)
def test_wrong_arguments(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_study(f"configs/{name}")


def test_the_rows_of_table_1() -> None:
    """Conneau et al. 2020, Table 1: vocabulary, anchors, shared parameters."""
    study = load_study("configs/table1.py:paper")
    size = "--config.vocab.size=40000"
    own, every = "--config.masking.pool=own", "--config.masking.pool=all"
    local, union = "--config.vocab.mode=local", "--config.vocab.mode=union"
    other = "--config.corpora.ru=tfds:c4/multilingual:ru"
    assert {row: study.flags_of(row, "en-ru")[1:] for row in study.rows} == {
        "default": (every,),
        "wiki_cc": (every, other, "--config.data.tokens=-1"),
        "no_anchors": ("--config.vocab.mode=disjoint", size, every),
        "default_anchors": (union, size, every),
        "extra_anchors": (
            "--config.anchors.dictionaries=en-ru=dict/en-ru.txt",
            "--config.anchors.copies=4",
            every,
        ),
        "sep_emb": (local, size, "--config.sharing=sep_emb", own),
        "sep_l1_3": (union, size, "--config.sharing=sep_l1_3", own),
        "sep_l1_6": (union, size, "--config.sharing=sep_l1_6", own),
        "sep_emb_l1_3": (local, size, "--config.sharing=sep_emb_l1_3", own),
        "sep_emb_l1_6": (local, size, "--config.sharing=sep_emb_l1_6", own),
    }


def test_the_figures_of_table_1_give_its_deltas() -> None:
    """The column "delta" of each task: mean over the languages minus Default's."""
    figures = TABLE1
    published = {
        "default": (0.0, 0.0, 0.0),
        "wiki_cc": (-1.4, -6.2, -2.5),
        "no_anchors": (-1.1, -2.4, -0.9),
        "default_anchors": (0.1, -3.3, -0.1),
        "extra_anchors": (1.8, -0.5, 0.3),
        "sep_emb": (-4.5, -4.1, -1.8),
        "sep_l1_3": (-3.4, -5.3, -2.8),
        "sep_l1_6": (-22.6, -38.7, -17.8),
        "sep_emb_l1_3": (-7.8, -10.0, -4.3),
        "sep_emb_l1_6": (-29.6, -47.1, -33.3),
    }
    for row, deltas in published.items():
        ours = [fmean(a) - fmean(b) for a, b in zip(figures[row], figures["default"], strict=True)]
        assert ours == pytest.approx(deltas, abs=0.11), row


def test_expected_values_name_row_pair_and_source() -> None:
    study = load_study("configs/table1.py:small_cpu,en-ru+en-zh")
    found = {(x.row, x.pair, x.task): x.value for x in study.expected}
    assert found["sep_l1_3", "en-ru", "ner"] == 0.237  # the paper's Sep L1-6
    assert found["default", "en-ru", "parsing"] == 0.566
    assert ("default", "en-zh", "nli") in found and ("default", "en-zh", "ner") not in found
    tiny = {(x.row, x.task): x for x in load_study("configs/table1.py:tiny").expected}
    assert tiny["sep_l1_equal", "nli"].value == 0.6683
    assert tiny["sep_l1_equal", "nli"].source == "Conneau et al. 2020, Table 1, mean of 3 pairs"
