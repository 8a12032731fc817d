"""English prose from the docstrings of the installed packages: a corpus that nobody downloads.

The text depends only on the pinned versions of `PACKAGES`: sources are searched, never imported;
paths are sorted; files that a build generates and compiled modules are left out.
"""

import importlib.metadata
import importlib.util
import inspect
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from xl_jax.errors import InputError
from xl_jax.text import python_strings

# Import names. All are pinned in requirements.txt, directly or as a firm dependency of the stack;
# scikit-learn would add 18 % more text, jaxlib and fontTools too little for their seconds.
PACKAGES: tuple[str, ...] = (
    "numpy", "scipy", "matplotlib", "mpl_toolkits", "jax", "flax", "optax", "orbax",
    "ml_collections", "tensorflow_datasets", "tensorboardX", "tqdm", "absl", "etils",
    "rich", "treescope", "PIL", "opt_einsum", "pyparsing", "dateutil",
)  # fmt: skip

_DISTRIBUTION = {  # where the name to install is not the import name
    "PIL": "pillow",
    "absl": "absl-py",
    "dateutil": "python-dateutil",
    "mpl_toolkits": "matplotlib",
    "orbax": "orbax-checkpoint",
    "sklearn": "scikit-learn",
}

# Tests hold little prose; the rest differs between platforms, Python versions or builds.
_SKIP_FOLDERS = {"tests", "testing", "_vendor", "externals", "distutils", "_pyinstaller"}
_SKIP_FILES = re.compile(r"(test_.*|.*_test|__config__|_?version|_distributor_init|.*_pb2)\.py")

# A bullet or number, then perhaps the name of an item in Google style: `- name (type): text`.
_START = re.compile(
    r"(?=\S)(?:(?:[-*+•]|\(?(?:\d{1,2}|[a-z])[.)])\s+)?"
    r"(?:[`*\'\"]*[A-Za-z_][\w.]*[`*\'\"]*(?: \([^)]*\))?: +)?(?=\S)"
)
_TYPED = re.compile(r"[\w*`.,\[\] ]+ : |:\w+[^:]*:")  # NumPy style `name : type`, Sphinx fields
_RULER = re.compile(r"(\W)\1{2,}$|[-=~+| ]{3,}$")
_VERBATIM = re.compile(r"\.\. (?!note|warning|tip|important|seealso)|.*::$")
_UNWANTED_SECTION = {"references", "see also", "examples", "example", "authors", "citation"}

_ROLE = re.compile(r":[a-z:]+:`!?([^`<]+?)(?: ?<[^`]*>)?`")
_QUOTED = re.compile(r"(\*\*|\*|``|`)(?:~[\w.]*\.)?([A-Za-z][A-Za-z0-9_ -]*)\1")
_CITATION = re.compile(  # not where the sentence leans on it: "the method of [1]_"
    r"(?<!\bof)(?<!\bin)(?<!\bby)(?<!\bto)(?<!\bfrom)(?<!\b[Ss]ee)(?<!\band)(?:,? \[\w+\]_)+"
)
_SENTENCE_END = re.compile(
    r"(?<=[.!?])(?<!e\.g\.)(?<!i\.e\.)(?<!etc\.)(?<! vs\.)(?<! al\.)(?<! cf\.)(?<! Eq\.)"
    r"(?<!Fig\.)(?<!\b[A-Z]\.)\s+(?=[A-Z])"
)
_SENTENCE = re.compile(r"[A-Z][A-Za-z0-9 ,;:'\"()%/?!.-]*[a-z)][.?!]$")
_CODE = re.compile(  # calls, camelCase, dotted names, paths, model numbers
    r"\w\(|\b[a-z]\w*[A-Z]|(?<!e)(?<!i)\.[A-Za-z]|:[A-Za-z]|/\w+/|--|\.\.|\b[A-Z0-9]+-?\d{3}"
)
_LICENCE = re.compile(
    r"copyright|licen[sc]e|warrant|redistribut|\bliab|all rights reserved|permission", re.I
)


def read(packages: Sequence[str] = PACKAGES) -> Iterator[str]:
    """Yields distinct English sentences of 5 to 40 words, in the order of the sorted files.

    Args:
      packages: top-level import names; their sources are read one after the other.

    Raises:
      InputError (a ValueError): a package is not installed; all are checked before any is read.
    """
    folders = [folder for package in packages for folder in _folders(package)]
    return _distinct(folders)


def versions(packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    """The version of each package, "none" where it is not installed: the text depends on nothing
    else."""
    found = {}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(_distribution(package))
        except importlib.metadata.PackageNotFoundError:
            found[package] = "none"
    return found


def sentences(docstring: str) -> Iterator[str]:
    """The sentences of one docstring that read as prose; duplicates are kept."""
    for paragraph in _paragraphs(docstring):
        if len(paragraph) < 20:
            continue
        text = _QUOTED.sub(_words, _ROLE.sub(r"`\1`", paragraph))
        if "]_" in text:  # searching is slow
            text = _CITATION.sub("", text)
        for sentence in _SENTENCE_END.split(text):
            if _is_prose(sentence):
                yield sentence


def _distinct(folders: Iterable[Path]) -> Iterator[str]:
    seen: set[str] = set()
    for folder in folders:
        for path in _sources(folder):
            for docstring in _docstrings(path):
                for sentence in sentences(docstring):
                    if sentence not in seen:
                        seen.add(sentence)
                        yield sentence


def _folders(package: str) -> list[Path]:
    spec = importlib.util.find_spec(package)  # a top-level name: found without being imported
    if spec is None or not spec.submodule_search_locations:
        raise InputError(
            f"package {package!r} is not installed: pip install {_distribution(package)} "
            "(the text depends on its version: prefer pip install -r requirements.txt)"
        )
    return [Path(location) for location in sorted(set(spec.submodule_search_locations))]


def _distribution(package: str) -> str:
    return _DISTRIBUTION.get(package, package.replace("_", "-"))


def _sources(folder: Path) -> list[Path]:
    """Python files below `folder`, sorted by their relative path on every platform alike."""
    found = []
    for path in folder.rglob("*.py"):
        parts = path.relative_to(folder).parts
        if not _SKIP_FOLDERS.intersection(parts) and not _SKIP_FILES.fullmatch(path.name):
            found.append((parts, path))
    return [path for _, path in sorted(found)]


def _docstrings(path: Path) -> Iterator[str]:
    source = path.read_bytes()
    if b'"""' not in source and b"'''" not in source:  # no prose: spares the search
        return
    yield from map(inspect.cleandoc, python_strings.texts(source))


def _words(quoted: re.Match[str]) -> str:
    return quoted[2].replace("_", " ").strip()  # `step_size` reads as English without the rest


def _paragraphs(docstring: str) -> Iterator[str]:
    """Joins the lines that belong together; code, tables, rulers and unwanted sections go.

    A paragraph ends at a blank line, a bullet or a change of indent, but the text of a bullet or
    of a `name: text` item continues at any deeper indent.
    """
    lines = docstring.expandtabs().splitlines()
    words: list[str] = []
    indent = 0
    hanging = False
    skip_deeper: int | None = None  # inside a verbatim block: its indent
    skip_section = False
    doctest = False
    for number, line in enumerate(lines):
        text = line.strip()
        depth = len(line) - len(line.lstrip())
        following = lines[number + 1].strip() if number + 1 < len(lines) else ""
        if text and skip_deeper is not None and depth <= skip_deeper:
            skip_deeper = None
        heading = bool(text) and bool(following) and _RULER.match(following) is not None
        if heading:
            skip_section = text.lower().rstrip(":") in _UNWANTED_SECTION
        doctest = bool(text) and (doctest or text.startswith((">>>", "$ ", "```")))
        start = _START.match(text)
        starts = start.end() if start else 0
        broken = (
            not text or heading or doctest or skip_section or skip_deeper is not None
            or "|" in text or _RULER.match(text) or _TYPED.match(text) or _VERBATIM.match(text)
        )  # fmt: skip
        if broken or starts or (depth < indent if hanging else depth != indent):
            if words:
                yield " ".join(words)
            words, hanging = [], False
        if text and skip_deeper is None and _VERBATIM.match(text):
            skip_deeper = depth
        if broken:
            continue
        if not words:
            indent, hanging = depth + (starts > 0), starts > 0
        words.extend((text[starts:]).split())
    if words:
        yield " ".join(words)


def _is_prose(sentence: str) -> bool:
    if not 5 <= sentence.count(" ") + 1 <= 40 or not _SENTENCE.match(sentence):
        return False
    if _CODE.search(sentence) or _LICENCE.search(sentence):
        return False
    if sentence.count("(") != sentence.count(")") or sentence.count('"') % 2:
        return False
    return sum(c.isalpha() or c == " " for c in sentence) >= 0.85 * len(sentence)
