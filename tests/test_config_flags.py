"""--config, --tune and their fields, in process."""

import subprocess
import sys
from pathlib import Path

import pytest
from absl.testing import flagsaver

import eval as _  # noqa: F401  defines the flags
from xl_jax import cli, config_flags
from xl_jax.config_flags import CONFIG, TUNE
from xl_jax.errors import InputError

FILE = """
from xl_jax.config import Tuning, to_config_dict


def get_config(task="nli"):
    return to_config_dict(Tuning(task=task))
"""


def parse(*argv: str) -> None:
    with flagsaver.flagsaver():
        config_flags.parse(["eval.py", *argv])


@pytest.mark.parametrize(
    ("argv", "file"),
    [
        (["--task=ner"], ("configs/finetune_paper.py", "ner")),
        (["--task=cka"], ("configs/finetune_paper.py", "nli")),
        (["--task=ner", "--tune=FILE:parsing"], ("FILE", "parsing")),
        (["--tune=FILE", "--task=parsing"], ("FILE", "parsing")),
        (["--tune=FILE", "--tune.epochs=2"], ("FILE", "")),
    ],
)
def test_the_task_chooses_the_settings_of_a_file(
    argv: list[str], file: tuple[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "x.py"
    path.write_text(FILE)
    with flagsaver.flagsaver():
        config_flags.parse(["eval.py", *[x.replace("FILE", str(path)) for x in argv]])
        found = TUNE.file
    assert found == (file[0].replace("FILE", str(path)), file[1])
    assert config_flags.tuning().task == (file[1] or "nli")


def test_fields_are_read_by_their_domains() -> None:
    CONFIG.given = None
    CONFIG.fields = {
        "languages": "en, de",
        "corpora": "{'en': 'docstrings:', 'de': 'x'}",
        "corpora.de": "twin:en#order=invert",
        "seed": "7",
        "optim.lr": "3e-4",
        "model.remat": "true",
        "probe.layers": "0,2",
        "batch.schedule": "((0.5, (1, 0)), (1, (1, 1)))",
        "sharing": "((r'embed/.*', 'private'), ('.*', (('en', 'de'),)))",
        "optim.schedule": "cosine",
        "data.dir": "",
    }
    CONFIG.load()
    config = config_flags.config()
    assert config.languages == ("en", "de")
    assert config.corpora == {"en": "docstrings:", "de": "twin:en#order=invert"}
    assert (config.seed, config.optim.lr, config.model.remat) == (7, 3e-4, True)
    assert config.probe.layers == (0, 2)
    assert config.batch.schedule == ((0.5, (1, 0)), (1, (1, 1)))
    assert config.sharing == (("embed/.*", "private"), (".*", (("en", "de"),)))
    CONFIG.fields = {"sharing": "sep_emb"}
    CONFIG.load()
    assert config_flags.config().sharing == "sep_emb"


def test_help_names_every_flag_and_lists_every_field(capsys: pytest.CaptureFixture) -> None:
    text = cli.usage("What it does.")
    for flag in ("config", "workdir", "tune", "task", "probe.layers", "traceback"):
        assert f"\n  --{flag}" in text
    assert "--config.FIELD=VALUE" in text and "--tune.help" in text
    for name, lines in {
        "--config.help": ("--config.optim.b1=0.9 decay of", "AdamW's mean", "number in [0, 1)"),
        "--tune.help": (
            "--tune.layer=-1 states",
            "0 the embeddings",
            "whole number of at least -1",
        ),
    }.items():
        with pytest.raises(SystemExit) as stop:
            parse(name)
        text = " ".join(capsys.readouterr().out.split())
        assert stop.value.code == 0 and all(line in text for line in lines)


def test_the_value_in_the_file_is_shown_where_it_is_another(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        parse("--config=configs/tiny.py", "--config.help")
    assert "--config.vocab.size=8000   (here: 500)\n" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "flag", "code"),
    [
        ("train.py", "--config.seed=-1", 2),
        ("eval.py", "--tune.layer=-2", 2),
        ("tools/show_mask.py", "--config.model.heads=5", 2),
        ("tools/run_study.py", "--config=configs/no.py", 2),
        ("tools/report.py", "--study=nothing", 2),
        ("tools/report.py", "--runs=nothing", 2),
        ("tools/prepare_corpus.py", "--corpus=en", 2),
        ("tools/bench.py", "--rows=1", 2),
        ("tools/torture.py", "--only=x", 2),
        ("train.py", "--help", 0),
        ("eval.py", "--tune.help", 0),
        ("tools/bench.py", "--help", 0),
    ],
)
def test_help_and_bad_input_import_no_jax(program: str, flag: str, code: int) -> None:
    """They are quick: importing JAX takes longer than all else together."""
    call = f"import sys, runpy; sys.modules['jax'] = None; sys.argv = [{program!r}, {flag!r}]; "
    call += f"runpy.run_path({program!r}, run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", call], capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert len(done.stderr.splitlines()) == (1 if code else 0), done.stderr


def test_eval_takes_no_field_of_the_config() -> None:
    config_flags.fix_config("measured as it was trained")
    with pytest.raises(InputError, match="--config.seed=1: measured as it was trained"):
        parse("--config.seed=1")
