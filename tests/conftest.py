"""Eight simulated devices, and the shapes in public signatures checked while the tests run."""

import os

import jax
from jaxtyping import install_import_hook

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_rank_promotion", "raise")

install_import_hook("xl_jax", "beartype.beartype")
