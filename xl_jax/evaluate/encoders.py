"""The encoders of a run, trained and untrained, as every language sees them."""

from dataclasses import dataclass
from typing import Any

from xl_jax.analysis.features import Extractor
from xl_jax.runs.run_directory import Run
from xl_jax.tasks.rows import FIRST
from xl_jax.training.step import init_state


@dataclass(frozen=True, eq=False)
class Encoders:
    """The languages' views of one run, before and after training."""

    run: Run
    step: int
    views: dict[str, dict[str, Any]]  # trained | untrained -> language -> view
    extractor: Extractor

    @classmethod
    def of(cls, run: Run) -> "Encoders":
        step, params = run.trained()
        views = {
            "trained": run.views(params),
            "untrained": run.views(init_state(run.model).params),
        }
        return cls(run, step, views, Extractor(run.model.module, FIRST[run.config.data.windows]))

    @property
    def layers(self) -> int:
        """The number of the last one."""
        return self.run.config.model.layers
