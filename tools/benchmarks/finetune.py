"""Fine-tuning: sentences/s of the loop against a Trainer-style loop in PyTorch, and the padding.

Both tag the same sentences with the same encoder; each round takes the next `--steps` batches of an
epoch, which PyTorch batches anew. Lengths are drawn as those of English-EWT in pieces of a joint
vocabulary of 8,000: mean 26, standard deviation 18.
"""

import argparse
import importlib.util
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tools.benchmarks.racing import race, spread, warm_up
from tools.benchmarks.torch_finetune import Sentence, trainer_arm
from tools.benchmarks.torch_step import Arm, Shape
from xl_jax.errors import InputError
from xl_jax.tokens.special import BOS, EOS, N_SPECIAL

BATCHES, TAGS, LR = 400, 7, 1e-4  # of the whole set, as long as English-EWT at 32 a batch


def draw_sentences(shape: Shape) -> list[Sentence]:
    """Random pieces, each a word; -1: no tag (first and last token)."""
    random = np.random.default_rng(0)
    sizes = random.gamma(2.0, 13.0, BATCHES * shape.rows).astype(int).clip(3, shape.length)
    made = []
    for size in sizes:
        pieces = random.integers(N_SPECIAL, shape.vocab, size - 2, dtype=np.int32)
        tags = random.integers(0, TAGS, size - 2)
        made.append((np.asarray([BOS, *pieces, EOS]), np.asarray([-1, *tags, -1])))
    return made


def make_tuner(shape: Shape, sentences: list[Sentence], steps: int) -> Any:
    """Our loop over these sentences, an encoder with the shape's sizes."""
    from xl_jax.config import Model
    from xl_jax.config.finetune import Tuning
    from xl_jax.finetune.buckets import make_buckets
    from xl_jax.finetune.model import Tuned
    from xl_jax.finetune.trainer import Tuner
    from xl_jax.tasks.ner import NER
    from xl_jax.tasks.rows import Word, word_rows

    dropout = shape.dropout
    tuning = Tuning(
        task="ner",
        batch=(shape.rows,),
        lr=(LR,),
        clip=1.0,
        schedule="constant",
        warmup=0.0,
        dropout=dropout,
        steps_per_call=steps,
    )
    model = Model(
        layers=shape.layers,
        heads=shape.heads,
        width=shape.width,
        ffn=shape.ffn,
        positions=shape.length,
        dropout=dropout,
        attention_dropout=dropout,
    )
    words = [[Word(piece[None], 0) for piece in tokens[1:-1]] for tokens, _ in sentences]
    labels = {"tag": [tags[1:-1].tolist() for _, tags in sentences]}
    rows = word_rows(words, labels, BOS, shape.length)
    task = NER(tuple(f"B-{i}" for i in range(TAGS)), dropout, "paper")
    module = Tuned(model, shape.vocab, task.head(model))
    return Tuner(module, task, tuning, rows, make_buckets([rows], shape.rows), shape.rows)


def our_arm(tuner: Any, plans: Iterator[Any]) -> Arm:
    """Our loop, the batches of a plan in one call of the device, the state donated."""
    import jax
    import jax.numpy as jnp

    from xl_jax.finetune.model import flatten
    from xl_jax.finetune.trainer import Hyper

    tokens = jnp.ones((1, 1, 4), jnp.int32)
    init = jax.jit(lambda key: flatten(tuner.module.init(key, tokens, tokens[0])["params"]))
    state = tuner.start(init(jax.random.key(0)))
    hyper = Hyper(np.float32(LR), np.float32(LR), np.int32(0))

    def run(steps: int) -> float:
        nonlocal state
        del steps  # a plan has so many batches
        (state,), loss = tuner.run([state], {}, next(plans), [hyper])
        return float(loss[0])

    return run


def parts_of_epochs(tuner: Any, steps: int) -> Callable[[], Iterator[Any]]:
    """A function to an endless iterator of plans of `steps` full batches each."""
    from xl_jax.finetune.buckets import Plan, make_plan

    def plans() -> Iterator[Any]:
        for epoch in range(1_000_000):
            whole = make_plan(tuner.of_item, tuner.batch, 0, epoch)
            full = np.flatnonzero((whole.examples >= 0).all(1))
            whole = Plan(*(column[full] for column in whole))
            for first in range(0, len(full) - steps + 1, steps):
                yield Plan(*(column[first : first + steps] for column in whole))

    return plans


def finetune(args: argparse.Namespace, shape: Shape) -> list[dict[str, Any]]:
    """Sentences/s of xl_jax and of PyTorch; records of every round and of the padding.

    Raises:
      InputError: more steps in a round than an epoch has, or no vocabulary beside special tokens.
    """
    if args.steps > BATCHES:
        raise InputError(f"--steps {args.steps}: an epoch has {BATCHES} batches")
    if shape.vocab <= N_SPECIAL:
        raise InputError(f"--vocab {shape.vocab} leaves nothing beside {N_SPECIAL} special tokens")
    sentences = draw_sentences(shape)
    tuner = make_tuner(shape, sentences, args.steps)
    plans = parts_of_epochs(tuner, args.steps)
    arms = {"xl_jax": our_arm(tuner, plans())}
    padding: list[tuple[int, int]] = []
    if importlib.util.find_spec("torch") is not None:
        import torch

        torch.set_num_threads(args.threads)
        same = (plan.examples.ravel() for plan in plans())
        arms["torch"], padding = trainer_arm(shape, sentences, same, TAGS, LR)
    else:
        print("left out: torch is missing (pip install -r requirements-bench.txt)")

    records: list[dict[str, Any]] = []
    for name, arm in arms.items():
        seconds = warm_up(arm, args.steps)
        records.append({"metric": "warm_up_seconds", "arm": name, "value": seconds})
    padding.clear()
    times = race(arms, args.rounds, args.steps)

    epoch = next(parts_of_epochs(tuner, BATCHES - 1)())  # the last batch may be incomplete
    items, real = epoch.examples, tuner.data.starts
    tokens = np.diff(np.asarray(real))[items].sum()
    positions = sum(shape.rows * tuner.buckets[b].size for b in epoch.bucket)
    shares = {"xl_jax": float(tokens / positions)}
    if padding:
        shares["torch"] = sum(x for x, _ in padding) / sum(x for _, x in padding)
    for name, share in shares.items():
        records.append({"metric": "real_over_positions", "arm": name, "value": share})

    print(f"{len(sentences):,} sentences, mean {tokens / items.size:.1f} tokens; buckets of "
          f"{', '.join(str(b.size) for b in tuner.buckets)}")  # fmt: skip
    print(f"{'arm':<9}{'sentences/s':<26}{'xl_jax / arm':<20}{'real tokens':>12}{'warm-up s':>11}")
    for name, values in times.items():
        rate = [shape.rows / value for value in values]
        ratio = [value / ours for value, ours in zip(values, times["xl_jax"], strict=True)]
        for r in range(args.rounds):
            common = {"arm": name, "round": r}
            records.append({"metric": "sentences_per_second", "value": rate[r], **common})
            records.append({"metric": "xl_jax_over_arm", "value": ratio[r], **common})
        first = next(x["value"] for x in records if x["arm"] == name)
        rates = f"{spread(rate, 0):<26}{spread(ratio, 2):<20}"
        print(f"{name:<9}{rates}{shares[name]:>12.1%}{first:>11.1f}")
    return records
