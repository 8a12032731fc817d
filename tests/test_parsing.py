"""Dependency parsing: CoNLL-U in and out, maximum spanning trees, scores equal to the official."""

import importlib
import importlib.util
import random
from collections import Counter
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from udtools import Validator, udeval

from tests.task_toy import FRAMING, MODEL, Letters, Words, letter, overfit
from xl_jax.config.finetune import Tuning
from xl_jax.errors import InputError
from xl_jax.tasks.conllu import HEAD, RELATION, Tree, of_record, read, write
from xl_jax.tasks.parsing import Arcs, Parsing, attachment, official, spanning_tree

needs_trees = pytest.mark.skipif(
    not importlib.util.find_spec("ufal"), reason="needs ufal.chu_liu_edmonds, best trees"
)

# Multi-word token 2-3, empty node 5.1, no space before "." and inside "du".
SAMPLE = """\
# sent_id = 1
# text = Elle vient du lac.
1\tElle\telle\tPRON\t_\t_\t2\tnsubj\t2:nsubj\t_
2\tvient\tvenir\tVERB\t_\t_\t0\troot\t0:root\t_
3-4\tdu\t_\t_\t_\t_\t_\t_\t_\t_
3\tde\tde\tADP\t_\t_\t5\tcase\t5:case\t_
4\tle\tle\tDET\t_\t_\t5\tdet:def\t5:det\t_
5\tlac\tlac\tNOUN\t_\t_\t2\tobl:arg\t2:obl\tSpaceAfter=No
5.1\tvient\tvenir\tVERB\t_\t_\t_\t_\t2:conj\tCopyOf=2
6\t.\t.\tPUNCT\t_\t_\t2\tpunct\t2:punct\t_

"""


def tree(*rows: str) -> Tree:
    """Words as "form UPOS head relation"."""
    columns = list(zip(*(row.split() for row in rows), strict=True))
    lines = [
        "\t".join((str(i), form, "_", upos, "_", "_", head, relation, "_", "_"))
        for i, (form, upos, head, relation) in enumerate(zip(*columns, strict=True), 1)
    ]
    words, upos, heads, relations = map(list, columns)
    return Tree(words, [int(x) for x in heads], relations, upos, [True] * len(words), lines)


def write_file(folder: Path, text: str) -> str:
    path = folder / "sample.conllu"
    path.write_text(text, encoding="utf-8")
    return f"files:{path}"


def test_multiword_tokens_and_empty_nodes_are_no_words(tmp_path: Path) -> None:
    counts: Counter[str] = Counter()
    (found,) = read(write_file(tmp_path, SAMPLE), "fr", counts)
    assert found.words == ["Elle", "vient", "de", "le", "lac", "."]
    assert found.heads == [2, 0, 5, 5, 2, 2]
    assert found.relations == ["nsubj", "root", "case", "det:def", "obl:arg", "punct"]
    assert found.spaced == [True, True, True, True, True, False]
    assert counts == {"multiword_tokens": 1, "empty_nodes": 1}
    written = write(found, {HEAD: [2, 0, 2, 3, 2, 1], RELATION: ["a", "root", "b", "c", "d", "e"]})
    assert written == (
        "# sent_id = 1\n# text = Elle vient du lac.\n"
        "1\tElle\telle\tPRON\t_\t_\t2\ta\t_\t_\n"
        "2\tvient\tvenir\tVERB\t_\t_\t0\troot\t_\t_\n"
        "3-4\tdu\t_\t_\t_\t_\t_\t_\t_\t_\n"
        "3\tde\tde\tADP\t_\t_\t2\tb\t_\t_\n"
        "4\tle\tle\tDET\t_\t_\t3\tc\t_\t_\n"
        "5\tlac\tlac\tNOUN\t_\t_\t2\td\t_\tSpaceAfter=No\n"
        "6\t.\t.\tPUNCT\t_\t_\t1\te\t_\t_\n\n"
    )


def test_a_record_of_tfds_loses_the_lines_that_are_no_words() -> None:
    """TFDS keeps them, and drops their numbers."""
    names = ["PRON", "VERB", "_", "ADP", "DET", "NOUN", "PUNCT"]
    record = {
        "tokens": [b"Elle", b"vient", b"du", b"de", b"le", b"lac", b"vient", b"."],
        "upos": [0, 1, 2, 3, 4, 5, 1, 6],
        "head": [b"2", b"0", b"None", b"5", b"5", b"2", b"None", b"2"],
        "deprel": [b"nsubj", b"root", b"_", b"case", b"det", b"obl", b"_", b"punct"],
        "misc": [b"None"] * 5 + [b"{'SpaceAfter': 'No'}", b"None", b"None"],
    }
    counts: Counter[str] = Counter()
    found = of_record(record, names, "record 0", counts)
    assert found.words == ["Elle", "vient", "de", "le", "lac", "."]
    assert found.heads == [2, 0, 5, 5, 2, 2]
    assert found.upos == ["PRON", "VERB", "ADP", "DET", "NOUN", "PUNCT"]
    assert found.spaced == [True, True, True, True, True, False]
    assert counts == {"multiword_tokens": 1, "empty_nodes": 1}
    assert official([found], [Arcs(found.heads, found.relations)])["las_official"] == 1.0


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["a X 2 dep", "b X 1 dep"], "0 roots"),
        (["a X 0 root", "b X 3 dep", "c X 2 dep"], "a cycle of words 2, 3"),
        (["a X 0 root", "b X 0 root"], "2 roots (1, 2)"),
        (["a X 0 root", "b X _ dep"], "word 2 ('b') has no head"),
        (["a X 0 root", "b X 7 dep"], "word 2 ('b') has head 7"),
        (["a X 0 root", "b X 2 dep"], "word 2 ('b') has head 2"),
    ],
)
def test_what_is_no_tree_is_refused_with_its_place(
    rows: list[str], message: str, tmp_path: Path
) -> None:
    lines = []
    for i, row in enumerate(rows, 1):
        form, upos, head, relation = row.split()
        lines.append("\t".join((str(i), form, "_", upos, "_", "_", head, relation, "_", "_")))
    text = SAMPLE + "\n".join(lines) + "\n\n"
    with pytest.raises(InputError) as caught:
        read(write_file(tmp_path, text), "fr", Counter())
    assert f"sample.conllu:12: {message}" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 a b c\n\n", "sample.conllu:1: not 10 columns"),
        (SAMPLE.replace("\n2\tv", "\n9\tv"), "words are not numbered 1, 2, 3"),
        (SAMPLE.replace("\t2\tnsubj", "\tx\tnsubj"), "sample.conllu:1: "),
        ("", "no item"),
    ],
)
def test_broken_files_are_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        read(write_file(tmp_path, text), "fr", Counter())


def test_wrong_encoding_is_refused_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "latin.conllu"
    path.write_bytes(SAMPLE.replace("Elle", "\u00c9l").encode("latin-1"))
    with pytest.raises(InputError, match=r"latin.conllu:2: not UTF-8"):
        read(f"files:{path}", "fr", Counter())


def test_parsing_without_its_library_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(InputError, match="parsing needs ufal.chu_liu_edmonds: pip install ufal"):
        Parsing.learn([], Tuning(task="parsing"))


@needs_trees
def test_spanning_trees_on_literal_scores() -> None:
    low = -1e30
    # Each word's best head alone would make a cycle of 1 and 2: the tree breaks it at word 1.
    cycle = np.array([[low, low, low], [-2.0, low, -0.1], [-3.0, -0.1, low]])
    assert spanning_tree(cycle).tolist() == [0, 1]
    # Two words that both want ROOT: one root, the one that loses least.
    roots = np.array([[low] * 3, [-0.1, low, -1.0], [-0.2, -4.0, low]])
    assert spanning_tree(roots).tolist() == [2, 0]
    # Certain arcs have log-probability 0, which the library takes for a missing arc.
    certain = np.full((4, 4), low)
    certain[1, 2] = certain[2, 0] = certain[3, 1] = 0.0
    assert spanning_tree(certain).tolist() == [2, 0, 1]
    assert spanning_tree(np.array([[low, low], [0.0, low]])).tolist() == [0]


@needs_trees
def test_spanning_trees_are_the_best_of_all() -> None:
    """Against every tree of four words."""
    chance = np.random.default_rng(0)
    heads = np.stack(np.meshgrid(*[range(5)] * 4, indexing="ij"), -1).reshape(-1, 4)

    def is_tree(row: np.ndarray) -> bool:
        above = [0, *row]
        for i in range(1, 5):
            seen = 0
            while i and seen < 5:
                i, seen = above[i], seen + 1
            if i:
                return False
        return int((row == 0).sum()) == 1

    trees = np.array([row for row in heads if is_tree(row)])
    assert len(trees) == 4 * 4**2  # rooted trees of n labelled words: n^(n-1)
    for _ in range(30):
        scores = chance.normal(size=(5, 5)) * 3
        totals = scores[np.arange(1, 5), trees].sum(1)
        assert spanning_tree(scores).tolist() == trees[totals.argmax()].tolist()


@needs_trees
def test_scores_on_hand_made_trees() -> None:
    """Five words, one of them punctuation: heads of 4 right, relations of 3, of which one differs
    in its subtype alone."""
    gold = tree("a X 2 nsubj", "b X 0 root", "c X 4 det", "d X 2 obl:arg", ". PUNCT 2 punct")
    found = Arcs([2, 0, 4, 2, 3], ["obj", "root", "det", "obl:tmod", "punct"])
    assert attachment([gold], [found]) == {"uas": 4 / 4, "las": 3 / 4}
    assert official([gold], [found]) == {"uas_official": 4 / 5, "las_official": 3 / 5}
    counts = Parsing.learn([gold], Tuning(task="parsing")).counts([gold, gold], [found, found])
    assert {name: rows.tolist() for name, rows in counts.items()} == {
        "uas": [[4, 4], [4, 4]],
        "las": [[3, 4], [3, 4]],
    }


@needs_trees
def test_official_scores_are_those_of_the_official_program(tmp_path: Path) -> None:
    """On files, as it is run; and, punctuation counted, ours is the same number."""
    chance = random.Random(0)
    items = [random_tree(chance, chance.randrange(1, 12)) for _ in range(20)]
    (with_multiword,) = read(write_file(tmp_path, SAMPLE), "fr", Counter())
    items.append(with_multiword)
    answers = []
    for item in items:
        n = len(item.words)
        other = random_tree(chance, n)
        kept = [chance.random() < 0.5 for _ in range(n)]
        names = [a if k else "x" for a, k in zip(item.relations, kept, strict=True)]
        answers.append(Arcs(other.heads if chance.random() < 0.6 else item.heads, names))
    task = Parsing.learn(items, Tuning(task="parsing"))
    task.write(items, answers, tmp_path / "found.conllu")
    task.write(items, [Arcs(x.heads, x.relations) for x in items], tmp_path / "gold.conllu")
    (tmp_path / "all.conllu").write_text(
        "".join(write(x, {}) for x in items[:-1]) + SAMPLE, encoding="utf-8"
    )
    scores = []
    for name in ("gold", "all"):
        files = [open(tmp_path / f"{x}.conllu", encoding="utf-8") for x in (name, "found")]
        loaded = [udeval.load_conllu(file, "", {}) for file in files]
        [file.close() for file in files]
        result = udeval.evaluate(*loaded)
        scores.append({f"{x.lower()}_official": result[x].f1 for x in ("UAS", "LAS")})
    assert scores[0] == scores[1] == official(items, answers)
    ours = attachment([x._replace(upos=["X"] * len(x.words)) for x in items], answers)
    assert ours["uas"] == pytest.approx(scores[0]["uas_official"], abs=1e-12)
    assert ours["las"] == pytest.approx(scores[0]["las_official"], abs=1e-12)
    assert 0.1 < ours["las"] < ours["uas"] < 0.9


def random_tree(chance: random.Random, n: int) -> Tree:
    """Words w0..w59 with heads and relations that their numbers decide half of the time."""
    order = list(range(1, n + 1))
    chance.shuffle(order)
    heads = {order[0]: 0}
    for place, word in enumerate(order[1:], 1):
        heads[word] = order[chance.randrange(place)]
    words = [f"w{chance.randrange(60)}" for _ in range(n)]
    relations = ["root" if heads[i] == 0 else f"r{chance.randrange(3)}" for i in range(1, n + 1)]
    rows = zip(words, range(1, n + 1), relations, strict=True)
    return tree(*(f"{word} X {heads[i]} {relation}" for word, i, relation in rows))


@needs_trees
def test_rows_have_root_first_and_labels_by_word(tmp_path: Path) -> None:
    (sentence,) = read(write_file(tmp_path, SAMPLE.lower()), "fr", Counter())
    task = Parsing.learn([sentence], Tuning(task="parsing"))
    assert task.relations == ("case", "det", "nsubj", "obl", "punct", "root")
    rows = task.rows([sentence], Letters(), "fr", FRAMING)
    first = [rows.tokens[i] for i in rows.read_at]
    assert rows.read_at[0] == 0 and first[1:] == [letter(x) for x in "evdll."]
    assert rows.labels["head"].tolist() == [-1, 2, 0, 5, 5, 2, 2]
    assert rows.labels["relation"].tolist() == [-1, 2, 5, 0, 1, 3, 4]
    other = Parsing.learn([sentence], Tuning(task="parsing", subtypes=True))
    assert "obl:arg" in other.relations and "obl" not in other.relations


@needs_trees
def test_what_was_cut_off_is_not_learnt_and_still_makes_a_tree() -> None:
    """A row of 8 holds 6 words of 9; word 2's head is word 8."""
    heads = [3, 8, 0, 3, 3, 3, 3, 3, 3]
    long = tree(*(f"w{i} X {head} {'r' if head else 'root'}" for i, head in enumerate(heads)))
    task = Parsing.learn([long], Tuning(task="parsing"))
    framing = FRAMING.__class__(FRAMING.first, 8, "truncate", "text")
    rows = task.rows([long], Words(), "en", framing)
    assert rows.read_at.tolist() == [0, 1, 2, 3, 4, 5, 6, -1, -1, -1]
    assert rows.labels["head"].tolist() == [-1, 3, -1, 0, 3, 3, 3, -1, -1, -1]
    assert rows.labels["relation"][2] == -1
    assert rows.counts == {"items_cut": 1, "words_cut_off": 3}
    arcs = np.full((10, 10), -9.0)
    arcs[[1, 2, 3, 4, 5, 6], [2, 0, 2, 3, 3, 3]] = -0.1
    output = {"arcs": arcs, "relations": np.zeros((10, 10), np.int32)}
    found = task.decode(output, rows.read_at)
    assert found.heads == [2, 0, 2, 3, 3, 3, 2, 2, 2]
    assert found.relations == ["r", "root", "r", "r", "r", "r"] + ["dep"] * 3
    assert official([long], [found])["uas_official"] == pytest.approx(3 / 9)


@needs_trees
@pytest.mark.slow
def test_written_trees_pass_the_validator_of_ud(tmp_path: Path) -> None:
    """Head 0 and the relation `root` go together, whatever the scores prefer."""
    (sentence,) = read(write_file(tmp_path, SAMPLE), "fr", Counter())
    chance = np.random.default_rng(0)
    states = jnp.asarray(chance.normal(size=(20, 7, MODEL.width)), jnp.float32)
    known = jnp.ones((20, 7), bool)
    items, answers = [], []
    for relations in (sentence.relations, ["punct"] * 6, ["root"] * 6):
        learnt = Parsing.learn([sentence._replace(relations=relations)], Tuning(task="parsing"))
        head = learnt.head(MODEL)
        shapes = jax.eval_shape(head.init, jax.random.key(0), states, known)
        params = jax.tree.map(lambda x: chance.normal(size=x.shape).astype(np.float32), shapes)
        output = jax.device_get(jax.jit(head.apply)(params, states, known))
        for i in range(len(states)):
            row = {name: array[i] for name, array in output.items()}
            answers.append(learnt.decode(row, np.arange(7)))
            lines = [f"# sent_id = {len(items)}", *sentence.lines[1:]]
            items.append(sentence._replace(lines=lines))
    learnt.write(items, answers, tmp_path / "found.conllu")
    state = Validator(level=3, output=None).validate_files([str(tmp_path / "found.conllu")])
    found = {(x.level, x.testid) for x in state.error_tracker}
    assert not [x for x in found if x[0] < 3 or x[1] in ("0-is-not-root", "root-is-not-0")]
    assert len({tuple(x.heads) for x in answers}) > 5


@needs_trees
@pytest.mark.slow
def test_fifty_sentences_are_learnt_by_heart(tmp_path: Path) -> None:
    chance = random.Random(1)
    items = [random_tree(chance, chance.randrange(2, 9)) for _ in range(50)]
    tuning = Tuning(
        task="parsing", train="x", dev="x", epochs=40, batch=(10,), lr=(5e-3,), dropout=0.0,
        arc=32, relation=16, head_dropout=0.0, input_dropout=0.0,
    )  # fmt: skip
    task = Parsing.learn(items, tuning)
    assert overfit(task, items, tuning, tmp_path) > 0.99
