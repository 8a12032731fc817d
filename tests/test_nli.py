"""Sentence pairs: the original files, rows without a label, accuracy beside chance and majority."""

import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.task_toy import FRAMING, Words, overfit
from xl_jax.config.finetune import Tuning
from xl_jax.errors import InputError
from xl_jax.tasks.nli import NLI, Pair, read
from xl_jax.tokens.special import BOS, EOS, N_SPECIAL

TUNING = Tuning(task="nli", epochs=40, batch=(10,), lr=(1e-2,), dropout=0.0)
MNLI = (
    "index\tgold_label\tsentence1\tsentence2\n0\tneutral\tA b.\tC\n1\t-\tx\ty\n"
    "2\tentailment\tu\tv\n"
)
XNLI = (
    "language\tgold_label\tsentence1\tsentence2\nen\tneutral\ta\tb\nfr\tcontradiction\tc\td\n"
    "fr\tentailment\te\tf\n"
)
TRANSLATED = "premise\thypo\tlabel\na\tb\tcontradictory\nc\td\tneutral\n"


def write(folder: Path, text: str, encoding: str = "utf-8") -> str:
    (folder / "x.tsv").write_bytes(text.encode(encoding))
    return f"files:{folder}/x.tsv"


@pytest.mark.parametrize(
    ("text", "pairs", "counts"),
    [
        (MNLI, [("A b.", "C", "neutral"), ("u", "v", "entailment")], {"no_gold_label": 1}),
        (XNLI, [("c", "d", "contradiction"), ("e", "f", "entailment")], {"other_language": 1}),
        (TRANSLATED, [("a", "b", "contradiction"), ("c", "d", "neutral")], {}),
    ],
    ids=["multi_nli", "xnli", "xnli_translated"],
)
def test_the_original_files(
    text: str, pairs: list[tuple[str, str, str]], counts: dict[str, int], tmp_path: Path
) -> None:
    found: Counter[str] = Counter()
    assert read(write(tmp_path, text), "fr", found) == [Pair(*x) for x in pairs]
    assert found == counts


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("premise\tlabel\na\tneutral\n", r"x.tsv:1: no column hypothesis or hypo or sentence2"),
        ("premise\thypothesis\tlabel\na\tb\tneutral\na\tb\n", r"x.tsv:3: 2 columns, in .* 3"),
        ("premise\thypothesis\tlabel\na\tb\t-\n", "no item"),
        (XNLI.replace("fr\t", "de\t"), "no item"),
        ("", "x.tsv:1: no column premise"),
    ],
)
def test_broken_files_are_refused_with_their_place(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        read(write(tmp_path, text), "fr", Counter())


def test_wrong_encoding_is_refused_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"x.tsv:2: not UTF-8"):
        read(write(tmp_path, TRANSLATED.replace("a\tb", "\u00e9l\tb"), "latin-1"), "fr", Counter())


def test_pairs_have_one_label_at_the_first_token() -> None:
    items = [Pair("w1 w2", "w3", "neutral"), Pair("w4", "w5", "new")]
    task = NLI.learn(items[:1], TUNING)
    assert task.unseen(items) == {"new": 1}
    rows = task.rows(items, Words(), "en", FRAMING)
    w1, w2, w3 = (N_SPECIAL + i for i in (1, 2, 3))
    assert rows.tokens[:6].tolist() == [BOS, w1, w2, EOS, w3, EOS]
    assert rows.read_at.tolist() == [0, 0] and rows.labels["label"].tolist() == [0, -1]


def test_accuracy_stands_beside_chance_and_majority() -> None:
    train = [Pair("a", "b", x) for x in ("contradiction", "entailment", "neutral")]
    items = [Pair("a", "b", x) for x in ("neutral", "neutral", "entailment", "neutral")]
    task = NLI.learn(train, TUNING)
    answers = ["neutral", "entailment", "entailment", "contradiction"]
    assert task.scores(items, answers) == {"accuracy": 0.5, "chance": 1 / 3, "majority": 0.75}
    assert task.counts(items, answers)["accuracy"].tolist() == [[1, 1], [0, 1], [1, 1], [0, 1]]
    assert task.decode({"logits": np.asarray([[0.0, 2.0, 1.0]])}, np.zeros(1)) == "entailment"


def test_predictions_are_readable_again(tmp_path: Path) -> None:
    items = [Pair("a b", "c", "neutral"), Pair("d", "e", "entailment")]
    task = NLI.learn(items, TUNING)
    task.write(items, ["entailment", "entailment"], tmp_path / "x.tsv")
    assert (tmp_path / "x.tsv").read_text().splitlines()[:2] == [
        "premise\thypothesis\tlabel\tpredicted",
        "a b\tc\tneutral\tentailment",
    ]
    assert read(f"files:{tmp_path}/x.tsv", "en", Counter()) == items


@pytest.mark.slow
def test_fifty_pairs_are_learnt_by_heart(tmp_path: Path) -> None:
    chance = random.Random(0)

    def text() -> str:
        return " ".join(f"w{chance.randrange(60)}" for _ in range(chance.randrange(1, 7)))

    labels = ("contradiction", "entailment", "neutral")
    items = [Pair(text(), text(), chance.choice(labels)) for _ in range(50)]
    assert overfit(NLI.learn(items, TUNING), items, TUNING, tmp_path) > 0.99
