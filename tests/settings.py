"""Compiler options of the tests: most run with compilers that optimise little; some must not."""

import os

XLA_FLAGS = "--xla_cpu_use_fusion_emitters=false"  # compiling takes half as long
SHIPPED = "XL_JAX_TESTS_SHIPPED" in os.environ  # conftest leaves all as users have it


def shipped_environment() -> dict[str, str]:
    """Of a command that compiles as users' do."""
    theirs = {k: v for k, v in os.environ.items() if not k.startswith(("JAX_", "XLA_", "PYTEST_"))}
    return theirs | {"JAX_PLATFORMS": "cpu"}
