"""pyproject.toml, what the code needs, agrees with requirements.txt, what results are made with."""

import tomllib
from pathlib import Path

from packaging.requirements import Requirement

from xl_jax.text.docstrings import PACKAGES

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pinned() -> dict[str, Requirement]:
    lines = [
        x.partition("#")[0].strip() for x in (ROOT / "requirements.txt").read_text().split("\n")
    ]
    return {r.name: r for r in map(Requirement, [x for x in lines if x and x[0] != "-"])}


def test_every_range_has_a_pin_within_it() -> None:
    pins = pinned()
    for wanted in map(Requirement, PROJECT["dependencies"]):
        (pin,) = pins[wanted.name].specifier
        assert pin.operator == "==" and wanted.specifier.contains(pin.version), wanted


def test_the_embedded_corpus_never_reads_the_installed_checkout() -> None:
    assert not {"xl_jax", "configs", "tools", "tests"} & set(PACKAGES)
