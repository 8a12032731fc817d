"""Which parameters must two languages share? Masked language models with sharing masks, in JAX.

From Python, a trained run is `xl_jax.load("runs/tiny")`; see docs/api.md. Importing this package is
quick: what it offers is imported when it is first used, JAX with it.
"""

from __future__ import annotations  # see `stopping`

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xl_jax.errors import InputError as InputError
    from xl_jax.evaluate.api import Encoder as Encoder
    from xl_jax.evaluate.api import TrainedRun as TrainedRun
    from xl_jax.evaluate.api import load as load
    from xl_jax.report.figures import plot_layers as plot_layers

_HOMES = {
    "Encoder": "xl_jax.evaluate.api",
    "InputError": "xl_jax.errors",
    "TrainedRun": "xl_jax.evaluate.api",
    "load": "xl_jax.evaluate.api",
    "plot_layers": "xl_jax.report.figures",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
