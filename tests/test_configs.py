"""Golden dump: what every config makes of its parameters. A refactor shows its effect in the diff.

When a change is meant: UPDATE_GOLDEN=1 pytest tests/test_configs.py, and read the diff.
"""

import json
import os
import runpy
from pathlib import Path

import pytest

from xl_jax.config import TASKS, Config, Tuning, from_dict, to_config_dict, to_dict
from xl_jax.errors import InputError
from xl_jax.model.shared_model import SharedModel
from xl_jax.studies.study import load_study

STUDIES = [  # their rows are resolved by test_study_files.py
    *("anchors_order.py", "dufter.py", "family.py", "found_mask.py", "frame.py"),
    *("monolingual.py", "plateau.py", "positions.py"),
    *("table1.py", "three_way.py"),
]
CONFIGS = [x for x in sorted(Path("configs").glob("*.py")) if "finetune" not in x.name]
CONFIGS = [x for x in CONFIGS if x.name not in STUDIES]
TUNINGS = sorted(Path("configs").glob("finetune_*.py"))
GOLDEN = Path(__file__).parent / "golden"


def configs_of(path: Path) -> dict[str, Config]:
    """The config of a file, or, for a study, of each of its rows with the first pair."""
    found = runpy.run_path(str(path))
    if "get_config" in found:
        return {"": from_dict(found["get_config"]())}
    study = load_study(str(path))
    return {row: study.config_of(row, study.names_of_pairs[0]) for row in study.rows}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_paths_shapes_and_sharing_of_every_config(path: Path) -> None:
    parts = []
    for name, config in configs_of(path).items():
        parts.append(f"# {path.stem} {name}\n{SharedModel.abstract(config).describe()}")
    dump = "\n\n".join(parts) + "\n"
    golden = GOLDEN / f"{path.stem}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(dump)
    assert dump == golden.read_text()


@pytest.mark.parametrize("path", TUNINGS, ids=lambda p: p.stem)
def test_files_of_fine_tuning_have_all_tasks(path: Path) -> None:
    get_config = runpy.run_path(str(path))["get_config"]
    for task in TASKS:
        made = from_dict(get_config(task), Tuning)
        assert made.task == task
        assert from_dict(json.loads(json.dumps(to_dict(made))), Tuning) == made
        assert from_dict(to_config_dict(made), Tuning) == made
    with pytest.raises(InputError, match="unknown task 'pos'.*known: ner, nli, parsing"):
        get_config("pos")


def test_the_grids_of_the_paper() -> None:
    """18 settings of XNLI, 6 of the others (paper section 4, "Downstream evaluation")."""
    get_config = runpy.run_path("configs/finetune_paper.py")["get_config"]
    settings = {task: from_dict(get_config(task), Tuning).settings for task in TASKS}
    assert {task: len(found) for task, found in settings.items()} == {
        "nli": 18,
        "ner": 6,
        "tagging": 6,
        "parsing": 6,
    }
    assert {(s.batch, s.lr) for s in settings["ner"]} == {
        (b, lr) for b in (16, 32) for lr in (2e-5, 3e-5, 5e-5)
    }
    assert all(len({s.name for s in found}) == len(found) for found in settings.values())


def test_a_config_survives_config_dict_and_json() -> None:
    for config in configs_of(Path("configs/tiny.py")).values():
        assert from_dict(to_config_dict(config)) == config
        assert from_dict(to_dict(config)) == config


def test_the_command_line_takes_rules_as_a_literal() -> None:
    config = to_config_dict(next(iter(configs_of(Path("configs/tiny.py")).values())))
    config.sharing = (("embed/token", "private"), (".*", (("en",), ("twin",))))
    SharedModel.abstract(from_dict(config))
    config.sharing = (("embed/tokn", "private"), (".*", "shared"))
    with pytest.raises(InputError, match="'embed/tokn' matches no parameter; near .*embed/token"):
        SharedModel.abstract(from_dict(config))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("model.norm", "posst", "unknown model.norm 'posst': did you mean 'post'"),
        ("masking.random", 0.5, "masking.mask \\+ keep \\+ random is 1.4, not 1"),
        ("data.length", 64, "data.length = 64 is beyond model.positions = 32"),
        ("log_every", 30, "log_every = 30 is not a positive multiple of steps_per_call = 20"),
        ("batch.draw", "dice", "unknown batch.draw 'dice'.*known: independent, systematic"),
        ("languages", ("en", "twin", "fr"), "unknown language without a corpus 'fr'"),
    ],
)
def test_values_out_of_range_are_errors(field: str, value: object, message: str) -> None:
    config = to_config_dict(next(iter(configs_of(Path("configs/tiny.py")).values())))
    config.update_from_flattened_dict({field: value})
    with pytest.raises(InputError, match=message):
        from_dict(config)
