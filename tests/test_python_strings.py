"""Texts of a Python source, against its syntax tree."""

import ast
from pathlib import Path

import absl
import pytest

from xl_jax.text import python_strings


def of_tree(source: bytes) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(source)):
        text = node.value if isinstance(node, ast.Expr) else node
        if isinstance(text, ast.Constant) and isinstance(text.value, str):
            if ("\n" in text.value) != isinstance(node, ast.Expr):
                found.append(text)
    return [x.value for x in sorted(found, key=lambda x: (x.lineno, x.col_offset))]


@pytest.mark.parametrize(
    "source",
    [
        '"""of a module"""  # "comment"\n\ndef f(x: str = "no"):\n    r"""of a \\function"""\n',
        'class A(E): """beside its class"""\n"""two"""\n\'\'\'it\'s "four"\'\'\'\n',
        'f("a\\n" "b", \'c\')\nf("alone",\n  # (comment\n  "in brackets"\n  "joined\\n")\n',
        'x = ["\\\\", "(", """a\nb""", \'[{\']\n"after brackets"\n',
        'x: "annotation"\ny = lambda: "value"\nassert x, \\\n  "more"\n"no" % y\n"no".join(y)',
        'f"""a {x}\nb {{c}}"""\nf"{x}"\nb"""bytes\n"""\nrb"x"\nif x: "y"\n"joined" \\\n    " on"\n',
        '"""a "quoted" \\""" word"""\nx = \'"""\'\n# it\'s\n"""end"""',
    ],
)
def test_the_same_texts_as_in_the_syntax_tree(source: str) -> None:
    tree = [x for x in of_tree(source.encode()) if x != "y"]  # a header and its body on one line
    assert python_strings.texts(source.encode()) == tree


def test_the_same_texts_as_in_the_syntax_trees_of_a_package() -> None:
    paths = sorted(Path(absl.__file__).parent.rglob("*.py"))
    sources = [path.read_bytes() for path in paths]
    texts = list(map(python_strings.texts, sources))
    assert texts == [of_tree(source) for source in sources]
    assert sum(map(len, texts)) > 500
