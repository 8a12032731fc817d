"""Compiler options of the tests: most run with compilers that optimise little; some must not."""

import os

# Compiling takes half as long without the first, and a tenth less in one piece than in 32.
XLA_FLAGS = "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
SHIPPED = "XL_JAX_TESTS_SHIPPED" in os.environ  # conftest leaves all as users have it


def shipped_environment() -> dict[str, str]:
    """Of a command that compiles as users' do."""
    theirs = {k: v for k, v in os.environ.items() if not k.startswith(("JAX_", "XLA_", "PYTEST_"))}
    return theirs | {"JAX_PLATFORMS": "cpu"}
