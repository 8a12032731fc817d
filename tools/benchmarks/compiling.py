"""How long the training step takes to compile, new and out of the cache of compiled programs."""

import argparse
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tools.benchmarks.racing import spread
from tools.benchmarks.step import shared_model
from tools.benchmarks.torch_step import Shape


@contextmanager
def cache_of_its_own() -> Iterator[None]:
    """An empty cache of compiled programs, however quick they are to compile; afterwards the one
    before."""
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    def use(settings: Mapping[str, Any]) -> None:
        for name, value in settings.items():
            jax.config.update(name, value)
        compilation_cache.reset_cache()  # or it would go on with the folder before

    folder, seconds = "jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs"
    before = {name: jax.config.values[name] for name in (folder, seconds)}
    with tempfile.TemporaryDirectory() as cache:
        use({folder: cache, seconds: 0.0})
        try:
            yield
        finally:
            use(before)


def compiling(args: argparse.Namespace, shape: Shape) -> list[dict[str, Any]]:
    """Seconds of tracing, of XLA, and of both with a filled cache, by preset; records of every
    round."""
    import jax

    from xl_jax.devices.mesh import one_device
    from xl_jax.training.compiled_step import compile_step

    records: list[dict[str, Any]] = []
    print(f"{'sharing':<14}{'new, s':<26}{'from the cache, s':<26}")
    for name in args.presets.split(","):
        model = shared_model(shape, ("en", "fr"), name)
        seconds: dict[str, list[float]] = {"new": [], "cached": []}
        for r in range(args.rounds):
            with cache_of_its_own():
                for kind in seconds:
                    jax.clear_caches()
                    start = time.perf_counter()
                    compile_step(model, one_device())
                    seconds[kind].append(time.perf_counter() - start)
                    record = {"metric": f"compile_seconds_{kind}", "arm": name, "round": r}
                    records.append({**record, "value": seconds[kind][-1]})
        new, cached = (spread(seconds[kind], 1) for kind in ("new", "cached"))
        print(f"{name:<14}{new:<26}{cached:<26}")
    return records
