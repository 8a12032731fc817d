"""What would stop a run of a study is told before any training."""

from pathlib import Path
from typing import Any

import pytest

from tests.study_toy import study
from xl_jax.errors import InputError
from xl_jax.studies.check import check, read_flags
from xl_jax.studies.grid import runs
from xl_jax.studies.study import load_study


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            {"rows": {"a": [], "b": ["--config.corpora.en=files:gone/*.txt"]}},
            "b, seed 0: .*gone/",
        ),
        ({"rows": {"a": ["--config.sharing=sep_l1_9"]}}, "a, seed 0: .*layer_4"),
        ({"evaluations": {"e": ["--task=nre"]}}, "evaluation 'e': unknown task 'nre'"),
        (
            {"evaluations": {"e": ["--task=translation", "--data.dictionary={target}.txt"]}},
            "evaluation 'e': --data.dictionary=.*: no file 'twin.txt'",
        ),
        (
            {"evaluations": {"e": ["--task=ner", "--tune=configs/finetune_small.py"]}},
            "evaluation 'e': files:.*no file '.*en.train.bio'",
        ),
        (
            {"evaluations": {"e": ["--task=ner", "--tune.lr=fast"]}},
            "evaluation 'e': --tune.lr=fast: must be",
        ),
        (
            {"evaluations": {"e": ["--task=translation", "--data.dictionnary=nowhere.txt"]}},
            "evaluation 'e': unknown flag 'data.dictionnary': did you mean 'data.dictionary'",
        ),
        (
            {"evaluations": {"e": ["--task=linear_probe", "--tune.tsak=ner"]}},
            "evaluation 'e': unknown tune field 'tsak'",
        ),
        (
            {"evaluations": {"e": ["--task=cka", "--tune=configs/nope.py"]}},
            "evaluation 'e': unknown tune file 'configs/nope.py'",
        ),
        (
            {"evaluations": {"e": ["--task=linear_probe", "--tune=configs/finetune_small.py:nli"]}},
            "evaluation 'e': linear_probe: labels of tagging or ner, not of nli",
        ),
        (
            {"evaluations": {"e": ["--task=linear_probe", "--data.train=files:gone.conllu"]}},
            "evaluation 'e': files:gone.conllu: no file 'gone.conllu'",
        ),
        ({"evaluations": {"e": ["--probe.layers=top"]}}, "evaluation 'e': --probe.layers: 'top'"),
        *(
            ({"evaluations": {"e": flags}}, "evaluation 'e': unknown language .* 'third'.*en, twin")
            for flags in (
                ["--task=retrieval", "--target=third"],
                ["--task=linear_probe", "--source=third"],
                ["--task=tagging", "--tune.targets=twin,third"],
            )
        ),
        ({"evaluations": {"e": ["--probe.text=x"]}}, "evaluation 'e': .*probe.text"),
        ({"evaluations": {"e": ["--task=ner,cka"]}}, "evaluation 'e': --task=ner,cka: .*one at a"),
        ({"evaluations": {"e": ["--task=ner", "--again"]}}, "evaluation 'e': --task=ner --again"),
    ],
)
def test_what_would_stop_a_run_is_told_before_any_training(
    more: Any, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where no data are
    made = study(**more)
    with pytest.raises(InputError, match=message):
        check(made, runs(made, tmp_path))


@pytest.mark.parametrize(
    "name",
    [
        "table1.py:tiny",
        "table1.py:small_cpu",
        "table1.py:paper",
        "monolingual.py:small_cpu",
        "anchors_order.py",
        "dufter.py",
        "three_way.py",
    ],
)
def test_the_evaluations_that_come_with_it_have_flags_of_eval(name: str) -> None:
    for given in load_study(f"configs/{name}").evaluations.values():
        asked, _ = read_flags(given)
        assert asked.task.value
