"""Prose of installed packages: what is taken, what is left out, and what it depends on."""

import importlib.metadata
import sys

import numpy as np
import pytest

from xl_jax.text import docstrings

DOCSTRING = """Returns the ``step_size`` of the :class:`~flax.Module` given here. It uses `jnp.sum`.

The first line of a paragraph goes on
over the next line, e.g. This one [3]_.

    >>> a doctest is not a sentence of English prose.

Parameters
----------
axis : int, optional
    The axis along which the values are summed.

Args:
  rate: The share of the tokens that is
    predicted in every row.

- A bullet is a sentence of its own if it ends like one.

.. code-block:: python

    This looks like a sentence but is a block of code.

This table | is not a sentence of prose.
Too short a one.
Copyright belongs to the authors of this program.

References
----------
Smith wrote a fine paper about the matter in question.
"""


def test_prose_of_a_docstring():
    assert list(docstrings.sentences(DOCSTRING)) == [
        "Returns the step size of the Module given here.",
        "The first line of a paragraph goes on over the next line, e.g. This one.",
        "The axis along which the values are summed.",
        "The share of the tokens that is predicted in every row.",
        "A bullet is a sentence of its own if it ends like one.",
    ]


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "xl_prose"
    (folder / "tests").mkdir(parents=True)
    monkeypatch.syspath_prepend(str(tmp_path))
    (folder / "b.py").write_text('"""The second file has only this sentence."""\nX = "\\d"\n')
    (folder / "a.py").write_text(
        'raise RuntimeError("imported")\n'
        'class A:\n  """The class comes first in the text."""\n'
        '  def f(self):\n    """The second file has only this sentence."""\n'
        'add_newdoc("x", """\n    The compiled function has a sentence as well.\n    """)\n'
    )
    (folder / "newer.py").write_text('"""The syntax may be that of a newer Python."""\ndef f[T: (')
    (folder / "_version.py").write_text('"""A file that a build generates is skipped."""')
    (folder / "tests" / "c.py").write_text('"""A folder that holds tests is skipped."""')
    return "xl_prose"


def test_reads_sorted_files_once_without_importing_them(package):
    assert list(docstrings.read([package])) == [
        "The class comes first in the text.",
        "The second file has only this sentence.",
        "The compiled function has a sentence as well.",
        "The syntax may be that of a newer Python.",
    ]
    assert package not in sys.modules


def test_namespace_packages_are_read():
    assert next(docstrings.read(["orbax"])).endswith(".")


def test_a_missing_package_is_named_before_anything_is_read():
    with pytest.raises(ValueError, match=r"'no_such_prose' is not installed: pip install no-such"):
        docstrings.read(["optax", "no_such_prose"])


def test_every_default_package_is_installed():
    assert next(docstrings.read())


def test_sentences_of_an_installed_package_are_distinct_prose():
    lines = list(docstrings.read(["ml_collections", "optax"]))
    assert len(lines) == len(set(lines)) > 500
    assert all(5 <= len(line.split(" ")) <= 40 for line in lines)
    assert all(line.isascii() and line[0].isupper() and line[-1] in ".?!" for line in lines)


def test_versions_tell_what_the_text_depends_on() -> None:
    found = docstrings.versions(("numpy", "mpl_toolkits", "no_such_package"))
    assert found["numpy"] == np.__version__ and found["no_such_package"] == "none"
    assert found["mpl_toolkits"] == importlib.metadata.version("matplotlib")
