"""Eight simulated devices, and the shapes in public signatures checked while the tests run."""

import gc
import os
import re
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import pytest
import settings
from jaxtyping import install_import_hook

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in the background of a shell
    signal.signal(signal.SIGINT, signal.default_int_handler)  # commands under test hear it
os.environ["PYTHONPATH"] = str(Path(__file__).parents[1])  # commands run this checkout's code
jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_rank_promotion", "raise")

# Compiling is what these tests spend their time on: optimise little, compile equal programs once.
# The commands that tests start read the same settings from the environment, and so do the workers
# of pytest-xdist, which share the cache of its first process. Name a folder in
# JAX_COMPILATION_CACHE_DIR, and what is compiled is kept for the next time.
if not settings.SHIPPED:
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        CACHE = tempfile.TemporaryDirectory()
        os.environ["JAX_COMPILATION_CACHE_DIR"] = CACHE.name
    if settings.XLA_FLAGS not in (given := os.environ.get("XLA_FLAGS", "")):
        os.environ["XLA_FLAGS"] = f"{given} {settings.XLA_FLAGS}"
    for name, value in {
        "jax_disable_most_optimizations": True,
        "jax_traceback_in_locations_limit": 0,  # no line of source at each operation
        "jax_compilation_cache_dir": os.environ["JAX_COMPILATION_CACHE_DIR"],
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }.items():
        jax.config.update(name, value)
        os.environ[name.upper()] = str(value)

import xl_jax.config  # noqa: E402, F401  not hooked: what it says of wrong types is tested
import xl_jax.text.synthetic  # noqa: E402, F401  nor this: it has no arrays, and many small functions

# Modules that write shapes; mypy sees the types of the others, and a check at every call would take
# a seventh of the tests' time.
ROOT = Path(__file__).parents[1]
WITH_SHAPES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "xl_jax").rglob("*.py")
    if "jaxtyping" in path.read_text("utf-8")
]
install_import_hook(WITH_SHAPES, "beartype.beartype")


LONGEST = (
    "test_main_job", "test_run", "test_distributed", "test_step", "test_runner", "test_transfer",
    "test_torture", "test_notebook", "test_bench", "test_stored_run", "test_export",
    "test_start_from", "test_import", "test_shipped_options", "test_study_command",
    "test_eval_command", "test_device_check", "test_pipeline",
)  # fmt: skip


@pytest.fixture(autouse=True)
def settings_stay() -> Iterator[None]:
    """No test leaves JAX other settings than it found."""
    before = dict(jax.config.values)
    yield
    assert dict(jax.config.values) == before


@pytest.fixture(scope="module")
def compiled() -> Iterator[Any]:
    """Names of the programs that a module compiles, see `compiling`."""
    from tests.compiling import compiled_programs  # not before the import hook

    with compiled_programs() as found:
        yield found


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """A file of slow tests alone is not even imported where those are left out."""
    if config.option.markexpr == "not slow" and collection_path.name.startswith("test_"):
        slow = r"^pytestmark = .*pytest\.mark\.slow"
        return bool(re.search(slow, collection_path.read_text("utf-8"), re.MULTILINE)) or None
    return None


def pytest_collection_finish() -> None:
    """Tracing makes objects by the million: they are looked through for circles less often, and
    what is there before the first test, never."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: a worker that takes one last would work alone."""
    items.sort(
        key=lambda item: LONGEST.index(x) if (x := item.path.stem) in LONGEST else len(LONGEST)
    )
