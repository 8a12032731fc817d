"""What is made ahead, and what becomes of errors and of leaving early."""

import threading
import time

import pytest

from xl_jax.batches.prefetch import prefetch


def test_results_come_in_order() -> None:
    assert list(prefetch(lambda i: i * i, range(7))) == [0, 1, 4, 9, 16, 25, 36]
    assert list(prefetch(lambda i: i, [])) == []


def test_the_next_ones_are_made_while_one_is_in_use() -> None:
    made = {i: threading.Event() for i in range(9)}

    def make(i: int) -> int:
        made[i].set()
        return threading.get_ident()

    batches = prefetch(make, range(9), ahead=2)
    assert next(batches) != threading.get_ident()
    assert made[1].wait(10) and made[2].wait(10)
    assert not made[3].wait(0.02)  # and no more than that: memory stays bounded
    next(batches)
    assert made[3].wait(10)
    batches.close()


def test_an_error_in_the_thread_reaches_the_caller_in_its_turn() -> None:
    def make(i: int) -> int:
        if i == 2:
            raise OSError("disk")
        return i

    batches = prefetch(make, range(100))
    assert [next(batches), next(batches)] == [0, 1]
    with pytest.raises(OSError, match="disk"):
        next(batches)
    assert not [t for t in threading.enumerate() if t.name.startswith("prefetch")]


def test_leaving_early_waits_for_one_item_and_drops_the_rest() -> None:
    made = []

    def make(i: int) -> int:
        made.append(i)
        time.sleep(0.01)
        return i

    for i in prefetch(make, range(1000), ahead=60):
        assert i == 0
        break
    assert len(made) < 60
    assert not [t for t in threading.enumerate() if t.name.startswith("prefetch")]
