"""What a grid of settings comes to: every setting's scores, and the results of each request.

A setting's score has its 95 % bootstrap interval over the test items (low, high). The result of a
request is the mean of its best settings by the development set of the source language (the paper:
the best two), for each seed; then mean and standard deviation over seeds. Where that is a single
setting, the result has its interval.

Settings that are equal on the development set are ranked by their numbers: the smaller batch first,
then the smaller learning rate of the encoder, then of the head.
"""

import itertools
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Record = dict[str, Any]
BESIDE = ("chance", "majority")  # scores that stand beside others, not alone
GRID = ("batch", "lr", "head_lr", "seed")
TEST = ("target", "data", "view")  # what a score depends on beside the tuned parameters


def records(finished: Mapping[str, Record], requests: Sequence[Record]) -> list[Record]:
    """Tidy records: kind "setting", one for each setting, test set and score; then kind "result",
    one for each request, encoder, language and score. A request that is not finished has none.

    Args:
      finished: the content of every result.json, by the name of its folder.
      requests: see `request_of`.
    """
    rows = {name: list(_of_setting(one)) for name, one in finished.items()}
    results = [result for request in requests for result in _of_request(rows, request)]
    return [row for found in rows.values() for row in found] + results


def request_of(settings: Mapping[str, Sequence[str]], tests: Sequence[Record], best: int) -> Record:
    """One grid as it was asked for, as JSON has it.

    Args:
      settings: by encoder, the names of its settings' folders.
      tests: the `TEST` fields of each test set.
      best: how many settings of each seed a result is the mean of.
    """
    named = {encoder: list(names) for encoder, names in settings.items()}
    return {"settings": named, "tests": list(tests), "best": best}


def _of_setting(one: Record) -> Iterator[Record]:
    request, setting = one["question"], one["setting"]
    common = {
        "source": request["source"],
        "model": setting["encoder"],
        "step": request["step"],
        "freeze": request["freeze"],
        **{k: setting[k] for k in GRID},
        "epoch": one["epoch"],
        "dev": one["dev"],
        "asked": one["asked"],
    }
    for scores in one["scores"]:
        beside = {k: scores[k] for k in (*TEST, *BESIDE) if k in scores}
        for name, value in scores["values"].items():
            row = {"metric": name, "kind": "setting", "target": scores["target"], "value": value}
            if name in scores.get("intervals", {}):  # results of earlier versions have none
                row |= dict(zip(("low", "high"), scores["intervals"][name], strict=True))
            yield {**row, "n": scores["n"], **beside, **common}


def _of_request(rows: Mapping[str, Sequence[Record]], request: Record) -> Iterator[Record]:
    for names, test in itertools.product(request["settings"].values(), request["tests"]):
        of_settings = [row for name in names for row in rows.get(name, ())]
        found = [r for r in of_settings if all(r.get(k) == test.get(k) for k in TEST)]
        for metric in dict.fromkeys(row["metric"] for row in found):
            same = [row for row in found if row["metric"] == metric]
            if len(same) == len(names):
                yield _result(same, request["best"])


def _result(rows: Sequence[Record], best: int) -> Record:
    seeds = sorted({row["seed"] for row in rows})
    means: list[float] = []
    chosen: list[Record] = []
    for seed in seeds:
        ranked = sorted((r for r in rows if r["seed"] == seed), key=_rank)[:best]
        means.append(statistics.mean(r["value"] for r in ranked))
        chosen += ranked
    varying = (*GRID, "epoch", "dev", "value", "kind", "low", "high")
    alone = chosen[0] if len(chosen) == 1 else {}
    return {
        "kind": "result",
        "value": statistics.mean(means),
        "sd": statistics.stdev(means) if len(means) > 1 else None,
        "seeds": len(seeds),
        "settings": len(rows),
        "grid": {name: sorted({row[name] for row in rows}) for name in GRID},
        "mean_of": best,
        "best": [[r[name] for name in GRID] for r in chosen],
        **{k: alone[k] for k in ("low", "high") if k in alone},
        **{k: v for k, v in rows[0].items() if k not in varying},
    }


def _rank(row: Record) -> tuple[Any, ...]:
    return (-row["dev"], row["batch"], row["lr"], row["head_lr"])
