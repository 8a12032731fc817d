"""`tools/run_study.py` from a study file to records, with the real commands."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.text_toy import write_text
from xl_jax.studies.study_folder import read_study

CONFIG = """
from xl_jax.config import *
def get_config():
    return to_config_dict(Config(
        languages=("en", "twin"), corpora={{"en": "{text}", "twin": "twin:en"}},
        steps=2, log_every=2, eval_every=2, checkpoint_every=2,
        vocab=Vocab(mode="disjoint", size=40), data=Data(windows="line", length=12, heldout=0.1),
        model=Model(layers=1, heads=1, width=8, ffn=8, positions=12, dropout=0.0,
                    attention_dropout=0.0),
        batch=Batch(slots=2, rows=2), optim=Optim(warmup=1), probe=EvalOptions(words=8)))
"""
STUDY = """
from xl_jax.studies.study import Study
STUDY = Study("A study", "{config}", {{"<b>": []}},
              evaluations={{"rbf": ["--task=cka", "--probe.kernel=rbf", "--probe.layers=0"]}})
"""


@pytest.mark.slow
def test_from_a_study_file_to_records(tmp_path: Path) -> None:
    config, file, out = tmp_path / "config.py", tmp_path / "study.py", tmp_path / "out"
    config.write_text(CONFIG.format(text=write_text(tmp_path / "a.txt", 300, 0)))
    file.write_text(STUDY.format(config=config))
    command = [sys.executable, "tools/run_study.py", f"--config={file}", f"--out={out}"]

    def run(*flags: str) -> list[str]:
        folder = Path(__file__).parents[1]
        ended = subprocess.run([*command, *flags], cwd=folder, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.splitlines()

    # nothing of Slurm is needed yet
    said = run("--prepare", "--executor=slurm")[-1]
    assert said == f"the tokens of 1 runs are in {out}: the same command without --prepare"
    assert [x.run.state for x in read_study(out).runs] == ["waiting"]
    (tmp_path / "a.txt").unlink()  # nothing needs the text any more
    lines = run()
    assert lines[-2] == "1 of 1 done" and not any("vocabulary" in line for line in lines)
    (good,) = read_study(out).runs
    assert good.run.state == "done" and good.damaged == []
    assert good.run.made["rbf"] == [next(x for x in good.files if x.startswith("cka-"))]
    assert {r.metric for r in good.records} >= {"sentence_retrieval", "cka", "perplexity"}
    assert run("--prepare")[-1].startswith("the tokens of 0 runs")  # of those that are not done


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--slurm=timeout_min=5"], "--slurm=timeout_min=5: give --executor=slurm too"),
        (["--executor=slurm", "--slurm=timeout_min"], "--slurm: 'timeout_min' is not NAME=VALUE"),
        (["--prepare", "--dry_run"], "--dry_run and --prepare: each ends the command; give one"),
        (["--adopt=x", "--dry_run"], "--dry_run and --adopt: each ends the command; give one"),
        (["--adopt=x", "--prepare"], "--adopt and --prepare: each ends the command; give one"),
    ],
)
def test_flags_that_do_not_go_together(flags: list[str], message: str, tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "tools/run_study.py", f"--out={tmp_path}/out", *flags],
        cwd=Path(__file__).parents[1], capture_output=True, text=True,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (2, f"error: {message}\n")
    assert not (tmp_path / "out").exists()
