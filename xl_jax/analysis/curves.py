"""When does a measure rise over training, and does it stay? Of records of several steps."""

from collections.abc import Iterable, Iterator

from xl_jax.analysis.record import Record

OVER_TRAINING = "over_training"
WAY = ("target_layer", "centred", "map", "criterion", "kernel", "score")  # tell curves apart


def summaries(records: Iterable[Record]) -> Iterator[Record]:
    """A record "over_training" of every measure, layer, direction and way of scoring: its value is
    the last step's; `start` the first step's; `half_step` the first step at which half of the way
    from start to end is passed, between two measured steps by a straight line (None: it ends where
    it started); `peak` and `peak_step`, the highest value and its step."""
    curves: dict[tuple[object, ...], list[Record]] = {}
    for r in records:
        if r.metric not in ("best_layer", OVER_TRAINING):
            way = tuple(r.get(name) for name in WAY)
            curves.setdefault((r.metric, r.source, r.target, r.layer, *way), []).append(r)
    for of_steps in curves.values():
        curve = sorted(of_steps, key=lambda r: r.step or 0)
        first, last = curve[0], curve[-1]
        peak = max(curve, key=lambda r: r.value)
        points = [(r.step or 0, r.value) for r in curve]
        yield Record(
            OVER_TRAINING,
            last.value,
            last.source,
            last.target,
            last.layer,
            chance=last.chance,
            n=last.n,
            data=last.data,
            seed=last.seed,
            step=last.step,
            extras={
                "of": last.metric,
                **{name: last.get(name) for name in WAY if last.get(name) is not None},
                "start": first.value,
                "half_step": half_step(points),
                "peak": peak.value,
                "peak_step": peak.step,
                "steps": len(curve),
            },
        )


def half_step(points: list[tuple[int, float]]) -> float | None:
    """The step at which a curve of (step, value) first passes the middle of its ends."""
    start, end = points[0][1], points[-1][1]
    if start == end:
        return None
    sign, middle = (1 if end > start else -1), (start + end) / 2
    before = points[0]
    for point in points[1:]:
        if sign * (point[1] - middle) >= 0:
            share = (middle - before[1]) / (point[1] - before[1])
            return before[0] + share * (point[0] - before[0])
        before = point
    return None
