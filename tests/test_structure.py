"""The house: which room may import which, how long a file may be, and its picture."""

import builtins
import dis
from collections.abc import Iterator
from pathlib import Path
from types import CodeType

import pytest

from tools import architecture

ROOT = architecture.ROOT
PACKAGE = ROOT / "xl_jax"
# What a room may import stands before it; the surface of the package is the last.
ORDER = (
    *("stopping", "quiet", "errors", "rules", "rng", "atomic_files", "json_files", "file_names"),
    *("progress", "bucket", "mirror", "config", "cli", "config_flags"),
    *("text", "tokens", "prepare", "batches", "devices", "model", "training", "runs", "pretrain"),
    *("analysis", "tasks", "finetune", "interchange", "evaluate", "studies", "report", "xl_jax"),
)
LONGEST = 400  # lines of a file


@pytest.fixture(scope="module")
def modules() -> architecture.Graph:
    return architecture.module_graph(PACKAGE)


def test_every_room_has_its_place_and_says_its_job_in_a_line(modules):
    rooms = {architecture.room(name) for name in modules}
    assert rooms == set(ORDER)
    files = architecture.sources(PACKAGE)
    for name in rooms - set(architecture.GROUND) - {"xl_jax"}:
        line = architecture.first_line(files[f"xl_jax.{name}"])
        assert line.endswith(".") and 20 < len(line) < 60, (name, line)


def test_no_circle_between_modules_or_rooms(modules):
    assert architecture.circles(modules) == []
    assert architecture.circles(architecture.room_graph(modules)) == []


def test_no_arrow_upward(modules):
    place = {name: i for i, name in enumerate(ORDER)}
    rooms = [
        (a, b, architecture.room(a), architecture.room(b)) for a in modules for b in modules[a]
    ]
    assert [(a, b) for a, b, upper, lower in rooms if place[lower] > place[upper]] == []


def test_reports_only_render(modules):
    """They take records; what opens runs, trains or measures is not theirs."""
    rooms = architecture.room_graph(modules)
    assert rooms["report"] <= {"analysis", *architecture.GROUND}


def test_the_package_knows_nothing_of_what_uses_it():
    users = {"configs", "tools", "tests", "train", "eval"}
    for name, path in architecture.sources(PACKAGE).items():
        tops = {x.partition(".")[0] for x in architecture.imported(path, ())}
        assert not tops & users, name


def nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from nested(constant)


@pytest.mark.slow
def test_every_name_that_a_module_uses_is_defined():
    """Linters cannot say: shapes in annotations look to them like unknown names."""
    known = {*dir(builtins), "__file__", "__module__", "__qualname__", "__annotations__"}
    for folder in ("xl_jax", "configs", "tools"):
        for path in (ROOT / folder).rglob("*.py"):
            codes = list(nested(compile(path.read_text(encoding="utf-8"), path, "exec")))
            stored = {
                code: {i.argval for i in dis.get_instructions(code) if "STORE_" in i.opname}
                for code in codes
            }
            for code in codes:
                loads = {"LOAD_GLOBAL", "LOAD_NAME"}
                used = {i.argval for i in dis.get_instructions(code) if i.opname in loads}
                missing = used - stored[code] - stored[codes[0]] - known
                assert not missing, f"{path.relative_to(ROOT)}: {code.co_name} uses {missing}"


def test_no_file_is_long():
    for folder in ("xl_jax", "configs", "tools", "tests"):
        for path in (ROOT / folder).rglob("*.py"):
            lines = len(path.read_text(encoding="utf-8").splitlines())
            assert lines < LONGEST, f"{path.relative_to(ROOT)} has {lines} lines"


def test_the_picture_is_up_to_date():
    """Made by `python tools/architecture.py`."""
    assert architecture.PICTURE.read_text(encoding="utf-8") == architecture.draw(PACKAGE)


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / "house" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "house"


def test_what_the_map_finds(tmp_path):
    house = write(
        tmp_path,
        {
            "__init__.py": '"""A house."""\n',
            "ground.py": '"""The ground."""\nimport os\n',
            "low/__init__.py": '"""The low room."""\n',
            "low/a.py": "from house import ground\nfrom house.low.b import x\n",
            "low/b.py": "def late():\n    import house.high.c\n",
            "high/__init__.py": '"""The high\nroom."""\n',
            "high/c.py": "from house.low import a\nfrom numpy import array\n",
        },
    )
    graph = architecture.module_graph(house)
    assert graph["house.low.a"] == {"house.ground", "house.low.b"}
    assert graph["house.low.b"] == {"house.high.c"}
    assert graph["house.high.c"] == {"house.low.a"}
    assert architecture.circles(graph) == [{"house.low.a", "house.low.b", "house.high.c"}]
    rooms = architecture.room_graph(graph)
    assert rooms["low"] == {"ground", "high"} and rooms["high"] == {"low"}
    assert architecture.circles(rooms) == [{"low", "high"}]
    assert architecture.counts(house) == (
        "7 modules, 4 arrows, 1 circles; 4 rooms, 3 arrows, 1 circles"
    )
    assert architecture.first_line(house / "high" / "__init__.py") == "The high"
    assert architecture.imported(house / "high" / "c.py", ()) == {"house.low", "numpy"}


def test_programs_find_the_package_without_a_path_of_their_own():
    programs = [ROOT / "train.py", ROOT / "eval.py", *(ROOT / "tools").rglob("*.py")]
    assert [x for x in programs if "sys.path" in x.read_text(encoding="utf-8")] == []


def test_an_arrow_that_follows_from_others_is_not_drawn():
    graph = {"a": {"b", "c"}, "b": {"c"}, "c": set(), "d": {"c"}}
    assert architecture.reduced(graph) == {"a": {"b"}, "b": {"c"}, "c": set(), "d": {"c"}}
    assert architecture.floors(graph) == [["a", "d"], ["b"], ["c"]]
