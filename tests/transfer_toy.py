"""A run of two languages at its start and made-up named entities, for the tests of transfer."""

import random
from pathlib import Path

import jax

from xl_jax.config import Batch, Config, Data, Model, Optim, Vocab
from xl_jax.config.finetune import Tuning
from xl_jax.runs import run_directory
from xl_jax.runs.run_directory import Run
from xl_jax.training.step import init_state


def make_run(folder: Path) -> Run:
    """A run directory with a checkpoint of two languages whose first layer is private, as are the
    rows of their special tokens."""
    config = Config(
        languages=("a", "b"),
        corpora={"a": "synthetic:a", "b": "synthetic:b#sentences=400,words=100,topics=4"},
        sharing="sep_l1",
        vocab=Vocab(mode="disjoint", size=60, specials="private"),
        data=Data(windows="line", length=16, heldout=0.1),
        model=Model(
            layers=2, heads=2, width=16, ffn=32, positions=16, dropout=0.1, attention_dropout=0.1
        ),
        batch=Batch(slots=2, rows=4),
        optim=Optim(warmup=2),
    )
    made = run_directory.start(config, folder / "r", log=lambda _: None)
    checkpoints = made.checkpoints(lambda _: None, read_only=False)
    state = init_state(made.model)
    private = jax.tree.map(lambda x: x + 0.01, state.params)  # not the untrained encoder
    checkpoints.save(3, state._replace(params=private))
    checkpoints.close()
    return made


def make_tuning(run: Run) -> Tuning:
    """Named entities among made-up words; a grid of two learning rates and two seeds."""
    chance = random.Random(0)
    for name, n in (("a.train", 24), ("a.dev", 8), ("a.test", 8), ("b.test", 9)):
        blocks = []
        for _ in range(n):
            words = [chance.choice("abcdeiou") for _ in range(4)]
            blocks.append("".join(f"{w}\t{'B-X' if 'a' in w else 'O'}\n" for w in words))
        long = "a\tB-X\n" * 20 if name == "b.test" else "a\tB-Y\n" if name == "a.dev" else ""
        (run.folder / f"{name}.bio").write_text("\n".join([*blocks, long]))
    data = f"files:{run.folder}/{{language}}"
    return Tuning(
        task="ner", train=f"{data}.train.bio", dev=f"{data}.dev.bio", test=f"{data}.test.bio",
        epochs=1, batch=(8,), lr=(1e-2, 2e-2), seeds=(0, 1), parallel=2,
    )  # fmt: skip
