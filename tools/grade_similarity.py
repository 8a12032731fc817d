"""Which measure of similarity sees what? CKA (as it is, and debiased), average neuron-wise
correlation, Procrustes similarity and retrieval, against orders that are known.

    python tools/grade_similarity.py                             synthetic features, in seconds
    python tools/grade_similarity.py --json=results/similarity.json RUN RUN RUN

Synthetic: five draws each of 500 items of 64 neurons, compared with copies that differ more and
more: by noise; by a rotation of more and more neurons; by a shared part of the content that becomes
smaller; and by what another seed does to an encoder: all neurons rotated, beside no common content.
Runs: finished ones, given in the order from most to least in common; the first language and the
second, gold sentences, at every layer. A measure's grade is Spearman's correlation with that order.
"""

if __name__ == "__main__":
    from xl_jax import stopping

    stopping.listen()  # before the imports below

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tools.benchmarks import record
from xl_jax import cli, mirror
from xl_jax.analysis import procrustes
from xl_jax.analysis.correlation import spearman
from xl_jax.errors import InputError

ITEMS, WIDTH, DRAWS = 500, 64, 5
Record = dict[str, Any]
Ladder = Callable[[np.random.Generator, np.ndarray, float], np.ndarray]


def measures(x_LxnxD: np.ndarray, y_LxnxD: np.ndarray) -> dict[str, np.ndarray]:
    """Every measure of every layer, [L]."""
    from xl_jax.analysis.anc import anc  # these take a while
    from xl_jax.analysis.cka import with_debiased
    from xl_jax.analysis.retrieval import retrieve

    x, y = (z.astype(np.float32) for z in (x_LxnxD, y_LxnxD))
    plain, debiased = with_debiased(x, y)
    answers = np.stack([np.arange(x.shape[1])] * 2, 1)
    found = [retrieve(a, b, answers, centre=True) for a, b in zip(x, y, strict=True)]
    return {
        "cka": np.diagonal(plain.value),
        "cka_debiased": np.diagonal(debiased.value),
        "procrustes_similarity": procrustes.similarity(x, y).value,
        "anc": anc(x, y).value,
        "retrieval": np.array([np.mean([way.hits().mean() for way in both]) for both in found]),
    }


def noise(random: np.random.Generator, x: np.ndarray, step: float) -> np.ndarray:
    return x + step * random.normal(size=x.shape)


def rotation(random: np.random.Generator, x: np.ndarray, step: float) -> np.ndarray:
    """Of a share of the neurons among themselves."""
    chosen = random.permutation(x.shape[1])[: round(step * x.shape[1])]
    y = noise(random, x, 0.1)
    y[:, chosen] = y[:, chosen] @ procrustes.random_rotation(len(chosen), 0)
    return y


def content(random: np.random.Generator, x: np.ndarray, step: float) -> np.ndarray:
    """A share of the variance is of other items."""
    return np.sqrt(1 - step) * x + np.sqrt(step) * random.permutation(x)


def another_seed(random: np.random.Generator, x: np.ndarray, step: float) -> np.ndarray:
    return rotation(random, content(random, x, step), 1.0)


LADDERS: dict[str, tuple[Ladder, Sequence[float]]] = {
    "noise": (noise, (0.1, 0.3, 1, 3, 10)),
    "rotated neurons": (rotation, (0.0, 0.25, 0.5, 0.75, 1.0)),
    "other content": (content, (0.0, 0.25, 0.5, 0.75, 1.0)),
    "other content, another seed": (another_seed, (0.0, 0.25, 0.5, 0.75, 1.0)),
}


def synthetic() -> list[Record]:
    """Of every ladder and measure: the means over draws of the grade and of the value by step."""
    records = []
    for name, (change, steps) in LADDERS.items():
        found: dict[str, list[list[float]]] = {}
        for draw in range(DRAWS):
            random = np.random.default_rng(draw)
            x = random.normal(size=(ITEMS, WIDTH)) * np.linspace(0.1, 1, WIDTH)[None]
            y = np.stack([change(random, x, step) for step in steps])
            values = measures(np.repeat(x[None], len(steps), 0), y)
            for measure, of_steps in values.items():
                found.setdefault(measure, []).append(of_steps.tolist())
        for measure, draws in found.items():
            grades = [_grade(values) for values in draws]
            fields = {"order": name, "measure": measure, "value": float(np.mean(grades))}
            records.append({**fields, "from": np.mean(draws, 0)[0], "to": np.mean(draws, 0)[-1]})
    return records


def of_runs(folders: Sequence[Path]) -> list[Record]:
    """Values of every run, measure and layer; the grade of every measure and layer over runs."""
    from xl_jax.evaluate import items
    from xl_jax.evaluate.context import Context
    from xl_jax.runs.run_directory import load

    found: dict[str, list[np.ndarray]] = {}
    records = []
    for folder in folders:
        context = Context(load(mirror.here(folder), lambda _: None), log=lambda _: None)
        source, target = context.language_pairs[0]
        pairs = items.sentences(context, source, target)
        if pairs is None:
            raise InputError(f"{folder}: no gold sentences")
        x = context.source.sentences("trained", source, pairs.source)
        y = context.source.sentences("trained", target, pairs.target)
        name = "/".join(folder.absolute().parts[-2:])
        for measure, values in measures(x, y).items():
            found.setdefault(measure, []).append(values)
            for layer, value in enumerate(values):
                records.append(
                    {"run": name, "measure": measure, "layer": layer, "value": float(value)}
                )
    if len(folders) < 3:
        return records
    for measure, of_runs in found.items():
        for layer, values in enumerate(np.stack(of_runs, 1)):
            fields = {"order": "masks", "measure": measure, "layer": layer}
            records.append({**fields, "value": _grade(values.tolist())})
    return records


def _grade(values: Sequence[float]) -> float:
    """Spearman's correlation with the order in which things have less and less in common."""
    made = spearman([-float(i) for i in range(len(values))], values)
    return made.r if made else 0.0


def main() -> None:
    parser = cli.ArgumentParser(__doc__)
    parser.add_argument("runs", nargs="*", type=Path, help="run directories, most in common first")
    parser.add_argument("--json", type=Path, help="file of the measurement")
    args = parser.parse_args()
    cli.check_file("json", args.json)
    told = record.about(["python", "tools/grade_similarity.py", *sys.argv[1:]])
    records = [*synthetic(), *(of_runs(args.runs) if args.runs else [])]
    for r in records:
        if "order" in r:
            layer = (
                f", layer {r['layer']}" if "layer" in r else f"  ({r['from']:.2f} to {r['to']:.2f})"
            )
            print(f"{r['order']:<28} {r['measure']:<22} {r['value']:5.2f}{layer}")
    if args.json:
        record.write(args.json, told, records)


if __name__ == "__main__":
    with cli.one_line_errors():
        main()
