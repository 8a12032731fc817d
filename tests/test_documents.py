"""The documents are true: commands parse, files and fields exist, tables and pictures are those of
the code and of results/."""

import ast
import dataclasses
import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tools import draw_growth, draw_masks, draw_slope, tables
from tools.benchmarks import record
from xl_jax.analysis.record import Record
from xl_jax.config import Config
from xl_jax.config.finetune import Tuning
from xl_jax.model.sharing import preset
from xl_jax.report.tables import by_layer

ROOT = Path(__file__).resolve().parents[1]
NAMES = ("README.md", "CONTRIBUTING.md", "results/README.md")
DOCUMENTS = [*(ROOT / x for x in NAMES), *sorted((ROOT / "docs").rglob("*.md"))]
SCRIPTS = ["train.py", "eval.py", *sorted(f"tools/{x.name}" for x in (ROOT / "tools").glob("*.py"))]
PROGRAMS = [x for x in SCRIPTS if '__name__ == "__main__"' in (ROOT / x).read_text()]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
INLINE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
OF_OTHERS = ("--signal", "--config.FIELD")  # of Slurm; of any field


class Command(NamedTuple):
    words: tuple[str, ...]
    where: str


def text_of(document: Path) -> str:
    return document.read_text(encoding="utf-8")


def logical_lines(block: str) -> list[str]:
    """Lines of a shell, those that end in a backslash joined with the next."""
    return block.replace("\\\n", " ").splitlines()


def simple_commands(line: str) -> Iterator[list[str]]:
    """The words of every `python ...` and `pip ...` in a line, those in a quoted word too."""
    reader = shlex.shlex(line, posix=True, punctuation_chars="();<>|&")
    reader.whitespace_split = True
    reader.commenters = "#"
    words: list[str] = []
    for token in [*reader, ";"]:
        if " python " in token or " pip " in token:
            yield from simple_commands(token)
        if not set(token) <= set("();<>|&"):
            words.append(token)
            continue
        for start, word in enumerate(words):
            if word in ("python", "pip"):
                yield words[start:]
                break
        words = []


def shell(document: Path) -> Iterator[str]:
    """Lines of code and inline code that hold a command."""
    text = text_of(document)
    for language, block in FENCE.findall(text):
        if not language:
            yield from logical_lines(block)
    yield from (" ".join(x.split()) for x in INLINE.findall(FENCE.sub("", text)))


def commands(document: Path) -> list[Command]:
    found = []
    for line in shell(document):
        if re.search(r"\b(python|pip) ", line):
            found += [
                Command(tuple(x), f"{document.relative_to(ROOT)}: {line}")
                for x in simple_commands(line)
            ]
    return found


def commands_of_docstring(program: Path) -> list[Command]:
    """The indented lines of a module's docstring; what stands far to the right explains them."""
    docstring = ast.get_docstring(ast.parse(text_of(program))) or ""
    indented = re.findall(r"^ {4}.*(?:\\\n.*)*", docstring, re.M)
    lines = [re.sub(r"(?<=\S) {3,}\S.*", "", x) for x in indented]
    return [
        Command(tuple(words), f"{program.relative_to(ROOT)}: {line}")
        for line in logical_lines("\n".join(lines))
        if re.search(r"\b(python|pip) ", line)
        for words in simple_commands(line)
    ]


def flags(document: Path) -> list[Command]:
    """Inline code that is flags alone."""
    found = []
    for code in INLINE.findall(FENCE.sub("", text_of(document))):
        code = " ".join(code.split())
        if code.startswith("--") and not code.startswith(OF_OTHERS):
            found.append(Command(tuple(shlex.split(code)), f"{document.relative_to(ROOT)}: {code}"))
    return found


def known(word: str) -> bool:
    """Whether a word of a command line is one, not a blank to be filled in."""
    return not word.endswith("...") and word not in ("--config=FILE",)


def programs_of(words: tuple[str, ...]) -> list[list[str]]:
    """Command lines that flags alone may belong to."""
    if words[0].startswith("--config."):
        files = ("tiny.py", "bilingual_cpu.py:en,fr", "paper.py:en,fr")
        return [["train.py", f"--config=configs/{x}", *words] for x in files]
    needed = {
        "eval.py": ["--task=ner"],
        "tools/bench.py": ["analysis"],
        "tools/convert_hf.py": ["export"],
        "tools/torture.py": ["--out=x"],
    }
    programs = sorted(PROGRAMS, key=lambda x: x != "eval.py")  # most flags are of it
    return [[program, *needed.get(program, []), *words] for program in programs]


def problems_of(asked: list[list[list[str]]]) -> list[str]:
    """See parse_commands.py."""
    call = [sys.executable, "tests/parse_commands.py"]
    given = json.dumps(asked)
    done = subprocess.run(call, input=given, capture_output=True, text=True, check=True, cwd=ROOT)
    return json.loads(done.stdout)


@pytest.mark.slow
def test_every_command_and_flag_parses():
    """By the parser of the program itself; dots and the like are left out."""
    asked: dict[str, list[list[str]]] = {}
    found = [command for document in DOCUMENTS for command in commands(document)]
    for path in [*(ROOT / x for x in PROGRAMS), *(ROOT / "configs").glob("*.py")]:
        found += commands_of_docstring(path)
    for command in found:
        if command.words[0] == "python" and command.words[1] not in ("-m", "-c"):
            script, *rest = command.words[1:]
            assert script in PROGRAMS, f"{command.where}: no program {script}"
            asked[command.where] = [[script, *filter(known, rest)]]
    for document in DOCUMENTS:
        for command in flags(document):
            asked[command.where] = programs_of(command.words)
    assert len(asked) > 100
    problems = zip(asked, problems_of(list(asked.values())), strict=True)
    assert [f"{where}\n    {problem}" for where, problem in problems if problem] == []


@pytest.mark.slow
def test_cheap_commands_run():
    """Those that neither read text nor train, as they stand in the documents."""
    found = {command.words for document in DOCUMENTS for command in commands(document)}
    cheap = {x for x in found if x[1] == "tools/show_mask.py" or x[-1] == "--config.help"}
    assert len(cheap) >= 3
    for words in cheap:
        call = [sys.executable, *words[1:]]
        done = subprocess.run(call, capture_output=True, text=True, cwd=ROOT)
        assert done.returncode == 0, done.stderr
        expected = "--config.sharing=" if words[-1] == "--config.help" else "embed/token "
        assert expected in done.stdout


@pytest.mark.slow
def test_a_wrong_command_is_found():
    wrong = {
        "did you mean 'model.width'": ["train.py", "--config.modle.width=3"],
        "did you mean 'joint'": ["train.py", "--config.vocab.mode=jiont"],
        "did you mean 'task'": ["eval.py", "--taks=ner"],
        "unrecognized arguments: --rwos=3": ["tools/bench.py", "step", "--rwos=3"],
    }
    problems = problems_of([[words] for words in wrong.values()])
    for message, problem in zip(wrong, problems, strict=True):
        assert message in problem


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_that_are_named_exist(document):
    text = text_of(document)
    folders = "configs|tools|tests|docs|results|xl_jax"
    pattern = rf"(?<![\w/.*-])(?:{folders})/[\w./-]*\w|requirements[\w-]*\.txt"
    for name in re.findall(pattern, text):
        path = ROOT / name.rstrip("/.")
        assert path.exists() or path.with_suffix(".py").exists(), (
            f"{document.relative_to(ROOT)}: {name}"
        )
    pinned = re.search(r"^jax==(\S+)", (ROOT / "requirements.txt").read_text(), re.M)
    assert pinned is not None
    for version in re.findall(r'"jax\[\w+\]==([\d.]+)"', text):
        assert version == pinned[1]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(document):
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", text_of(document))):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        path = document.parent / name if name else document
        assert path.exists(), f"{document.relative_to(ROOT)}: {target}"
        if anchor:
            heads = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.M)
            anchors = [re.sub(r"[^\w -]", "", x.lower()).replace(" ", "-") for x in heads]
            assert anchor in anchors, f"{document.relative_to(ROOT)}: {target}"


def fields(kind: type, prefix: str = "") -> Iterator[str]:
    for f in dataclasses.fields(kind):
        yield prefix + f.name
        if isinstance(f.type, type) and dataclasses.is_dataclass(f.type):
            yield from fields(f.type, f"{prefix}{f.name}.")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_config_fields_in_running_text_exist(document):
    there = {*fields(Config), *fields(Tuning, "tune.")}
    sections = {x.partition(".")[0] for x in there if "." in x}
    for code in INLINE.findall(FENCE.sub("", text_of(document))):
        for name in re.findall(r"(?<![\w./-])([a-z]+\.[a-z_]+)\b(?!\()", code):
            if name.partition(".")[0] in sections:
                assert name in there, f"{document.relative_to(ROOT)}: {code}"


def test_presets_in_running_text_exist():
    named = {
        name
        for document in DOCUMENTS
        for code in INLINE.findall(FENCE.sub("", text_of(document)))
        for name in re.findall(r"\b(?:sep_\w+|all_shared|all_private)\b", code)
    }
    assert named >= {"all_shared", "all_private", "sep_emb", "sep_l1_3"}
    for name in named - {"sep_attention"}:  # that is added by an example
        preset(name)


def test_tables_are_those_of_their_files():
    """Made by `python tools/tables.py`."""
    for document in tables.documents():
        assert tables.stale(document)[1] == []


def test_every_result_is_a_measurement():
    for path in sorted((ROOT / "results").glob("*.json")):
        record.read(path)


def test_numbers_in_tables_come_from_files():
    """A table with more than a number in a row stands between the markers of tools/tables.py."""
    for document in DOCUMENTS:
        rest = FENCE.sub("", tables.BLOCK.sub("", text_of(document)))
        for row in re.findall(r"^\|.*\|$", rest, re.M):
            cells = [cell.strip() for cell in row.strip("|").split("|")]
            numbers = [c for c in cells if re.fullmatch(r"\d[\d,]*(\.\d+)?( \(.*\))?( %)?", c)]
            assert len(numbers) < 2, f"{document.relative_to(ROOT)}: {row}"


def recorded() -> set[str]:
    """Every figure of results/, as documents may print it; rates also in percent."""
    found: set[str] = set()
    for path in (ROOT / "results").glob("*.json"):
        records = record.read(path)["records"]
        values = [r.get(key) for r in records for key in ("value", "low", "high", "sd")]
        for value in values:
            if isinstance(value, int | float):
                found |= {f"{abs(x):,.{n}f}" for x in (value, 100 * value) for n in (1, 2, 3)}
        if any(r.get("metric") == "sentence_retrieval" for r in records):
            found |= set(
                re.findall(r"\d+\.\d+", by_layer(list(map(Record.from_json, records))))
            )  # means of both directions
    return found


def test_decimals_in_running_text_have_a_record():
    there = recorded()
    for document in DOCUMENTS:
        text = INLINE.sub("", FENCE.sub("", tables.BLOCK.sub("", text_of(document))))
        text = re.sub(r"\]\([^)]*\)|<http[^>]*>|Python [\d.]+((,| and| or) 3\.\d+)*", "", text)
        for number in re.findall(r"(?<![\w.])\d[\d,]*\.\d+(?![\w.]*\.\d|\w)", text):
            assert number in there, f"{document.relative_to(ROOT)}: {number}"


def test_the_picture_of_masks_is_up_to_date():
    """Made by `python tools/draw_masks.py`."""
    assert draw_masks.PICTURE.read_text(encoding="utf-8") == draw_masks.draw()


def test_the_slope_is_up_to_date():
    """Made by `python tools/draw_slope.py`."""
    assert draw_slope.PICTURE.read_text(encoding="utf-8") == draw_slope.draw()


def test_the_picture_of_growth_is_up_to_date():
    """Made by `python tools/draw_growth.py`."""
    assert draw_growth.PICTURE.read_text(encoding="utf-8") == draw_growth.draw()


def test_readme_is_short():
    assert len(text_of(ROOT / "README.md").splitlines()) < 180


def test_the_citation_is_of_this_version():
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert re.search(r"^version: (.+)$", text, re.M)[1] == project["version"]  # type: ignore[index]
    assert "doi: 10.18653/v1/2020.acl-main.536" in text
    assert "Version 2.0, January 2004" in (ROOT / "LICENSE").read_text(encoding="utf-8")
