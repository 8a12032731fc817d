"""Dependency trees: CoNLL-U files and the Universal Dependencies of TFDS (paper section 5).

tfds:universal_dependencies/en_ewt:train
files:GLOB                                CoNLL-U, e.g. files:en_ewt-ud-*.conllu

A tree has the syntactic words alone: a multi-word token (`1-2 du`) and an empty node (`8.1`) are no
words. Their lines are kept (multi-word tokens) or left out (empty nodes, which belong to the
enhanced graph) where a tree is written again.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import conllu

from xl_jax.errors import InputError
from xl_jax.tasks import specs

COLUMNS = 10  # of a CoNLL-U line
UPOS, HEAD, RELATION, DEPS = 3, 6, 7, 8  # from 0
NONE = "_"  # what stands in a column that says nothing


class Tree(NamedTuple):
    """One sentence. `heads[i]` is the number from 1 of word i's head, 0 for the root."""

    words: list[str]
    heads: list[int]
    relations: list[str]  # with subtypes, as annotated
    upos: list[str]
    spaced: list[bool]  # a space stands before the word in the text
    lines: list[str]  # comments, multi-word tokens and words, to be written again


def read(text: str, language: str, counts: Counter[str], whole: bool = True) -> list[Tree]:
    """The trees of a spec, in order. Adds to `counts`: `multiword_tokens`, `empty_nodes`.

    Args:
      whole: heads and relations are needed; otherwise words and tags are enough.

    Raises:
      InputError: no such data, wrong encoding, or a sentence that is no tree, with file and line: a
        line without ten columns, words not numbered in order, and where trees are needed a head
        that is missing or outside the sentence, a cycle, no root, several roots.
    """
    del language  # a treebank has one language
    spec = specs.parse(text)
    found = _of_records(spec, counts) if spec.has_records else _of_files(spec, counts)

    def checked() -> Iterator[Tree]:
        for tree, where in found:
            if whole:
                check(tree, where)
            yield tree

    return spec.take(checked())


def simple(relation: str) -> str:
    """The universal part of a relation: `nmod:poss` is `nmod`."""
    return relation.partition(":")[0]


def write(tree: Tree, changed: Mapping[int, Sequence[object]]) -> str:
    """The tree as CoNLL-U with other columns, no enhanced graph, a blank line last.

    Args:
      changed: a value for each word, by the number of the column (`UPOS`, `HEAD`, `RELATION`).
    """
    result, word = [], 0
    for line in tree.lines:
        columns = line.split("\t")
        if len(columns) == COLUMNS and columns[0].isdigit():
            for number, values in changed.items():
                columns[number] = str(values[word])
            columns[DEPS] = NONE
            word += 1
        result.append("\t".join(columns))
    return "\n".join(result) + "\n\n"


def tagged(words: Sequence[str], upos: Sequence[str]) -> Tree:
    """A sentence of words with tags, without a tree."""
    rows = enumerate(zip(words, upos, strict=True), 1)
    lines = ["\t".join((str(i), x, NONE, tag, *[NONE] * 6)) for i, (x, tag) in rows]
    n = len(lines)
    return Tree(list(words), [-1] * n, [NONE] * n, list(upos), [True] * n, lines)


def _of_files(spec: specs.Spec, counts: Counter[str]) -> Iterator[tuple[Tree, str]]:
    """Trees, and file:line of each."""
    for path in specs.files(spec):
        block: list[str] = []
        for number, line in specs.lines(path):
            if line.strip():
                block.append(line)
            elif block:
                where = f"{path}:{number - len(block)}"
                yield _tree(block, where, counts), where
                block = []
        if block:
            where = f"{path}:{number - len(block) + 1}"
            yield _tree(block, where, counts), where


def _tree(block: list[str], where: str, counts: Counter[str]) -> Tree:
    """The tree of a sentence's lines; `where` is file:line of the first."""
    for line in block:
        if not line.startswith("#") and line.count("\t") != COLUMNS - 1:
            raise InputError(f"{where}: not {COLUMNS} columns, separated by tabs: {line[:60]!r}")
    try:
        parsed = conllu.parse("\n".join(block) + "\n")
    except conllu.exceptions.ParseException as error:
        raise InputError(f"{where}: {' '.join(str(error).split())[:200]}") from error
    if len(parsed) != 1:
        raise InputError(f"{where}: a sentence without words")
    words: list[Any] = []
    joined: set[int] = set()
    ends: set[int] = set()
    for token in parsed[0]:
        number = token["id"]
        if isinstance(number, int):
            words.append(token)
        elif number[1] == "-":  # no space between its words, whatever follows the whole
            counts["multiword_tokens"] += 1
            joined.update(range(number[0] + 1, number[2] + 1))
            if (token["misc"] or {}).get("SpaceAfter") == "No":
                ends.add(number[2])
        else:
            counts["empty_nodes"] += 1
    if [token["id"] for token in words] != list(range(1, len(words) + 1)):
        raise InputError(f"{where}: words are not numbered 1, 2, 3, ...")
    ends |= {token["id"] for token in words if (token["misc"] or {}).get("SpaceAfter") == "No"}
    ends -= {number - 1 for number in joined}  # words inside a multi-word token stay apart
    return Tree(
        words=[token["form"] for token in words],
        heads=[-1 if token["head"] is None else token["head"] for token in words],
        relations=[token["deprel"] or "_" for token in words],
        upos=[token["upos"] or "_" for token in words],
        spaced=[token["id"] - 1 not in ends for token in words],
        lines=[line for line in block if "." not in line.split("\t")[0] or line.startswith("#")],
    )


def check(tree: Tree, where: str) -> None:
    """Raises InputError, naming `where`: heads that do not make a tree with one root."""
    n = len(tree.words)
    for i, head in enumerate(tree.heads, 1):
        if not 0 <= head <= n or head == i:
            what = "no head" if head == -1 else f"head {head}"
            raise InputError(f"{where}: word {i} ({tree.words[i - 1]!r}) has {what}")
    roots = [i for i, head in enumerate(tree.heads, 1) if head == 0]
    if len(roots) != 1:
        raise InputError(f"{where}: {len(roots)} roots ({', '.join(map(str, roots)) or 'none'})")
    above = dict(enumerate(tree.heads, 1))
    reached = {0}
    for i in range(1, n + 1):
        path: list[int] = []
        while i not in reached:
            if i in path:
                cycle = ", ".join(map(str, path[path.index(i) :]))
                raise InputError(f"{where}: a cycle of words {cycle}")
            path.append(i)
            i = above[i]
        reached.update(path)


def _of_records(spec: specs.Spec, counts: Counter[str]) -> Iterator[tuple[Tree, str]]:
    classes, rows = specs.records(spec)
    names = classes("upos")
    for number, row in enumerate(rows):
        where = f"{spec.text}, record {number}"
        for name in ("tokens", "head", "deprel", "misc", "upos"):
            specs.column(spec, row, name)
        yield of_record(row, names, where, counts), where


def of_record(row: dict[str, Any], names: list[str], where: str, counts: Counter[str]) -> Tree:
    """A tree out of a record of `universal_dependencies`.

    TFDS keeps the lines of multi-word tokens and empty nodes among the words and drops the column
    that tells them apart: they are the lines whose head is "None".
    """
    columns = {x: [specs.text(v) for v in row[x]] for x in ("tokens", "head", "deprel", "misc")}
    upos = [specs.label(i, names) for i in row["upos"]]
    kept = [i for i, head in enumerate(columns["head"]) if head not in ("None", "_")]
    other = [upos[i] for i, head in enumerate(columns["head"]) if head in ("None", "_")]
    counts["multiword_tokens"] += other.count("_")
    counts["empty_nodes"] += len(other) - other.count("_")
    words = [columns["tokens"][i] for i in kept]
    heads, relations = ([columns[x][i] for i in kept] for x in ("head", "deprel"))
    if not all(head.isdigit() for head in heads):
        raise InputError(f"{where}: a head is not a number: {', '.join(heads)[:100]}")
    rows = zip(words, (upos[i] for i in kept), heads, relations, strict=True)
    lines = [
        "\t".join((str(n), word, "_", tag, "_", "_", head, relation, "_", "_"))
        for n, (word, tag, head, relation) in enumerate(rows, 1)
    ]
    tight = ["'SpaceAfter': 'No'" in columns["misc"][i] for i in kept]
    return Tree(
        words,
        [int(head) for head in heads],
        relations,
        [upos[i] for i in kept],
        [True] + [not x for x in tight[:-1]],
        lines,
    )
