"""README.md of an exported view: what it is, how to open it, what was measured, the config."""

import json
from collections.abc import Callable, Iterator

from xl_jax.analysis import record
from xl_jax.analysis.record import Record
from xl_jax.config import to_dict
from xl_jax.errors import InputError
from xl_jax.interchange.task_head import TaskHead
from xl_jax.runs.run_directory import Run
from xl_jax.tasks.rows import FIRST
from xl_jax.tokens.special import NAMES

TASKS = {"mlm": "fill-mask", "nli": "text-classification", "ner": "token-classification"}
METRICS = 40  # rows of the table of results, at most


def text(
    run: Run,
    language: str,
    step: int,
    architecture: str,
    commit: str,
    head: TaskHead | None = None,
    log: Callable[[str], None] = print,
) -> str:
    """The card of one language's view, in the Hub's form.

    Args:
      commit: of the code that exports.
      log: is told of files of results that are damaged; they are left out.
    """
    pipeline = TASKS[head.task if head else "mlm"]
    rows = list(_tuned(head, language) if head else measured(run, language, step, log))
    if rows:
        header = ["metric", "with", "layer", "value", "chance", "n", "data"]
        lines = [header, ["---"] * len(header), *rows]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    else:
        table = "Nothing was measured yet (`python eval.py`)."
    opens = NAMES[FIRST[run.config.data.windows]]
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

A row opens with `{opens}` and closes with `</s>`; the tokenizer adds both. The softmax ranges
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


def measured(run: Run, language: str, step: int, log: Callable[[str], None]) -> Iterator[list[str]]:
    """The records of this step in eval/*.json with this language in them; of layers the best. Of
    fine-tuning only results, whose settings the development set has chosen."""
    best: dict[tuple[str, ...], Record] = {}
    for path in sorted((run.folder / "eval").glob("*.json")):
        if path.name.startswith("steps-"):  # curves
            continue
        try:
            records = record.read(path).records
        except InputError as error:
            log(f"{error}: left out")
            continue
        for r in records:
            mine = language in (r.source, r.target, r.get("language"))
            here = r.get("model", "trained") == "trained" and r.step in (None, step)
            if not mine or not here or r.has(kind="setting"):
                continue
            other = r.target if r.source == language else r.source
            key = (path.stem, r.metric, other, r.get("map", ""))
            if key not in best or best[key].value < r.value:
                best[key] = r
    for (_, metric, other, through), r in list(best.items())[:METRICS]:
        named = f"{metric} (map: {through})" if through else metric
        shown = "" if r.chance is None else f"{r.chance:.4g}"
        layer, n = str(r.get("layer", "")), str(r.get("n", ""))
        yield [named, other, layer, f"{r.value:.4g}", shown, n, r.get("data", "held-out text")]


def _tuned(head: TaskHead, language: str) -> Iterator[list[str]]:
    for score in head.result["scores"]:
        if score["target"] == language:
            for metric, value in score["values"].items():
                data, n = str(score["data"]), str(score["n"])
                yield [f"{head.task} {metric}", "", "", f"{value:.4g}", "", n, data]
