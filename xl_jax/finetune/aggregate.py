"""What a grid of settings comes to: every setting's scores, and the results.

A setting's score has its 95 % bootstrap interval over the test items (low, high). The result of a
question is the mean of its best settings by the development set of the source language (the paper:
the best two), for each seed; then mean and standard deviation over seeds. Where that is a single
setting, the result has its interval.
"""

import json
import statistics
from collections.abc import Sequence
from typing import Any

Record = dict[str, Any]
BESIDE = ("chance", "majority")  # scores that stand beside others, not alone


def records(finished: Sequence[Record], best: int) -> list[Record]:
    """Tidy records: kind "setting", one a setting, language and score; then kind "result".

    Args:
      finished: the content of every result.json.
      best: how many settings of each seed a result is the mean of.
    """
    rows = [row for one in finished for row in _of_setting(one)]
    groups: dict[str, list[Record]] = {}
    for row in rows:
        same = {k: row[k] for k in ("asked", "model", "source", "target", "metric")}
        groups.setdefault(json.dumps(same), []).append(row)
    results = [_result(group, best) for group in groups.values()]
    return rows + results


def _of_setting(one: Record) -> list[Record]:
    question, setting = one["question"], one["setting"]
    common = {
        "source": question["source"],
        "model": setting["encoder"],
        "step": question["step"],
        "freeze": question["freeze"],
        **{k: setting[k] for k in ("batch", "lr", "head_lr", "seed")},
        "epoch": one["epoch"],
        "dev": one["dev"],
        "asked": one["asked"],
    }
    rows = []
    for language, scores in one["scores"].items():
        beside = {k: scores[k] for k in BESIDE if k in scores}
        for name, value in scores["values"].items():
            row = {"metric": name, "kind": "setting", "target": language, "value": value}
            if name in scores.get("intervals", {}):  # results of earlier versions have none
                row |= dict(zip(("low", "high"), scores["intervals"][name], strict=True))
            rows.append({**row, "n": scores["n"], "data": scores["data"], **beside, **common})
    return rows


def _result(rows: Sequence[Record], best: int) -> Record:
    seeds = sorted({row["seed"] for row in rows})
    means: list[float] = []
    chosen: list[Record] = []
    for seed in seeds:
        mine = sorted((r for r in rows if r["seed"] == seed), key=lambda r: -r["dev"])[:best]
        means.append(statistics.mean(r["value"] for r in mine))
        chosen += mine
    varying = ("batch", "lr", "head_lr", "seed", "epoch", "dev", "value", "kind", "low", "high")
    alone = chosen[0] if len(chosen) == 1 else {}
    return {
        "kind": "result",
        "value": statistics.mean(means),
        "sd": statistics.stdev(means) if len(means) > 1 else None,
        "seeds": len(seeds),
        "settings": len(rows),
        "best": [[r["batch"], r["lr"], r["head_lr"], r["seed"]] for r in chosen],
        **{k: alone[k] for k in ("low", "high") if k in alone},
        **{k: v for k, v in rows[0].items() if k not in varying},
    }
