"""From hits, one a test item, to records: of every layer, and of the best one."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from xl_jax.analysis.bootstrap import best_layer, rate_interval
from xl_jax.analysis.record import Record

BEST = "best_layer"
DIFFERENT = "_different"  # ends the metrics of words that are not their own translation


class Hits(NamedTuple):
    """Whether each of n items was hit at one layer, by each of E encoders: one, or several random
    ones. `extras` tell this way of scoring apart from the others of the same metric."""

    layer: int
    extras: Mapping[str, Any]
    hits: Float[np.ndarray, "E n"]


def by_layer(metric: str, found: Sequence[Hits], **common: Any) -> Iterator[Record]:
    """A record of each.

    Args:
      common: fields of every record; `extras` among them are added to those of the hits.
    """
    more = common.pop("extras", {})
    for one in found:
        low, high = rate_interval(one.hits.mean(0), 0)
        extras = {**one.extras, **more, **spread(one.hits.mean(1))}
        value = float(one.hits.mean())
        yield Record(metric, value, layer=one.layer, low=low, high=high, extras=extras, **common)


def at_best_layer(metric: str, found: Sequence[Hits], **common: Any) -> Iterator[Record]:
    """A record of the best layer of each way of scoring that has several.

    The best layer is chosen on the very items that it is scored on: its record has the metric
    "best_layer", and its interval takes the choice into account (see `bootstrap.best_layer`).

    Args:
      common: see `by_layer`.
    """
    more = common.pop("extras", {})
    ways: dict[str, list[Hits]] = {}
    for one in found:
        ways.setdefault(json.dumps(one.extras), []).append(one)
    for way in ways.values():
        if len(way) == 1:
            continue
        best = best_layer(np.stack([one.hits.mean(0) for one in way]), 0)
        extras = {"of": metric, "chosen_on": "test items", "corrected": best.corrected}
        chosen = way[best.layer]
        yield Record(
            BEST,
            best.value,
            layer=chosen.layer,
            low=best.low,
            high=best.high,
            extras={**extras, **chosen.extras, **more, **spread(chosen.hits.mean(1))},
            **common,
        )


def of_different(
    metric: str,
    found: Sequence[Hits],
    different: Bool[np.ndarray, " n"],
    common: Mapping[str, Any],
) -> tuple[str, list[Hits], dict[str, Any]]:
    """The same without the words that both languages have: a common token is its own translation,
    which no training is needed for. All words stay candidates. The field `common` counts those left
    out."""
    kept = [one._replace(hits=one.hits[:, different]) for one in found]
    extras = {**common.get("extras", {}), "common": int((~different).sum())}
    return f"{metric}{DIFFERENT}", kept, {**common, "n": int(different.sum()), "extras": extras}


def spread(values: Sequence[float] | np.ndarray) -> dict[str, Any]:
    """Of the scores of several random encoders: their number and standard deviation."""
    if len(values) == 1:
        return {}
    return {"encoders": len(values), "sd": float(np.std(values, ddof=1))}
