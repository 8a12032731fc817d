"""Numbers as cells of tables."""

from xl_jax.analysis.correlation import Correlation
from xl_jax.analysis.spread import Spread
from xl_jax.report.document import NONE, Cell, number
from xl_jax.report.metrics import Shown


def text(words: str) -> Cell:
    return Cell(words) if words else NONE


def count(n: int | None) -> Cell:
    return NONE if n is None else Cell(f"{n:,}", float(n))


def plain(value: float | None, digits: int = 1, kind: str = "") -> Cell:
    return NONE if value is None else Cell(number(value, digits), value, kind=kind)


def value(found: float | None, shown: Shown, kind: str = "") -> Cell:
    return plain(None if found is None else shown.scale * found, shown.digits, kind)


def spread(found: Spread | None, shown: Shown, seeds: int = 0) -> Cell:
    """mean (standard deviation over seeds); and how many they are, where there should be more."""
    if found is None:
        return NONE
    words = number(shown.scale * found.mean, shown.digits)
    beside = [] if found.sd is None else [number(shown.scale * found.sd, shown.digits)]
    if found.n < seeds:
        beside.append(f"{found.n} seed{'s' * (found.n > 1)}")
    return _cell(f"{words} ({'; '.join(beside)})" if beside else words, found, shown)


def interval(found: Spread | None, shown: Shown) -> Cell:
    """low to high."""
    if found is None or found.low is None or found.high is None:
        return NONE
    return Cell(_range(shown.scale * found.low, shown.scale * found.high, shown.digits))


def delta(found: Spread | None, shown: Shown) -> Cell:
    if found is None:
        return NONE
    return _cell(number(shown.scale * found.mean, shown.digits, sign=True), found, shown)


def correlation(found: Correlation | None) -> Cell:
    """r [low, high]; without an interval where there is none."""
    if found is None:
        return NONE
    words = number(found.r, 2)
    if found.low is not None and found.high is not None:
        words += f" [{_range(found.low, found.high, 2)}]"
    return Cell(words, found.r, low=found.low, high=found.high)


def _cell(words: str, found: Spread, shown: Shown) -> Cell:
    sd, low, high = (None if x is None else shown.scale * x for x in found[1:4])
    return Cell(words, shown.scale * found.mean, sd, low, high)


def _range(low: float, high: float, digits: int) -> str:
    return f"{number(low, digits)} to {number(high, digits)}"
