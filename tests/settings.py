"""JAX's settings in tests: most run with compilers that optimise little; some must not."""

from collections.abc import Iterator
from contextlib import contextmanager

import jax


@contextmanager
def shipped_compiler_options() -> Iterator[None]:
    """Within the context programs are compiled as users' are."""
    before = jax.config.values["jax_disable_most_optimizations"]
    jax.config.update("jax_disable_most_optimizations", False)
    jax.clear_caches()
    try:
        yield
    finally:
        jax.config.update("jax_disable_most_optimizations", before)
        jax.clear_caches()
