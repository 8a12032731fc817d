"""Bad input is one line that names it, before any work: every field of every config with hostile
values, and a table of wrong command lines, files and studies. Nothing is trained or started."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from absl.testing import flagsaver

import eval as eval_command
import train as train_command
from tools import bench
from xl_jax import cli, config_flags
from xl_jax.config import Config, Section, Tuning, from_dict, options, to_dict
from xl_jax.errors import InputError
from xl_jax.studies.study import load_study

BASE: dict[type[Section], dict[str, Any]] = {
    Config: to_dict(Config(languages=("a", "b"), corpora={"a": "docstrings:", "b": "twin:a"})),
    Tuning: to_dict(Tuning()),
}

# Where a value that is hostile elsewhere has a meaning.
ZERO = {
    "vocab.alpha", "clean.shortest", "clean.longest", "anchors.rate", "data.test", "data.tokens",
    "model.dropout", "model.attention_dropout", "model.init_token", "model.init_position",
    "model.init_body", "model.window", "masking.last_rate", "batch.alpha", "optim.warmup",
    "optim.b1", "optim.b2", "optim.decay", "optim.clip", "probe.length", "probe.fasttext",
    "probe.layers", "seed", "epoch_size", "warmup", "b1", "b2", "clip", "dropout", "layer",
    "new_layers", "length", "head_dropout", "input_dropout", "steps_per_call", "seeds",
}  # fmt: skip
ZERO_OF_A_RUN = ZERO - {"steps_per_call"}
MINUS_ONE = {"data.tokens", "layer"}
TEXT_ON_DISK = {"vocab.sample", "clean.shortest", "clean.longest", "data.tokens", "probe.text"}
ANY_SIZE = {
    "model.init_token", "model.init_position", "model.init_body", "optim.lr", "optim.eps",
    "optim.decay", "optim.clip", "eps", "clip", "lr", "head_lr",
}  # fmt: skip
NUMBERS: dict[str, Any] = {
    "nan": math.nan,
    "inf": math.inf,
    "-inf": -math.inf,
    "-1": -1,
    "0": 0,
    "10**12": 10**12,
    "1e30": 1e30,
    "1e300": 1e300,
    "1e-300": 1e-300,
}
TYPES: dict[str, Any] = {
    "None": None,
    "True": True,
    "0.5": 0.5,
    "7": 7,
    "text": "seven",
    "list": ["x", 1],
    "of None": [None],
    "mapping": {"x": 1},
}


def numeric(default: Any) -> bool:
    first = default[0] if isinstance(default, tuple) and default else default
    return type(first) in (int, float)


def accepted(kind: type[Section], name: str, case: str, whole: bool) -> bool:
    """Whether a number is meant to be taken."""
    return name in {
        "0": ZERO_OF_A_RUN if kind is Config else ZERO,
        "-1": MINUS_ONE,
        "10**12": TEXT_ON_DISK | ANY_SIZE,
        "1e30": ANY_SIZE,
    }.get(case, set()) and not (whole and case == "1e30")


def right_type(name: str, default: Any, case: str) -> bool:
    """Whether a value of `TYPES` is one of the field's own type."""
    if name in ("test", "sharing"):
        return case == "text"  # a data spec; a preset's name, looked up when the run starts
    kinds = {bool: ("True",), int: ("7",), float: ("0.5", "7"), str: ("text",)}
    return case in kinds.get(type(default), ())


def hostile(kind: type[Section], name: str, default: Any) -> Iterator[tuple[str, Any, bool]]:
    """(case, value, whether it is meant to be taken) of a field."""
    if numeric(default) or name in ("probe.layers", "head_lr"):
        whole = name == "probe.layers" or type(default) is int
        for case, value in NUMBERS.items():
            value = [value] if isinstance(default, tuple) else value
            yield case, value, accepted(kind, name, case, whole)
    for case, value in TYPES.items():
        if not right_type(name, default, case):
            yield case, value, False


def replaced(kind: type[Section], name: str, value: Any) -> dict[str, Any]:
    first, _, rest = name.partition(".")
    values = dict(BASE[kind])
    values[first] = {**values[first], rest: value} if rest else value
    return values


FIELDS = [
    pytest.param(kind, name, () if name == "corpora" else field.default, id=f"{kind.where}{name}")
    for kind in (Config, Tuning)
    for name, field in options(kind)
]


@pytest.mark.parametrize(("kind", "name", "default"), FIELDS)
def test_every_field_refuses_what_has_no_meaning(
    kind: type[Section], name: str, default: Any
) -> None:
    for case, value, good in hostile(kind, name, default):
        try:
            from_dict(replaced(kind, name, value), kind)
        except InputError as error:
            assert not good, case
            assert name.rpartition(".")[2] in str(error) and "\n" not in str(error), case
        else:
            assert good, f"{case} is taken"


def test_every_field_says_what_it_means_and_takes() -> None:
    for kind in (Config, Tuning):
        for name, field in options(kind):
            assert len(field.metadata["help"]) > 5, name
            assert len(field.metadata["domain"].text) > 5, name


TRAIN = [
    ("--config.batch.alpha=nan", "batch.alpha = nan: must be a finite number in [0, 10]"),
    ("--config.model.dropout=2", "model.dropout = 2.0: must be a finite number in [0, 1)"),
    ("--config.masking.mask=2", "masking.mask = 2.0: must be a finite number in [0, 1]"),
    ("--config.masking.mask=0.9", "masking.mask + keep + random is 1.1, not 1"),
    ("--config.optim.b1=2", "optim.b1 = 2.0: must be a finite number in [0, 1)"),
    ("--config.optim.lr=inf", "optim.lr = inf: must be a finite number in (0, inf)"),
    ("--config.optim.lr=0", "optim.lr = 0.0: must be a finite number in (0, inf)"),
    ("--config.optim.warmup=-5", "optim.warmup = -5: must be a whole number of at least 0"),
    ("--config.optim.eps=0", "optim.eps = 0.0: must be"),
    (
        "--config.optim.eps=1e-40",
        "eps = 1e-40: must be a finite number in (0, inf), of size 1.2e-38",
    ),
    ("--config.optim.schedule=linaer", "unknown optim.schedule 'linaer'"),
    ("--config.optim.decay_rules=7", "optim.decay_rules = 7: must be ordered (pattern, 'decay'"),
    ("--config.optim.decay_rules=(('.*', 'no'),)", "must be ordered (pattern, 'decay' or 'none')"),
    ("--config.seed=-1", "seed = -1: must be a whole number of at least 0"),
    ("--config.seed=99999999999", "of at least 0, at most 2,147,483,647"),
    ("--config.seed=1.5", "--config.seed=1.5: must be a whole number of at least 0"),
    ("--config.steps_per_call=0", "steps_per_call = 0: must be a whole number of at least 1"),
    ("--config.steps_per_call=7", "is not a positive multiple of steps_per_call = 7"),
    ("--config.steps=0", "steps = 0: must be a whole number of at least 1"),
    ("--config.log_every=-20", "log_every = -20: must be"),
    ("--config.keep=0", "keep = 0: must be a whole number of at least 1"),
    ("--config.keep=-3", "keep = -3: must be a whole number of at least 1"),
    ("--config.model.width=0", "model.width = 0: must be a whole number from 1 to"),
    ("--config.model.heads=5", "model.heads = 5 does not divide model.width = 32"),
    ("--config.model.layers=0", "model.layers = 0: must be"),
    (
        "--config.model.dtype=float16",
        "unknown model.dtype 'float16': did you mean 'bfloat16' or 'float32'",
    ),
    ("--config.model.remat=maybe", "--config.model.remat=maybe: must be true or false"),
    ("--config.model.attention=cudnn", "model.attention = 'cudnn' needs model.dtype"),
    ("--config.model.positions=16", "data.length = 32 is beyond model.positions = 16"),
    ("--config.data.length=2", "data.length = 2: must be a whole number of at least 4"),
    ("--config.data.heldout=0.5", "data.heldout = 0.5: must be a finite number in (0, 0.5)"),
    ("--config.data.tokens=-2", "data.tokens = -2: must be"),
    ("--config.vocab.size=-1", "vocab.size = -1: must be a whole number of at least 6"),
    ("--config.vocab.size=5", "vocab.size = 5: must be"),
    ("--config.vocab.mode=jiont", "unknown vocab.mode 'jiont': did you mean 'joint' or 'disjoint'"),
    ("--config.vocab.sizes=en", "vocab.sizes = 'en': not name=value,name=value"),
    ("--config.vocab.sizes=en=many", "vocab.sizes: en=many must be a whole number"),
    ("--config.vocab.sizes=de=700", "'de': did you mean 'en'? known: en, twin"),
    ("--config.anchors.dictionaries=en=FILE", "'en' is not two languages: en-fr=FILE"),
    ("--config.anchors.dictionaries=en-=FILE", "'en-' is not two languages"),
    ("--config.anchors.dictionaries=en-de=FILE", "'de': did you mean 'en'? known: en, twin"),
    ("--config.anchors.cap=0", "anchors.cap = 0.0: must be a finite number in (0, 1]"),
    ("--config.clean.shortest=-1", "clean.shortest = -1: must be"),
    ("--config.batch.schedule=5", "batch.schedule = 5: must be ((end, shares), ...)"),
    ("--config.batch.schedule=((1, (1, 1, 1)),)", "is not (end, shares of 2 languages)"),
    ("--config.batch.schedule=((0.5, (1, 1)),)", "must be ((end, shares), ...) with ends rising"),
    ("--config.batch.schedule=((1, (0, 0)),)", "must be ((end, shares), ...)"),
    ("--config.batch.schedule=((1, (float('nan'), 1)),)", "must be ((end, shares), ...)"),
    ("--config.batch.rows=0", "batch.rows = 0: must be a whole number of at least 1"),
    ("--config.batch.rows=9999999999", "batch.rows = 9999999999: must be"),
    ("--config.batch.rows=2000000000", "batch.accum x slots x rows x data.length = 128,000,000,"),
    ("--config.model.layers=1001", "model.layers = 1001: must be a whole number from 1 to 1,000"),
    ("--config.batch.draw=dice", "unknown batch.draw 'dice'"),
    ("--config.sharing=7", "sharing = 7: must be a preset's name or ordered (pattern, value)"),
    ("--config.sharing=", "sharing = '': must be a preset's name"),
    ("--config.sharing=(('.*', 7),)", "must be a preset's name or ordered (pattern, value)"),
    ("--config.sharing=(('.*',),)", "must be a preset's name or ordered (pattern, value)"),
    ("--config.mesh.data=0", "mesh.data = 0: must be a whole number of at least 1"),
    ("--config.mesh.rules=(('.*', 'data'),)", "mesh.rules = (('.*', 'data'),): must be ordered"),
    ("--config.probe.layers=top", "--config.probe.layers=top: must be a tuple, each a whole"),
    ("--config.probe.layers=-1", "probe.layers = (-1,): must be a tuple, each a whole number of"),
    ("--config.probe.sentences=0", "probe.sentences = 0: must be"),
    ("--config.probe.normalise=center", "unknown probe.normalise 'center': did you mean 'centre'"),
    ("--config.languages=", "languages = (): must be a tuple, each a name, not empty"),
    ("--config.languages=en,en", "languages repeat themselves"),
    ("--config.languages=en,twin,fr", "unknown language without a corpus 'fr'"),
    (
        "--config.corpora.de=x",
        "unknown language of a corpus 'de': did you mean 'en'? known: en, twin",
    ),
    ("--config.corpora.en=", "corpora = "),
    ("--config.best=fr", "unknown language to judge checkpoints by 'fr'"),
    ("--config.steos=3", "unknown config field 'steos': did you mean 'steps'"),
    ("--config.model=3", "unknown config field 'model': did you mean 'model."),
    ("--config.model.=3", "unknown config field 'model.'"),
    ("--config.model.width.x=3", "unknown config field 'model.width.x'"),
    ("--config.seed", "--config.seed: write --config.seed=VALUE"),
    ("--config", "--config: write --config=VALUE"),
    ("--config=", "--config=: write --config=VALUE"),
    ("--config=configs/tinny.py", "unknown config file 'configs/tinny.py': did you mean"),
    ("--config=configs", "unknown config file 'configs'"),
    ("--config=configs/compare_tiny.py", "config file", "defines no get_config"),
    ("--confg=1", "unknown flag 'confg': did you mean 'config'"),
    ("--noconfig", "unknown flag", "config"),
    ("configs/tiny.py", "unexpected argument 'configs/tiny.py': flags are written --name=value"),
    ("--workdir=", "--workdir=", "names no folder"),
    ("--compilation_cache=gs://bucket/x", "cannot be in a bucket; name a folder of this machine"),
    ("--config.data.dir=gs://b/x", "must be a folder of this machine, not of a bucket"),
    ("--compilation_cache=", "names no folder"),
]

EVAL = [
    ("--config.seed=1", "a run is measured as it was trained"),
    ("--tune.layer=-2", "tune.layer = -2: must be a whole number of at least -1"),
    ("--tune.parallel=0", "tune.parallel = 0: must be a whole number of at least 1"),
    ("--tune.lr=0", "tune.lr = (0.0,): must be a tuple, each a finite number in (0, inf)"),
    ("--tune.lr=", "tune.lr = (): must be a tuple"),
    ("--tune.lr=1e-3,1e-3", "tune.lr = (0.001, 0.001): a value repeats itself"),
    ("--tune.seeds=-1", "tune.seeds = (-1,): must be a tuple"),
    ("--tune.batch=(16, 'x')", "tune.batch = (16, 'x'): must be a tuple"),
    ("--tune.encoders=traned", "tune.encoders = ('traned',): must be a tuple, each one of"),
    ("--tune.freeze=upto:1", "tune.freeze = 'upto:1': must be private, none, all, up_to:N"),
    ("--tune.freeze=(('.*', 'cold'),)", "must be private, none, all, up_to:N"),
    ("--tune.task=pos", "unknown tune.task 'pos'"),
    ("--tune.dropout=1", "tune.dropout = 1.0: must be a finite number in [0, 1)"),
    ("--tune.length=4", "tune.length is 4, at least 8 is needed"),
    ("--tune.epcohs=4", "unknown tune field 'epcohs': did you mean 'epochs'"),
    ("--tune.keep=yess", "--tune.keep=yess: must be true or false"),
    ("--tune.test=7", "tune.test = 7: must be a data spec"),
    ("--tune=configs/finetune_smal.py", "unknown tune file 'configs/finetune_smal.py'"),
    ("--tune", "--tune: write --tune=VALUE"),
    ("--other=", "names no folder"),
    ("--taks=ner", "unknown flag 'taks': did you mean 'task'"),
    ("ner", "unexpected argument 'ner'"),
    ("--probe.text=x", "--probe.text=x"),
    ("--probe.centred=maybe", "probe.centred"),
]


def one_line(error: pytest.ExceptionInfo[InputError], wanted: tuple[str, ...]) -> None:
    text = str(error.value)
    assert "\n" not in text and all(part in text for part in wanted), text


def check(program: Any, *argv: str) -> None:
    """What the command checks of its flags before it imports JAX."""
    with flagsaver.flagsaver():
        config_flags.parse([f"{program.__name__}.py", *argv])
        config_flags.config()
        config_flags.tuning()


@pytest.mark.parametrize(("flag", "wanted"), [(x[0], x[1:]) for x in TRAIN], ids=lambda x: str(x))
def test_bad_flags_of_training(flag: str, wanted: tuple[str, ...]) -> None:
    config_flags.CONFIG.fixed = ""
    with pytest.raises(InputError) as error:
        check(train_command, flag)
    one_line(error, wanted)


@pytest.mark.parametrize(("flag", "wanted"), [(x[0], x[1:]) for x in EVAL], ids=lambda x: str(x))
def test_bad_flags_of_evaluation(flag: str, wanted: tuple[str, ...]) -> None:
    config_flags.CONFIG.fixed = "a run is measured as it was trained"
    with pytest.raises(InputError) as error:
        check(eval_command, flag)
    one_line(error, wanted)


DICT = "from ml_collections import ConfigDict\ndef get_config():\n    return ConfigDict(VALUES)\n"
FILES = {  # text of a config file -> the line and what is wrong
    "get_config = 7\n": ("FILE: TypeError: 'int' object is not callable",),
    "def get_config(:\n": ("FILE:1: SyntaxError: ",),
    "x = 1\n\nimport nothing_there\n": ("FILE:3: ModuleNotFoundError: No module named",),
    "x = 1\ndef get_config():\n    return y\n": ("FILE:3: NameError: name 'y' is not defined",),
    "from xl_jax.config import Config\n\ndef get_config():\n    return Config(stps=1)\n": (
        "FILE:4: TypeError: ",
        "unexpected keyword argument 'stps'",
    ),
    "from xl_jax.config import Model\nModel(width=-1)\n": ("model.width = -1: must be",),
    "raise SystemExit(3)\n": ("FILE:1: SystemExit: 3",),
    "def get_config():\n    return None\n": ("get_config() returns no ConfigDict: None",),
    "def get_config(x):\n    return {}\n": ("TypeError: get_config() missing 1 required",),
    "\x00": ("FILE: ", "null bytes"),
    "": ("defines no get_config",),
    DICT.replace("VALUES", "{'x': 1}"): ("unknown config field 'x'",),
    DICT.replace("VALUES", "{'model': 1}"): ("model = 1: not fields (layers,",),
}


@pytest.mark.parametrize(("text", "wanted"), list(FILES.items()), ids=map(repr, FILES))
def test_broken_config_files_are_named_with_their_line(
    text: str, wanted: tuple[str, ...], tmp_path: Path
) -> None:
    path = tmp_path / "broken.py"
    path.write_text(text)
    config_flags.CONFIG.fixed = ""
    with pytest.raises(InputError) as error:
        check(train_command, f"--config={path}")
    one_line(error, tuple(x.replace("FILE", str(path)) for x in wanted))


HEAD = "from xl_jax.studies.study import *\nSTUDY = Study('t', 'configs/tiny.py', "
STUDIES = {
    HEAD + "{'a': [], 'a': []}, (0,))": (":2: 'a' is named twice",),
    HEAD + "{' ': []}, (0,))": ("rows of a study: ' ' is no name",),
    HEAD + "{'a': '--config.steps=1'}, (0,))": ("'--config.steps=1' is not a list of flags",),
    HEAD + "{'a': ['--workdir=x']}, (0,))": ("'--workdir=x' is not --config.FIELD=VALUE",),
    HEAD + "{'a': ['--config.steps']}, (0,))": ("write --config.steps=VALUE",),
    HEAD + "{'a': ['--config.stepz=1']}, (0,))": ("row 'a': unknown config field 'stepz'",),
    HEAD + "{'a': ['--config.model.width=0']}, (0,))": ("row 'a': model.width = 0: must be",),
    HEAD + "{'a': ['--config.seed=1']}, (0,))": ("'a': --config.seed belongs to seeds",),
    HEAD + "{'a': ['--config.data.dir=x']}, (0,))": ("data.dir belongs to the study's folder",),
    HEAD + "{}, (0,))": ("rows of a study = {}",),
    HEAD + "{'a': []}, ())": ("seeds of a study = ()",),
    HEAD + "{'a': []}, (0, 0))": ("a seed repeats itself",),
    HEAD + "{'a': []}, (-1,))": ("seeds of a study = (-1,)",),
    HEAD + "{'a': []}, pairs={'x': ['--config=configs/no.py']})": ("row 'a', pair 'x': unknown",),
    HEAD + "{'a': []}, evaluations={'e': ['--workdir=x']})": ("the study names the run itself",),
    HEAD + "{'a': []}, evaluations={'e': ['--task', 'cka']})": ("'cka' is not --FIELD=VALUE",),
    HEAD + "{'a': []}, reference='b')": ("unknown reference row 'b'",),
    HEAD + "{'a': []}, expected=[Expected('b', '', 'ner', 'f1', 0.1, '')])": ("unknown row of an",),
    HEAD + "{'a': []}, expected=[Expected('a', 'x', 'ner', 'f1', 0.1, '')])": ("unknown pair of",),
    HEAD.replace("tiny", "tinny") + "{'a': []}, (0,))": ("unknown config file 'configs/tinny.py'",),
    "STUDY = 7\n": ("no Study: 7",),
    "def get_study():\n    return 7\n": ("no Study: 7",),
    "X = 1\n": ("study file", "defines no STUDY or get_study"),
    "x = 1\nSTUDY = y\n": (":2: NameError: name 'y' is not defined",),
}


@pytest.mark.parametrize(("text", "wanted"), list(STUDIES.items()), ids=map(repr, STUDIES))
def test_bad_studies_start_no_run(text: str, wanted: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "study.py"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        load_study(str(path))
    one_line(error, wanted)


@pytest.mark.parametrize(
    ("argv", "wanted"),
    [
        (["spet"], "unknown command 'spet': did you mean 'step'"),
        (["step", "--rows=0"], "--rows 0 is not positive"),
        (["step", "--row=1"], "unrecognized arguments: --row=1"),
        (["step", "--rounds=x"], "argument --rounds: invalid int value: 'x'"),
        (["step", "--json=/no/such/folder/x.json"], "/no/such/folder/x.json cannot be written"),
        (["step", "--json=configs"], "--json=configs is a folder, not a file"),
        ([], "the following arguments are required: command"),
    ],
)
def test_bad_flags_of_benchmarks(argv: list[str], wanted: str) -> None:
    with pytest.raises(InputError) as error:
        bench.parse(argv)
    one_line(error, (wanted,))


def test_folders_are_checked_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cli.check_folder("out", tmp_path / "new/folder")
    assert not (tmp_path / "new").exists()
    with pytest.raises(InputError, match="--out=.*file/x: .*file is a file"):
        cli.check_folder("out", tmp_path / "file/x")


@pytest.mark.parametrize(("extra", "lines"), [((), 1), (("--traceback",), 5)])
def test_the_program_ends_with_one_line_and_code_2(
    extra: tuple[str, ...], lines: int, capsys: pytest.CaptureFixture, monkeypatch: Any
) -> None:
    monkeypatch.setattr("sys.argv", ["train.py", "--config.seed=-1", *extra])
    with pytest.raises(SystemExit) as stop, cli.one_line_errors():
        config_flags.CONFIG.fixed = ""
        check(train_command, "--config.seed=-1")
    error = capsys.readouterr().err.splitlines()
    assert stop.value.code == 2 and error[-1].startswith("error: seed = -1")
    assert len(error) == 1 if lines == 1 else len(error) >= lines
