"""README.md of an exported view: what it is, how to open it, what was measured, the config."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from xl_jax.config import to_dict
from xl_jax.interchange.task_head import TaskHead
from xl_jax.json_files import read_json
from xl_jax.runs.run_directory import Run

TASKS = {"mlm": "fill-mask", "nli": "text-classification", "ner": "token-classification"}
METRICS = 40  # rows of the table of results, at most


def text(
    run: Run, language: str, step: int, architecture: str, commit: str, head: TaskHead | None = None
) -> str:
    """The card of one language's view, in the Hub's form.

    Args:
      commit: of the code that exports.
    """
    pipeline = TASKS[head.task if head else "mlm"]
    rows = list(_tuned(head, language) if head else _measured(run, language))
    if rows:
        header = ["metric", "with", "layer", "value", "chance", "n", "data"]
        lines = [header, ["---"] * len(header), *rows]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    else:
        table = "Nothing was measured yet (`python eval.py`)."
    example = '"... <mask> ..."' if pipeline == "fill-mask" else '"..."'
    config = json.dumps(to_dict(run.config), indent=1, ensure_ascii=False)
    return f"""---
language: {language}
library_name: transformers
pipeline_tag: {pipeline}
tags: [xl_jax]
---
# {language} of {run.folder.name}

The parameters that {language} computes with in an encoder of {", ".join(run.config.languages)}
({run.name}), after step {step:,}. Exported by xl_jax{f", commit {commit}," if commit else ""} as
`{architecture}`: `transformers` opens it without other code.

```python
from transformers import pipeline

pipeline({pipeline!r}, DIR)({example})
```

A row opens with `{_first(run)}` and closes with `</s>`; the tokenizer adds both. The softmax ranges
over the pieces of {language} alone. A literal special token in a text is read as that token; with
`split_special_tokens=True` it is text.

## Measured

{table}

Rates are in 0..1.

## Config of the run

```json
{config}
```
"""


def _first(run: Run) -> str:
    return "<s>" if run.config.data.windows == "line" else "</s>"


def _measured(run: Run, language: str) -> Iterator[list[str]]:
    """The newest step's records of eval/*.json with this language in them; of layers the best."""
    best: dict[tuple[str, ...], Mapping[str, Any]] = {}
    for path in sorted((run.folder / "eval").glob("*.json")):
        for r in read_json(path).get("records", []):
            mine = language in (r.get("source"), r.get("target"), r.get("language"))
            if not mine or r.get("model", "trained") != "trained" or "value" not in r:
                continue
            other = str(r["target"] if r.get("source") == language else r.get("source", ""))
            key = (path.stem, str(r["metric"]), other, str(r.get("map", "")))
            if key not in best or best[key]["value"] < r["value"]:
                best[key] = r
    for (_, metric, other, through), r in list(best.items())[:METRICS]:
        named = f"{metric} (map: {through})" if through else metric
        layer, chance = str(r.get("layer", "")), r.get("chance")
        shown = f"{chance:.4g}" if isinstance(chance, int | float) else ""
        data, n = str(r.get("data", "held-out text")), str(r.get("n", ""))
        yield [named, other, layer, f"{r['value']:.4g}", shown, n, data]


def _tuned(head: TaskHead, language: str) -> Iterator[list[str]]:
    for score in head.result["scores"]:
        if score["target"] == language:
            for metric, value in score["values"].items():
                data, n = str(score["data"]), str(score["n"])
                yield [f"{head.task} {metric}", "", "", f"{value:.4g}", "", n, data]
