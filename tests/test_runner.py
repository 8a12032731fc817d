"""Measures of whole runs: a twin that is no different, encoders that have nothing in common."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xl_jax.analysis.procrustes import load
from xl_jax.analysis.record import Record
from xl_jax.config import Batch, Config, Data, EvalOptions, Model, Optim, Vocab
from xl_jax.config.finetune import Tuning
from xl_jax.errors import InputError
from xl_jax.evaluate import items
from xl_jax.evaluate.context import Context
from xl_jax.evaluate.encoders import RANDOM, Encoders
from xl_jax.evaluate.mapped_transfer import through_map
from xl_jax.evaluate.maps import save_maps, sentence_maps
from xl_jax.evaluate.pairs import sentence_files
from xl_jax.evaluate.runner import measure, measure_over_training
from xl_jax.evaluate.word_maps import word_maps
from xl_jax.runs import run_directory
from xl_jax.runs.run_directory import Run
from xl_jax.training.step import init_state

WORDS = [a + b for a in "bdfgklmnprst" for b in ("a", "eno", "ilu", "orake")]


def write_text(place: Path) -> Path:
    path = place / "text.txt"
    random = np.random.default_rng(0)
    lines = [" ".join(random.choice(WORDS, random.integers(4, 9))) for _ in range(400)]
    path.write_text("\n".join(lines) + "\n")
    return path


def untrained(place: Path, sharing: str, width: int = 16, seed: int = 0) -> Run:
    """A run that was saved at step 0, of a language and a twin with the same pieces."""
    config = Config(
        languages=("a", "t"),
        corpora={"a": f"files:{write_text(place)}", "t": "twin:a#shift=0,text=parallel"},
        sharing=sharing,
        seed=seed,
        steps=2,
        log_every=2,
        eval_every=2,
        checkpoint_every=2,
        vocab=Vocab(mode="disjoint", size=60),
        data=Data(dir=str(place / "data"), windows="line", length=16, heldout=0.2),
        model=Model(
            layers=2, heads=2, width=width, ffn=32, positions=16, dropout=0.0, attention_dropout=0.0
        ),
        batch=Batch(slots=2, rows=4),
        optim=Optim(lr=1e-2, schedule="cosine", warmup=2),
        probe=EvalOptions(sentences=40, words=30),
    )
    quiet: dict[str, Any] = {"log": lambda _: None}
    run = run_directory.start(config, place / f"{sharing}{width}{seed}", **quiet)
    checkpoints = run.checkpoints(**quiet, read_only=False)
    checkpoints.save(2, init_state(run.model))
    checkpoints.close()
    return run


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def same(place: Path) -> Run:
    return untrained(place, "all_shared")


@pytest.fixture(scope="module")
def private(place: Path) -> Run:
    return untrained(place, "all_private")


def values(records: list[Record], metric: str, **wanted: Any) -> list[float]:
    found = [r.value for r in records if r.has(metric=metric, **wanted)]
    assert found, (metric, wanted)
    return found


@pytest.mark.slow
def test_identical_views_are_aligned_and_private_ones_are_at_chance(
    same: Run, private: Run
) -> None:
    tasks = ("retrieval", "cka", "twins")
    found = measure(same, tasks).records
    for metric in ("sentence_retrieval", "word_alignment", "cka", "multilinguality"):
        assert values(found, metric, model="trained") == pytest.approx(
            [1.0] * len(values(found, metric, model="trained")), abs=1e-5
        )
    for r in found:
        if r.has(metric="multilinguality", model="trained"):
            assert 0.8 < r.low < r.value == r.high == 1  # 40 and 30 items leave a doubt
    apart = measure(private, tasks).records
    assert max(values(apart, "sentence_retrieval", model="trained")) < 0.3
    assert max(values(apart, "multilinguality", step=2)) < 0.3
    assert max(values(apart, "cka", model="trained", layer=2)) < 0.9
    for r in found:
        if r.metric in ("sentence_retrieval", "word_alignment", "cka"):
            assert r.low <= r.value + 1e-6 and r.value - 1e-6 <= r.high
            assert 0 < r.chance < 1
            assert r.n == (len(same.data.gold["a"]) if r.metric == "word_alignment" else 40)
    score = next(r for r in apart if r.has(metric="multilinguality", layers="all", step=2))
    assert score.low < score.value < score.high < score.low + 0.2


@pytest.mark.slow
def test_records_are_kept_one_file_a_request(same: Run) -> None:
    own = measure(same, ("translation",))
    assert own.files == [same.folder / "eval/translation.json"]
    other = measure(same, ("translation",), options=EvalOptions(words=20))
    assert other.files != own.files and other.records[0].n == 20
    special = measure(same, ("translation",), options=EvalOptions(words=20, special_tokens=True))
    assert special.files not in (own.files, other.files)
    assert json.loads(special.files[0].read_text())["asked"]["probe"]["special_tokens"] is True
    assert {r.get("special_tokens") for r in special.records} == {True}
    assert {r.get("special_tokens") for r in other.records} == {None}
    written = json.loads(own.files[0].read_text())
    written["records"] = written["records"][:1]
    del written["digest"]  # as in files of earlier versions
    own.files[0].write_text(json.dumps(written))
    assert len(measure(same, ("translation",)).records) == 1  # read, not measured
    assert len(measure(same, ("translation",), again=True).records) == len(own.records)


@pytest.mark.slow
def test_every_choice_of_tasks_and_data_has_its_figure(same: Run) -> None:
    own, some = ("translation", "perplexity"), EvalOptions(words=20)
    figures = [
        measure(same, own).figure,
        measure(same, own[:1]).figure,
        measure(same, own[:1], options=some).figure,
        measure(same, own, options=some).figure,
    ]
    assert figures[:2] == [
        same.folder / "layers-translation-perplexity.png",
        same.folder / "eval/translation.png",
    ]
    assert len(set(figures)) == 4


@pytest.mark.slow
def test_a_map_undoes_what_two_runs_have_different(place: Path, same: Run, private: Run) -> None:
    """The other run is the same network with its states rotated: its embeddings and weights are not
    equal, but a map from sentences of one half finds the other half."""
    lines = [
        " ".join(same.data.vocabulary.piece("a", int(p)) for p in line).replace("▁", "")
        for line in list(same.data.heldout["a"])[:40]
    ]
    (place / "map").write_text("\n".join(lines[:30]) + "\n")
    (place / "test").write_text("\n".join(lines[30:]) + "\n")
    files = f"{place}/map,{place}/map", f"{place}/test,{place}/test"
    options = EvalOptions(map=files[0], pairs=files[1])
    found = measure(same, ("retrieval",), options=options).records
    assert min(values(found, "sentence_retrieval", model="trained", map="procrustes")) > 0.9
    drawn = values(found, "sentence_retrieval", model="trained", map="random")
    assert sum(drawn) / len(drawn) < 0.4
    assert {r.get("criterion") for r in found} == {"cosine", "csls"}
    measure(private, ("retrieval",), options=options)
    kept = sorted(private.folder.glob("eval/maps/sentences-t-a-*/*.npz"))
    assert [x.name for x in kept] == ["layer_0.npz", "layer_1.npz", "layer_2.npz"]
    context = Context(private, None, options, lambda _: None)
    pairs = items.map_sentences(context, "a", "t")
    assert pairs is not None
    maps = sentence_maps(context, "a", "t", pairs, ("trained", "trained"))["procrustes"]
    for i, learnt in enumerate(map(load, kept)):
        for j, expected in enumerate(maps):
            assert np.allclose(learnt.rotation, expected.rotation, atol=1e-5) == (i == j)
            assert np.allclose(learnt.source_mean, expected.source_mean, atol=1e-5) == (i == j)


@pytest.mark.slow
def test_files_of_one_name_are_not_taken_for_each_other(place: Path, same: Run) -> None:
    lines = (place / "text.txt").read_text().splitlines()
    specs = []
    for folder, some in (("one", lines[:4]), ("two", lines[4:8])):
        (place / folder).mkdir()
        (place / folder / "x").write_text("\n".join(some) + "\n")
        specs.append(f"{place}/{folder}/x,{place}/{folder}/x")
    encoders = Encoders(same)
    found = []
    for spec in specs:
        pairs = sentence_files(same.data, "a", "t", spec)
        assert pairs.name == "x"
        found.append(encoders.sentences("trained", "a", pairs.source))
    assert not np.allclose(*found)


@pytest.mark.slow
def test_a_changed_file_is_measured_anew(place: Path, same: Run) -> None:
    lines = (place / "text.txt").read_text().splitlines()
    for n in (5, 7):
        (place / "changed").write_text("\n".join(lines[:n]) + "\n")
        options = EvalOptions(pairs=f"{place}/changed,{place}/changed")
        assert {r.n for r in measure(same, ("retrieval",), options=options).records} == {n}


@pytest.mark.slow
def test_sentences_are_found_among_further_candidates(place: Path, same: Run) -> None:
    lines = (place / "text.txt").read_text().splitlines()
    (place / "few").write_text("\n".join(lines[:10]) + "\n")
    pairs = f"{place}/few,{place}/few"
    options = EvalOptions(pairs=pairs, candidates=f"{place}/text.txt", layers=(1,))
    found = measure(same, ("retrieval",), options=options).records
    assert {r.layer for r in found} == {1}
    ways = {(r.target, r.get("candidates"), r.n) for r in found}
    assert ways == {("t", 10 + len(lines), 10)}
    assert {round(1 / r.chance) for r in found} == {10 + len(lines)}
    exact = values(found, "sentence_retrieval", model="trained", centred=False, criterion="cosine")
    copies = np.mean([1 / (1 + lines.count(line)) for line in lines[:10]])  # equal vectors: a draw
    assert exact == pytest.approx([copies])


@pytest.mark.slow
def test_words_of_a_dictionary_are_found_by_rows_and_by_averages(place: Path, same: Run) -> None:
    from xl_jax.tokens.detokenize import Spelling, most_frequent, single_pieces

    spelling = Spelling(same.data.vocabulary, "a")
    words = most_frequent(spelling.count(same.data.train["a"].spread_lines(200)), 60)
    assert len(single_pieces(same.data.vocabulary, "a").keys() & set(words)) >= 8
    (place / "train").write_text("".join(f"{w} {w}\n" for w in words))  # too few for a share
    (place / "test").write_text("".join(f"{w} {w}\n" for w in words[1::2]))
    options = EvalOptions(
        map_dictionary=str(place / "train"), dictionary=str(place / "test"), text=200, types=60
    )
    found = measure(same, ("induction",), options=options).records
    for vectors in ("static", "contextual"):
        learnt = values(found, "dictionary_induction", vectors=vectors, map="procrustes", at=1)
        assert min(learnt) == 1.0
        drawn = values(found, "dictionary_induction", vectors=vectors, map="random", at=1)
        assert sum(drawn) / len(drawn) < 0.5
    assert {r.layer for r in found if r.has(vectors="contextual")} == {0, 1, 2}
    (place / "test").write_text("nowhere nulle\n")
    with pytest.raises(InputError, match="0 of its 1 source words are covered.*'nowhere nulle'"):
        measure(same, ("induction",), options=dataclasses.replace(options, types=50))


@pytest.mark.slow
def test_runs_of_different_width_compare_by_cka_but_have_no_map(place: Path, same: Run) -> None:
    wide = untrained(place, "all_shared", width=24)
    (place / "pairs").write_text("\n".join(f"{i} {i % 7}" for i in range(12)) + "\n")
    files = f"{place}/pairs,{place}/pairs"
    options = EvalOptions(source="a", target="t", pairs=files)
    found = measure(same, ("cka",), other=wide, options=options).records
    assert all(0 <= v <= 1 for v in values(found, "cka"))
    with pytest.raises(InputError, match="spaces of width 24 and 16"):
        measure(same, ("retrieval",), other=wide, options=dataclasses.replace(options, map=files))


@pytest.mark.slow
def test_refused_with_the_reason(same: Run) -> None:
    with pytest.raises(InputError, match="layer 3: the encoders have layers 0 to 2"):
        measure(same, ("retrieval",), options=EvalOptions(layers=(1, 3)))
    with pytest.raises(InputError, match="unknown task 'retrival': did you mean 'retrieval'"):
        measure(same, ("retrival",))
    with pytest.raises(InputError, match="unknown language of the evaluation 'fr': known: a, t"):
        measure(same, ("retrieval",), options=EvalOptions(target="fr"))


@pytest.mark.slow
def test_a_map_of_linked_words_is_the_identity_between_identical_views(
    place: Path, same: Run
) -> None:
    lines = (place / "text.txt").read_text().splitlines()[:30]
    (place / "words").write_text("\n".join(lines) + "\n")
    links = [" ".join(f"{i}-{i}" for i in range(len(line.split()))) for line in lines]
    (place / "links").write_text("\n".join(links) + "\n")
    files = f"{place}/words,{place}/words"
    said: list[str] = []
    options = EvalOptions(map=files, links=f"{place}/links")
    context = Context(same, None, options, said.append)
    maps = word_maps(context, "a", "t")
    words = sum(len(line.split()) for line in lines)
    told = next(x for x in said if x.startswith("word pairs: "))
    assert 0.9 * words < int(told.split()[2]) <= words
    width = same.config.model.width
    for learnt in maps["procrustes"]:
        weights, offset = learnt.affine()
        np.testing.assert_allclose(weights, np.eye(width), atol=1e-3)
        np.testing.assert_allclose(offset, np.zeros(width), atol=1e-3)
    for drawn in maps["random"]:
        assert np.abs(drawn.affine()[0] - np.eye(width)).max() > 0.3
    (place / "links").write_text("\n".join(["0-99", *links[1:]]) + "\n")
    with pytest.raises(InputError, match="links:1: '0-99' is no link"):
        word_maps(context, "a", "t")


@pytest.mark.slow
def test_a_task_through_a_map_between_identical_views_is_the_task_itself(
    place: Path, same: Run
) -> None:
    random = np.random.default_rng(1)
    sentences = [random.choice(WORDS, 6).tolist() for _ in range(60)]
    tagged = [[f"{w}\t{'B-X' if w[0] in 'bdf' else 'O'}" for w in s] for s in sentences]
    (place / "x.bio").write_text("\n\n".join("\n".join(s) for s in tagged) + "\n")
    (place / "words").write_text("".join(" ".join(s) + "\n" for s in sentences))
    (place / "links").write_text("\n".join([" ".join(f"{i}-{i}" for i in range(6))] * 60) + "\n")
    data = f"files:{place}/x.bio"
    tuning = Tuning(
        task="ner", train=data, dev=data, test=data, encoders=("trained", "untrained"), batch=(4,),
        lr=(1e-2,), best=1, epochs=4, dropout=0.0, new_layers=1,
    )  # fmt: skip
    options = EvalOptions(map=f"{place}/words,{place}/words", links=f"{place}/links", layers=(1,))
    context = Context(same, None, options, lambda _: None)
    records, path = through_map(context, tuning, lambda _: None)
    assert len(json.loads(path.read_text())["records"]) == len(records)
    for model in ("trained", "untrained"):
        f1 = {
            (r.target, r.get("map")): r
            for r in records
            if r.has(kind="result", metric="f1", model=model)
        }
        assert list(f1) == [("a", "none"), ("t", "none"), ("t", "procrustes"), ("t", "random")]
        source, own, mapped, drawn = (r.value for r in f1.values())
        assert source == own > 0.6 and mapped == pytest.approx(own, abs=0.03) and drawn < own
        assert all(r.low <= r.value <= r.high for r in f1.values())


@pytest.mark.slow
def test_an_untrained_target_is_several_encoders_independent_of_the_run(same: Run) -> None:
    """The run was saved at its start and shares everything: its own untrained target is equal."""
    found = [r for r in measure(same, ("cka",)).records if r.metric == "cka"]
    own = values(found, "cka", model="untrained")
    assert own == pytest.approx([1.0] * 3, abs=1e-5)
    for r in found:
        if r.model == "untrained target":
            assert 0 <= r.value < 0.9 and r.get("encoders") == 3 and 0 < r.get("sd") < 0.3
            assert r.low <= r.value <= r.high
    encoders = Encoders(same)
    tables = [encoders.views(w)["a"]["embed"]["token"] for w in ("untrained", *RANDOM)]
    for i, table in enumerate(tables):
        for other in tables[:i]:
            assert abs(np.corrcoef(np.ravel(table), np.ravel(other))[0, 1]) < 0.2
    again = Encoders(same).views(RANDOM[1])["a"]["embed"]["token"]
    np.testing.assert_array_equal(again, tables[2])


@pytest.mark.slow
def test_a_run_saved_at_its_start_has_flat_curves(same: Run) -> None:
    found = measure_over_training(same, ("retrieval", "cka"), log=lambda _: None)
    (path,) = found.files
    assert path.name == "steps-retrieval-cka.json" and path.exists()
    assert {(r.step, r.model) for r in found.records} == {
        *((0, "untrained"), (2, "trained"), (2, ""))
    }
    curves = [r for r in found.records if r.metric == "over_training"]
    assert {r.get("of") for r in curves} >= {"sentence_retrieval", "cka_debiased", "anc"}
    for r in curves:
        assert r.get("steps") == 2 and r.value == r.get("start") and r.get("half_step") is None
    again = measure_over_training(same, ("retrieval", "cka"), log=lambda _: None)
    assert again.records == found.records
    with pytest.raises(InputError, match="unknown task 'perplexity'"):
        measure_over_training(same, ("perplexity",))


@pytest.mark.slow
def test_a_damaged_file_of_records_is_told_and_measured_again(same: Run) -> None:
    path = measure(same, ("perplexity",)).files[0]
    whole = json.loads(path.read_text())
    for text in ("{", "[]", json.dumps({**whole, "records": [{"value": 1}]}), "\x00\xff"):
        path.write_text(text, encoding="latin-1")
        said: list[str] = []
        found = measure(same, ("perplexity",), log=said.append)
        assert len(said) == 1 and f"{path} is damaged: " in said[0]
        assert said[0].endswith("measured again") and "\n" not in said[0]
        assert json.loads(path.read_text()) == whole
        assert [r.to_json() for r in found.records] == whole["records"]


@pytest.mark.slow
def test_records_say_which_softmax_the_run_was_trained_with(same: Run) -> None:
    for r in measure(same, ("perplexity", "translation")).records:
        assert r.get("softmax") == same.config.model.softmax == "all"


@pytest.mark.slow
def test_a_name_of_a_language_makes_no_folder(place: Path, same: Run) -> None:
    context = Context(same, None, None, lambda _: None)
    outside = {x for x in place.rglob("*") if same.folder not in x.parents}
    save_maps(context, [], "sentences", "../../../x", "a/b")
    assert {x for x in place.rglob("*") if same.folder not in x.parents} == outside
    assert list((same.folder / "eval/maps").glob("sentences-a%2Fb-%2E.%2F..%2F..%2Fx-*"))
