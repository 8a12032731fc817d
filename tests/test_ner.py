"""Named entities: tags in and out, both repairs, span F1 equal to seqeval's."""

import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from seqeval.metrics import f1_score, precision_score, recall_score
from seqeval.metrics.sequence_labeling import get_entities

from tests.task_toy import FRAMING, Letters, letter, overfit
from xl_jax.config.finetune import Tuning
from xl_jax.errors import InputError
from xl_jax.tasks import tagging
from xl_jax.tasks.ner import NER, Sentence, read, repair, spaced, to_bio

TUNING = Tuning(task="ner", epochs=30, batch=(10,), lr=(1e-2,), dropout=0.0)


def sentence(text: str) -> Sentence:
    """Words w0, w1, ... with these tags."""
    tags = text.split()
    return Sentence([f"w{i}" for i in range(len(tags))], tags, [True] * len(tags))


@pytest.mark.parametrize(
    ("tags", "paper", "split"),
    [
        # paper: a span that opens with I opens with B; a span has the type of its last tag
        ("I-X", "B-X", "B-X"),
        ("O I-X I-X O", "O B-X I-X O", "O B-X I-X O"),
        ("B-X I-Y I-Z", "B-Z I-Z I-Z", "B-X B-Y B-Z"),
        ("B-X I-Y", "B-Y I-Y", "B-X B-Y"),
        ("I-X I-Y", "B-Y I-Y", "B-X B-Y"),
        ("I-X B-Y", "B-X B-Y", "B-X B-Y"),
        ("B-X B-Y I-Z O I-X", "B-X B-Z I-Z O B-X", "B-X B-Y B-Z O B-X"),
        ("B-X I-X B-X I-X", "B-X I-X B-X I-X", "B-X I-X B-X I-X"),
        ("O O", "O O", "O O"),
        ("", "", ""),
    ],
)
def test_both_repairs(tags: str, paper: str, split: str) -> None:
    assert repair(tags.split(), "paper") == paper.split()
    assert repair(tags.split(), "split") == split.split()


def test_repaired_tags_are_well_formed_and_well_formed_tags_stay() -> None:
    chance = random.Random(0)
    tags = [[chance.choice(["O", "B-X", "I-X", "B-Y", "I-Y"]) for _ in range(9)] for _ in range(99)]
    for how in ("paper", "split"):
        for each in tags:
            fixed = repair(each, how)
            assert to_bio(fixed) == fixed and repair(fixed, how) == fixed
            assert [x == "O" for x in fixed] == [x == "O" for x in each]
            assert to_bio(each) != each or fixed == each


@pytest.mark.parametrize(
    ("gold", "found", "expected"),  # f1, precision, recall by hand
    [
        ("B-X I-X O B-Y", "B-X I-X O B-Y", (1, 1, 1)),
        ("B-X I-X O B-Y", "B-X O O B-Y", (1 / 2, 1 / 2, 1 / 2)),  # half a span is no span
        ("B-X I-X O B-Y", "B-X I-X O B-X", (1 / 2, 1 / 2, 1 / 2)),
        ("B-X B-X O O", "B-X I-X O O", (0, 0, 0)),  # two spans, one found in their place
        ("B-X B-X O B-Y", "B-X B-X B-Y B-Y", (6 / 7, 3 / 4, 1)),
        ("B-X O O O", "O O O O", (0, 0, 0)),
        ("O O O O", "O O O O", (0, 0, 0)),
    ],
)
def test_span_scores_are_those_of_hand_and_of_seqeval(
    gold: str, found: str, expected: tuple[float, float, float]
) -> None:
    items = [sentence(gold)]
    scores = NER.learn(items, TUNING).scores(items, [found.split()])
    assert (scores["f1"], scores["precision"], scores["recall"]) == pytest.approx(expected)
    official = [
        f([gold.split()], [found.split()], zero_division=0)
        for f in (f1_score, precision_score, recall_score)
    ]
    assert list(scores.values()) == official
    counts = NER.learn(items, TUNING).counts(items, [found.split()])
    ratios = [above / max(below, 1) for above, below in (counts[name].sum(0) for name in scores)]
    assert ratios == pytest.approx(expected)


def write(folder: Path, text: str, encoding: str = "utf-8") -> str:
    (folder / "x.bio").write_bytes(text.encode(encoding))
    return f"files:{folder}/x.bio"


CONLL = """-DOCSTART- -X- -X- O

EU NNP B-NP I-ORG
rejects VBZ B-VP O
German JJ B-NP I-MISC
New NNP I-NP B-MISC

# not a comment: O
# a comment
Peter NNP B-NP I-PER
"""


def test_files_of_columns(tmp_path: Path) -> None:
    """CoNLL-2003: four columns, IOB1, document marks; the tag's column may be named."""
    counts: Counter[str] = Counter()
    found = read(write(tmp_path, CONLL.replace("# not a comment: O\n", "")), "en", counts)
    assert [(x.words, x.tags) for x in found] == [
        (["EU", "rejects", "German", "New"], ["B-ORG", "O", "B-MISC", "B-MISC"]),
        (["Peter"], ["B-PER"]),
    ]
    assert counts == {"tags_to_bio": 3}
    chunks = read(
        write(tmp_path, CONLL.replace("# not a comment: O\n", "")) + "#tag=3", "en", counts
    )
    assert chunks[0].tags == ["B-NP", "B-VP", "B-NP", "I-NP"]
    tabs = read(write(tmp_path, "\ufeffNew York\tB-LOC\r\n#\tO\r\n\r\nx\tS-LOC\n"), "en", counts)
    assert [(x.words, x.tags) for x in tabs] == [
        (["New York", "#"], ["B-LOC", "O"]),
        (["x"], ["B-LOC"]),
    ]
    assert len(read(write(tmp_path, CONLL.replace("# not", "#not")) + "#take=1", "en", counts)) == 1


@pytest.mark.parametrize(
    ("text", "keys", "message"),
    [
        ("a\tO\nb\n", "", r"x.bio:2: not a word and a tag .*'b'"),
        ("a\tO\nb\tB_PER\n", "", r"x.bio:2: not a word and a tag"),
        ("a\tO\n\tO\n", "", r"x.bio:2: not a word and a tag"),
        ("a\tO\n", "#tag=1", r"x.bio:1: not a word and a tag"),
        ("a\tO\n", "#tag=0", r"tag = '0' is not a column"),
        ("a\tO\n", "#tags=2", r"unknown key in the data .*'tags': did you mean 'tag'"),
        ("a\tO\n", "#take=x", r"take = 'x' is not a number"),
        ("\n\n", "", r"x.bio: no item"),
    ],
)
def test_broken_files_are_refused_with_their_place(
    text: str, keys: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        read(write(tmp_path, text) + keys, "en", Counter())


def test_wrong_encoding_is_refused_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"x.bio:2: not UTF-8"):
        read(write(tmp_path, "a\tO\n\u00e9l\tO\n", "latin-1"), "fr", Counter())


def test_no_space_between_words_of_scripts_that_have_none() -> None:
    assert spaced(["\u6211", "\u4eec", "Jax", "\uff0c", "x", "y"]) == [
        True, False, False, False, False, True,
    ]  # fmt: skip
    assert spaced(["\uae40", "\uae40"]) == [True, True]  # Hangul has spaces


@pytest.mark.parametrize("order", ["same", "inverted", "head_final"])
def test_base_phrases_of_a_generated_language_are_spans_in_every_order(order: str) -> None:
    keys = f"take=40,words=100,topics=4,order={order}"
    phrases = []
    for side in "ab":
        found = read(f"synthetic:{side}#{keys}", side, Counter())
        tagged = tagging.read(f"synthetic:{side}#{keys}", side, Counter())
        assert [x.words for x in found] == [x.words for x in tagged]
        for a, b in zip(found, tagged, strict=True):
            spans = get_entities(a.tags)
            classes = [sorted(b.upos[first : last + 1]) for _, first, last in spans]
            assert all(x in (["DET", "NOUN"], ["ADJ", "DET", "NOUN"]) for x in classes)
            assert len(spans) == b.upos.count("NOUN")
            phrases.append(sorted(classes))
    assert phrases[:40] == phrases[40:]


def test_labels_stand_at_first_pieces_and_unseen_ones_are_counted() -> None:
    task = NER.learn([sentence("O B-X I-X")], TUNING)
    assert task.tags == ("B-X", "I-X", "O")
    items = [Sentence(["ab", "c", "d"], ["B-X", "B-Z", "O"], [True, False, True])]
    assert task.unseen(items) == {"B-Z": 1}
    rows = task.rows(items, Letters(), "en", FRAMING)
    assert [int(rows.tokens[i]) for i in rows.read_at] == [letter(x) for x in "acd"]
    assert rows.labels["tag"].tolist() == [0, -1, 2]
    output = {"logits": np.eye(3)[[0, 1, 0, 2]]}  # the last is padding
    assert task.decode(output, rows.read_at) == ["B-X", "I-X", "B-X"]
    assert task.decode(output, np.asarray([1, 3, -1])) == ["B-X", "I-X", "O"]  # cut off: O
    assert task.scores(items, [["B-X", "O", "O"]])["recall"] == 0.5  # the unseen one is missed


def test_predictions_are_readable_again(tmp_path: Path) -> None:
    items = [sentence("O B-X"), sentence("B-X I-X O")]
    answers = [["B-X", "O"], ["B-X", "I-X", "O"]]
    NER.learn(items, TUNING).write(items, answers, tmp_path / "x.bio")
    assert (tmp_path / "x.bio").read_text() == (
        "w0\tO\tB-X\nw1\tB-X\tO\n\nw0\tB-X\tB-X\nw1\tI-X\tI-X\nw2\tO\tO\n\n"
    )
    found = read(f"files:{tmp_path}/x.bio", "en", Counter())
    assert [x.tags for x in found] == answers
    assert [x.tags for x in read(f"files:{tmp_path}/x.bio#tag=2", "en", Counter())] == [
        x.tags for x in items
    ]


@pytest.mark.slow
def test_fifty_sentences_are_learnt_by_heart(tmp_path: Path) -> None:
    """Tags that no word tells alone."""
    chance = random.Random(0)
    items = []
    for _ in range(50):
        n = chance.randrange(2, 12)
        tags = to_bio([chance.choice(["O", "O", "B-X", "I-X", "B-Y"]) for _ in range(n)])
        words = [f"w{chance.randrange(60)}" for _ in range(n)]
        items.append(Sentence(words, tags, [True] * n))
    assert overfit(NER.learn(items, TUNING), items, TUNING, tmp_path) > 0.99
