"""What a program computes does not hang on the compiler options that most tests have."""

import subprocess
import sys
from pathlib import Path

import pytest
from settings import shipped_environment

CHOSEN = "everything_shared or gelu or (linear and (shape3 or shape5)) or (layer_norm and shape2)"


@pytest.mark.slow
def test_the_same_under_the_compiler_options_that_are_shipped() -> None:
    """A step against plain training, and hand-written derivatives against autodiff."""
    files = ["tests/test_step.py", "tests/test_custom_vjp.py"]
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *files, "-k", CHOSEN],
        cwd=Path(__file__).parents[1],
        env=shipped_environment() | {"XL_JAX_TESTS_SHIPPED": "yes"},
        capture_output=True, text=True,
    )  # fmt: skip
    assert ended.returncode == 0 and "8 passed" in ended.stdout, ended.stdout
