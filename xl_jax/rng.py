"""Every random choice is a pure function of (seed, purpose, counters): resuming is counting on.

The purposes are numbered here, so that no two streams meet. JAX draws on the device, NumPy draws on
the host.
"""

import enum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # the processes that prepare data start without JAX
    import jax


class Purpose(enum.IntEnum):
    INIT = 0
    MASKING = 1
    DROPOUT = 2
    LANGUAGE = 3
    WINDOWS = 4
    HELDOUT_MASKING = 5
    TWIN_ORDER = 6
    SHUFFLED_PAIRS = 7
    VOCAB_SAMPLE = 8
    CODE_SWITCH = 9
    FINETUNE_INIT = 10
    FINETUNE_ORDER = 11
    FINETUNE_DROPOUT = 12
    BOOTSTRAP = 13
    RANDOM_MAP = 14
    RANDOM_ENCODER = 15


def key(seed: "int | jax.Array", purpose: Purpose) -> "jax.Array":
    """The JAX key of a purpose; fold step and slot numbers into it. `seed` may be traced."""
    import jax

    return jax.random.fold_in(jax.random.key(seed), int(purpose))


def generator(seed: int, purpose: Purpose, *counters: int) -> np.random.Generator:
    """A NumPy generator of its own for each (purpose, counters)."""
    return np.random.default_rng((seed, int(purpose), *counters))
