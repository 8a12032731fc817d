"""What a grid comes to: the best settings of each seed, then mean and deviation over seeds."""

from collections.abc import Sequence
from typing import Any

import pytest

from xl_jax.analysis.record import Record
from xl_jax.finetune.aggregate import records, request_of
from xl_jax.report.transfer import results, settings


def finished(
    seed: int, lr: float, dev: float, en: float, fr: float, data: str = "files:x", **more: Any
) -> dict[str, Any]:
    """The result of a setting."""
    setting = {"encoder": "trained", "batch": 16, "lr": lr, "head_lr": lr, "seed": seed, **more}
    scores = [
        {"target": x, "data": data, "n": 10, "values": {"accuracy": value}, "chance": 1 / 3}
        for x, value in (("en", en), ("fr", fr))
    ]
    request = {"source": "en", "step": 5, "freeze": "private"}
    return {"question": request, "asked": "d", "setting": setting, "dev": dev, "epoch": 1,
            "scores": scores}  # fmt: skip


def of_grid(found: Sequence[dict[str, Any]], best: int, data: str = "files:x") -> list[Any]:
    """The records of one request for all these settings."""
    settings: dict[str, list[str]] = {}
    for i, one in enumerate(found):
        settings.setdefault(one["setting"]["encoder"], []).append(str(i))
    tests = [{"target": x, "data": data} for x in ("en", "fr")]
    request = request_of(settings, tests, best)
    return records({str(i): one for i, one in enumerate(found)}, [request])


GRID = [
    finished(0, 1e-5, 0.5, 0.1, 0.9),  # the third by dev: no part of the result
    finished(0, 2e-5, 0.7, 0.6, 0.4),
    finished(0, 3e-5, 0.6, 0.8, 0.2),
    finished(1, 1e-5, 0.9, 0.9, 0.5),
    finished(1, 2e-5, 0.8, 0.7, 0.5),
    finished(1, 3e-5, 0.1, 0.0, 0.0),
]


def test_the_mean_of_the_best_two_then_over_seeds() -> None:
    rows = [r for r in of_grid(GRID, best=2) if r["kind"] == "result"]
    assert [(r["target"], r["seeds"], r["settings"], r["n"]) for r in rows] == [
        ("en", 2, 6, 10),
        ("fr", 2, 6, 10),
    ]
    assert rows[0]["value"] == pytest.approx((0.7 + 0.8) / 2)
    assert rows[0]["sd"] == pytest.approx(0.1 / 2**0.5)
    assert rows[1]["value"] == pytest.approx((0.3 + 0.5) / 2)
    assert rows[0]["best"] == [
        [16, 2e-5, 2e-5, 0],
        [16, 3e-5, 3e-5, 0],
        [16, 1e-5, 1e-5, 1],
        [16, 2e-5, 2e-5, 1],
    ]
    assert rows[0]["chance"] == 1 / 3
    one = [r for r in of_grid(GRID[:3], best=1) if r["kind"] == "result"]
    assert one[0]["sd"] is None and one[0]["value"] == 0.6


def test_every_setting_is_a_record() -> None:
    rows = [r for r in of_grid(GRID, best=2) if r["kind"] == "setting"]
    assert len(rows) == 12
    assert rows[1] == {
        "kind": "setting", "metric": "accuracy", "source": "en", "target": "fr", "value": 0.9,
        "n": 10, "data": "files:x", "chance": 1 / 3, "model": "trained", "step": 5,
        "freeze": "private", "batch": 16, "lr": 1e-5, "head_lr": 1e-5, "seed": 0, "epoch": 1,
        "dev": 0.5, "asked": "d",
    }  # fmt: skip


def test_equal_settings_are_ranked_by_their_numbers_not_by_their_order() -> None:
    """Tied on dev: the smaller batch, then the smaller rate. Names of folders sort otherwise."""
    tied = [
        finished(0, 1e-4, 0.5, 0.4, 0.0),
        finished(0, 1e-5, 0.5, 0.3, 0.0),
        finished(0, 1e-4, 0.5, 0.2, 0.0, batch=8),
        finished(0, 1e-3, 0.4, 0.1, 0.0, batch=4),
    ]
    for order in (tied, tied[::-1], sorted(tied, key=lambda x: str(x["setting"]["lr"]))):
        (result, _) = (r for r in of_grid(order, best=2) if r["kind"] == "result")
        assert result["best"] == [[8, 1e-4, 1e-4, 0], [16, 1e-5, 1e-5, 0]]
        assert result["value"] == pytest.approx(0.25)


def test_requests_mix_neither_grids_nor_test_sets() -> None:
    """Five settings, of which two commands asked for different ones, on two test sets."""
    found = {
        "a": finished(0, 1e-5, 0.1, 0.5, 0.5),
        "b": finished(0, 2e-5, 0.2, 0.6, 0.6),
        "c": finished(0, 3e-5, 0.9, 0.7, 0.7),
        "d": finished(0, 4e-5, 0.9, 0.8, 0.8, data="files:y"),
    }
    found["b"]["scores"] += finished(0, 2e-5, 0.2, 0.1, 0.1, data="files:y")["scores"]
    x, y = ([{"target": "en", "data": f"files:{name}"}] for name in "xy")
    requests = [
        request_of({"trained": ["a", "b"]}, x, 1),
        request_of({"trained": ["c"]}, x, 1),
        request_of({"trained": ["b", "d"]}, y, 2),
        request_of({"trained": ["c", "d"]}, x, 1),  # d has not been scored on x: no result
    ]
    rows = [r for r in records(found, requests) if r["kind"] == "result"]
    assert [(r["data"], r["grid"]["lr"], r["mean_of"], r["value"]) for r in rows] == [
        ("files:x", [1e-5, 2e-5], 1, 0.6),
        ("files:x", [3e-5], 1, 0.7),
        ("files:y", [2e-5, 4e-5], 2, pytest.approx(0.45)),
    ]


def test_encoders_do_not_mix() -> None:
    both = [*GRID, finished(0, 1e-5, 1.0, 0.3, 0.3, encoder="untrained")]
    rows = [r for r in of_grid(both, best=2) if r["kind"] == "result" and r["target"] == "en"]
    assert [(r["model"], r["settings"]) for r in rows] == [("trained", 6), ("untrained", 1)]


def test_a_result_of_one_setting_has_its_interval() -> None:
    sure = [finished(0, lr, dev, 0.6, 0.4) for lr, dev in ((1e-5, 0.9), (2e-5, 0.5))]
    for one, low in zip(sure, (0.5, 0.1), strict=True):
        one["scores"][0]["intervals"] = {"accuracy": [low, 0.7]}
    rows = of_grid(sure, best=1)
    assert [r.get("low") for r in rows] == [0.5, None, 0.1, None, 0.5, None]  # en, fr; results last
    assert results(list(map(Record.from_json, rows))).splitlines()[1].split()[:3] == [
        "en",
        "60.0",
        "[50.0-70.0]",
    ]
    assert "low" not in of_grid(sure, best=2)[-2]  # the mean of two


def test_the_tables_show_results_and_settings() -> None:
    rows = of_grid([*GRID, finished(0, 1e-5, 1.0, 0.3, 0.3, encoder="untrained")], best=2)
    table = results(list(map(Record.from_json, rows))).splitlines()
    assert "trained on en, mean of the best 2 of 6 settings" in table[0]
    assert table[1].split() == ["en", "75.0", "(7.1)", "33.3", "10"]
    assert any(line.split()[:3] == ["en,", "untrained", "encoder"] for line in table)
    assert len(settings(list(map(Record.from_json, rows)), "accuracy").splitlines()) == 1 + 7
