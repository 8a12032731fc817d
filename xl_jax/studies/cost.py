"""What a study will cost, told before it runs: from steps that were measured.

A step's time is that of a run of the same size in the study's folder, or else some steps on random
tokens are timed here. Evaluations cost what finished runs of the study say.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, median

import numpy as np

from xl_jax.batches.sampler import Step
from xl_jax.config import Config
from xl_jax.json_files import fingerprint
from xl_jax.model.shared_model import SharedModel
from xl_jax.prepare.request import folder_of
from xl_jax.studies.grid import DATA, StudyRun
from xl_jax.studies.progress import duration, lines_of
from xl_jax.studies.runner import Runner
from xl_jax.studies.stages import TRAIN
from xl_jax.tokens.special import N_SPECIAL
from xl_jax.tokens.table_size import rows_of
from xl_jax.training.step import flops_per_step, init_state, make_step

MOST = 1e12  # operations of a step that is timed here
LEAST = 1.0  # seconds that are timed at least


@dataclass(frozen=True)
class StepTime:
    """Seconds of a step, None where they are not known, and how they were found."""

    seconds: float | None
    how: str


def estimate(runner: Runner, parallel: int) -> str:
    """A line a cell and an evaluation, then the sum."""
    waiting = {x.id: [s.name for s in runner.works[x.id].waiting()] for x in runner.runs}
    times: dict[str, StepTime] = {}
    total, lines, unknown = 0.0, [], False
    for row, pair in dict.fromkeys((x.row, x.pair) for x in runner.runs):
        mine = [x for x in runner.runs if (x.row, x.pair) == (row, pair)]
        left = [x for x in mine if TRAIN in waiting[x.id]]
        name = ", ".join(filter(None, [row, pair]))
        text = f"{name}: {len(mine) - len(left)} of {len(mine)} seeds trained"
        if left:
            one, how = _training(runner, left[0], times)
            total += len(left) * (one or 0)
            unknown = unknown or one is None
            text += f"; a run: {left[0].config.steps:,} steps{how}"
        lines.append(text)
    for name in runner.study.evaluations:
        seconds = seconds_of(runner, name)
        count = sum(name in x for x in waiting.values())
        lines.append(
            f"evaluation {name}: {count} to do, {duration(seconds) or 'not measured yet'} each"
        )
        total += count * (seconds or 0)
        unknown = unknown or (count > 0 and seconds is None)
    data = runner.folder / DATA
    needed = {folder_of(x.config, data) for x in runner.runs if waiting[x.id]}
    lines.append(f"tokens: {sum(not x.exists() for x in needed)} preparations to make")
    todo = sum(map(bool, waiting.values()))
    lines.append(
        f"{todo} of {len(runner.runs)} runs to do, {parallel} at a time: "
        f"{'at least ' if unknown else ''}{duration(total / min(parallel, max(todo, 1)))}, without "
        "preparing text, and where no run is finished without starting and measuring"
    )
    return "\n".join(lines)


def _training(
    runner: Runner, run: StudyRun, times: dict[str, StepTime]
) -> tuple[float | None, str]:
    """Seconds of a run's training, if they can be known, and how they are."""
    if whole := whole_run(runner, run):
        return whole, f", {duration(whole)} with start and measuring in runs that are finished"
    if (size := size_of(run.config)) not in times:
        times[size] = measured(run, runner) or timed(run.config)
    step = times[size]
    if step.seconds is None:
        return None, f" ({step.how})"
    one = run.config.steps * step.seconds
    return one, f" x {1000 * step.seconds:.3g} ms = {duration(one)} ({step.how})"


def size_of(config: Config) -> str:
    """A digest of what decides the time of a step, but for the mask, which costs a few percent."""
    sections = (config.model, config.batch, config.masking, config.mesh)
    vocab = (config.vocab.mode, rows_of(config))
    return fingerprint([*map(asdict, sections), config.data.length, *vocab, config.steps_per_call])


def measured(run: StudyRun, runner: Runner) -> StepTime | None:
    """From the numbers that runs of this size have written."""
    for other in runner.runs:
        if size_of(other.config) == size_of(run.config):
            lines = lines_of(other.folder / "metrics.jsonl")
            found = [x["seconds_per_step"] for x in lines if "seconds_per_step" in x]
            if found:
                return StepTime(median(found), f"measured in {other.name}")
    return None


def timed(config: Config) -> StepTime:
    """Some steps on this machine's device, with random tokens."""
    vocab = rows_of(config)
    model = SharedModel.abstract(config, vocab)
    if (flops := flops_per_step(model)) > MOST:
        return StepTime(None, f"not timed: {flops / 1e12:,.1f} TFLOP a step")
    k, b = config.steps_per_call, config.batch
    shape = (k, b.accum, b.slots)
    random = np.random.default_rng(0)
    tokens = random.integers(N_SPECIAL, vocab, (*shape, b.rows, config.data.length), np.int32)
    language = random.integers(0, len(config.languages), shape, np.int32)
    step, state = make_step(model, config.steps), init_state(model)
    state, metrics = step(state, Step(tokens, language))
    metrics["loss_sum"].block_until_ready()  # compiled
    start, calls = time.perf_counter(), 0
    while time.perf_counter() - start < LEAST:
        state, metrics = step(state, Step(tokens, language))
        metrics["loss_sum"].block_until_ready()
        calls += 1
    seconds = (time.perf_counter() - start) / calls / k
    return StepTime(seconds, f"{calls * k} steps timed here")


def whole_run(runner: Runner, run: StudyRun) -> float | None:
    """Mean seconds of finished trainings of this size and length in the study's folder."""

    def like(other: StudyRun) -> bool:
        same = other.config.steps == run.config.steps
        return same and size_of(other.config) == size_of(run.config)

    states = [runner.states[x.id] for x in runner.runs if like(x)]
    found = [x.seconds[TRAIN] for x in states if TRAIN in x.seconds]
    return fmean(found) if found else None


def seconds_of(runner: Runner, stage: str) -> float | None:
    """Mean over the runs that have done it here."""
    states: Sequence = list(runner.states.values())
    found = [x.seconds[stage] for x in states if stage in x.seconds]
    return fmean(found) if found else None
