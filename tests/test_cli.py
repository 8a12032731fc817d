"""How commands end: one line, and an exit code."""

import errno

import pytest

from xl_jax import cli
from xl_jax.errors import InputError


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("no such thing"), 2, "error: no such thing"),
        (RuntimeError("it failed"), 1, "error: it failed"),
        (OSError(errno.EACCES, "Permission denied", "x/y"), 1, "error: x/y: Permission denied"),
        (OSError(errno.EIO, "Input/output error"), 1, "error: Input/output error"),
        (OSError("280 requested and 12 written"), 1, "error: 280 requested and 12 written"),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            1,
            "error: No space left on device; the same command continues when there is room",
        ),
    ],
)
def test_errors_are_one_line(
    error: Exception, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended, cli.one_line_errors():
        raise error
    assert ended.value.code == code
    assert capsys.readouterr().err == f"{line}\n"
