"""Names that come from elsewhere: as names of files, and printed."""

from pathlib import Path

import pytest

from xl_jax import cli
from xl_jax.errors import InputError, printable
from xl_jax.file_names import file_name

BAD = [
    "../../x", "/", "/etc/passwd", ".", "..", ".hidden", "", " ", "a b", "a\nb", "\x1b[31m",
    "$HOME", "<b>", "'\"", "a" * 260, "ä" * 260, "a" * 259 + "b", "a/b", "a\\b", "a%2Fb",
    "\udcff", "nul\0",
]  # fmt: skip


@pytest.mark.parametrize("name", ["en", "zh-Hant", "sr_Latn", "français", "中文", "a.b", "c++"])
def test_ordinary_names_stay(name: str) -> None:
    assert file_name(name) == name


@pytest.mark.parametrize("name", BAD)
def test_any_other_name_is_one_part_of_a_path(name: str, tmp_path: Path) -> None:
    path = tmp_path / file_name(name)
    path.write_text("x")
    assert path.parent == tmp_path and list(tmp_path.iterdir()) == [path]
    assert not path.name.startswith(".") and file_name(name).isprintable()


def test_different_names_stay_different() -> None:
    assert len({file_name(name) for name in BAD}) == len(BAD)
    assert (file_name("../../x"), file_name("a b'")) == ("%2E.%2F..%2Fx", "a%20b%27")


def test_names_command_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert printable("\x1b[2J\n\u202eä中'<b>") == "\\x1b[2J\\n\\u202eä中'<b>"
    with pytest.raises(SystemExit, match="2"), cli.one_line_errors():
        raise InputError("no language \x1b[2J")
    assert capsys.readouterr().err == "error: no language \\x1b[2J\n"
