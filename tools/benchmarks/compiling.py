"""How long the training step takes to compile, new and out of the cache of compiled programs."""

import argparse
import tempfile
import time
from typing import Any

from tools.benchmarks.racing import spread
from tools.benchmarks.step import shared_model
from tools.benchmarks.torch_step import Shape


def compiling(args: argparse.Namespace, shape: Shape) -> list[dict[str, Any]]:
    """Seconds of tracing, of XLA, and of both with a filled cache, by preset; records of every
    round."""
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    from xl_jax.devices.mesh import one_device
    from xl_jax.training.compiled_step import compile_step

    records: list[dict[str, Any]] = []
    print(f"{'sharing':<14}{'new, s':<26}{'from the cache, s':<26}")
    for name in args.presets.split(","):
        model = shared_model(shape, ("en", "fr"), name)
        seconds: dict[str, list[float]] = {"new": [], "cached": []}
        for r in range(args.rounds):
            with tempfile.TemporaryDirectory() as cache:
                jax.config.update("jax_compilation_cache_dir", cache)
                jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
                compilation_cache.reset_cache()  # or it would go on with the last round's folder
                for kind in seconds:
                    jax.clear_caches()
                    start = time.perf_counter()
                    compile_step(model, one_device())
                    seconds[kind].append(time.perf_counter() - start)
                    record = {"metric": f"compile_seconds_{kind}", "arm": name, "round": r}
                    records.append({**record, "value": seconds[kind][-1]})
                jax.config.update("jax_compilation_cache_dir", None)
                compilation_cache.reset_cache()
        new, cached = (spread(seconds[kind], 1) for kind in ("new", "cached"))
        print(f"{name:<14}{new:<26}{cached:<26}")
    return records
