"""Part-of-speech tags: read from treebanks, with or without trees; accuracy beside the majority."""

import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from udtools import udeval

from tests.task_toy import FRAMING, Letters, letter, overfit
from xl_jax.config.finetune import Tuning
from xl_jax.errors import InputError
from xl_jax.tasks.conllu import Tree, tagged
from xl_jax.tasks.tagging import Tagging, read

TUNING = Tuning(task="tagging", epochs=30, batch=(10,), lr=(1e-2,), dropout=0.0)
SAMPLE = """\
# sent_id = 1
# text = Elle vient du lac.
1\tElle\telle\tPRON\t_\t_\t2\tnsubj\t_\t_
2\tvient\tvenir\tVERB\t_\t_\t0\troot\t_\t_
3-4\tdu\t_\t_\t_\t_\t_\t_\t_\t_
3\tde\tde\tADP\t_\t_\t5\tcase\t_\t_
4\tle\tle\tDET\t_\t_\t5\tdet\t_\t_
5\tlac\tlac\tNOUN\t_\t_\t2\tobl\t_\tSpaceAfter=No
5.1\tvient\tvenir\tVERB\t_\t_\t_\t_\t2:conj\tCopyOf=2
6\t.\t.\tPUNCT\t_\t_\t2\tpunct\t_\t_

"""


def write(folder: Path, text: str) -> str:
    (folder / "x.conllu").write_text(text, encoding="utf-8")
    return f"files:{folder}/x.conllu"


def sentence(tags: list[str], words: list[str] | None = None) -> Tree:
    """Words w0, w1, ... with these tags, no tree."""
    return tagged(words or [f"w{i}" for i in range(len(tags))], tags)


def test_tags_are_those_of_the_words_of_a_treebank(tmp_path: Path) -> None:
    counts: Counter[str] = Counter()
    (found,) = read(write(tmp_path, SAMPLE), "fr", counts)
    assert found.words == ["Elle", "vient", "de", "le", "lac", "."]
    assert found.upos == ["PRON", "VERB", "ADP", "DET", "NOUN", "PUNCT"]
    assert +counts == {"multiword_tokens": 1, "empty_nodes": 1}


def test_no_tree_is_needed_and_words_without_a_tag_are_counted(tmp_path: Path) -> None:
    text = "1\ta\t_\tNOUN\t_\t_\t_\t_\t_\t_\n2\tb\t_\t_\t_\t_\t_\t_\t_\t_\n\n"
    counts: Counter[str] = Counter()
    (found,) = read(write(tmp_path, text), "en", counts)
    assert found == sentence(["NOUN", "_"], ["a", "b"])
    assert counts == {"words_without_tag": 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SAMPLE.replace("\t_\t_\t2\tnsubj", "\t2\tnsubj"), r"x.conllu:1: not 10 columns"),
        (SAMPLE.replace("\n2\tv", "\n9\tv"), "words are not numbered 1, 2, 3"),
        ("1\ta\t_\t_\t_\t_\t0\troot\t_\t_\n\n", r"no word has a tag \(column 4, UPOS\)"),
        ("", "no item"),
    ],
)
def test_bad_files_are_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        read(write(tmp_path, text), "fr", Counter())


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file matches"):
        read(f"files:{tmp_path}/no*.conllu", "en", Counter())
    with pytest.raises(InputError, match="unknown key in the data .*'tag'.*known: skip, take"):
        read(f"files:{tmp_path}/x#tag=2", "en", Counter())


def test_a_generated_language_needs_no_file() -> None:
    """Equal sentences of both sides are translations: the same classes, in another order."""
    knobs = "words=100,topics=4,order=head_final"
    sides = [read(f"synthetic:{x}#take=50,skip=10,{knobs}", x, Counter()) for x in "ab"]
    for a, b in zip(*sides, strict=True):
        assert sorted(a.upos) == sorted(b.upos) and not set(a.words) & set(b.words)
        assert (a.upos[0], b.upos[-1]) in (("DET", "VERB"), ("DET", "ADV"))
    assert any(a.upos != b.upos for a, b in zip(*sides, strict=True))
    tags = {tag for tree in sides[0] for tag in tree.upos}
    assert tags == {"DET", "ADP", "PRON", "NOUN", "VERB", "ADJ", "ADV"}
    of_word = {(w, t) for tree in sides[0] for w, t in zip(tree.words, tree.upos, strict=True)}
    assert len(of_word) == len({w for w, _ in of_word})  # a word has one class


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("synthetic:c#take=5", "unknown side in 'synthetic:c#take=5' 'c': known: a, b"),
        ("synthetic:a", "synthetic:a: how many sentences\\? say take=N"),
        ("synthetic:a#take=5,wrods=9", "unknown key in the data .*'wrods': did you mean 'words'"),
        ("synthetic:a#take=5,words=3", "synthetic words = 3 is not in"),
    ],
)
def test_bad_specs_of_generated_data(spec: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(spec, "a", Counter())


def test_labels_stand_at_first_pieces() -> None:
    task = Tagging.learn([sentence(["NOUN", "VERB", "_"])], TUNING)
    assert task.tags == ("NOUN", "VERB")
    item = sentence(["VERB", "INTJ", "_", "NOUN"], ["ab", "c", "d", "e"])
    assert task.unseen([item]) == {"INTJ": 1}
    rows = task.rows([item], Letters(), "en", FRAMING)
    assert [int(rows.tokens[i]) for i in rows.read_at] == [letter(x) for x in "acde"]
    assert rows.labels["tag"].tolist() == [1, -1, -1, 0]
    output = {"logits": np.eye(2)[[0, 1, 0, 1, 1]]}  # the last is padding
    assert task.decode(output, np.asarray([1, 3, 4, -1])) == ["NOUN", "VERB", "NOUN", "_"]


def test_scores_by_hand() -> None:
    """Six words with a tag, three of them right; the commonest tag is half of them."""
    items = [sentence(["NOUN", "NOUN", "VERB", "_"]), sentence(["ADP", "NOUN", "INTJ"])]
    task = Tagging.learn(items[:1], TUNING)
    answers = [["NOUN", "VERB", "VERB", "_"], ["NOUN", "NOUN", "VERB"]]
    assert task.scores(items, answers) == {"accuracy": 3 / 6, "majority": 3 / 6}
    assert task.counts(items, answers)["accuracy"].tolist() == [[2, 3], [1, 3]]


def test_predictions_are_what_the_official_program_scores(tmp_path: Path) -> None:
    spec = write(tmp_path, SAMPLE + SAMPLE.replace("sent_id = 1", "sent_id = 2"))
    items = read(spec, "fr", Counter())
    task = Tagging.learn(items, TUNING)
    answers = [["PRON", "NOUN", "ADP", "DET", "NOUN", "_"], [*items[1].upos[:5], "SYM"]]
    task.write(items, answers, tmp_path / "found.conllu")
    assert [x.upos for x in read(f"files:{tmp_path}/found.conllu", "fr", Counter())] == answers
    loaded = []
    for name in ("x", "found"):
        with (tmp_path / f"{name}.conllu").open(encoding="utf-8") as file:
            loaded.append(udeval.load_conllu(file, "", {}))
    accuracy = task.scores(items, answers)["accuracy"]
    assert accuracy == udeval.evaluate(*loaded)["UPOS"].f1 == 9 / 12


@pytest.mark.slow
def test_fifty_sentences_are_learnt_by_heart(tmp_path: Path) -> None:
    """Tags that no word tells alone."""
    chance = random.Random(0)
    items = []
    for _ in range(50):
        n = chance.randrange(2, 12)
        words = [f"w{chance.randrange(60)}" for _ in range(n)]
        items.append(sentence([chance.choice(["NOUN", "VERB", "ADJ"]) for _ in words], words))
    assert overfit(Tagging.learn(items, TUNING), items, TUNING, tmp_path) > 0.99
