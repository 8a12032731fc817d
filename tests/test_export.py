"""Exported views in transformers: the same tokens, states and logits."""

import dataclasses
import warnings

import interchange_toy as toy
import jax
import numpy as np
import pytest

from xl_jax.config import Vocab
from xl_jax.config.finetune import Tuning
from xl_jax.errors import InputError
from xl_jax.finetune.language_view import run_views
from xl_jax.finetune.model import Tuned, unflatten
from xl_jax.interchange import formats
from xl_jax.interchange.export import export, identity_transform
from xl_jax.interchange.task_head import TaskHead
from xl_jax.tasks.heads import Classifier
from xl_jax.tokens.special import BOS, EOS, MASK

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    torch = pytest.importorskip("torch", reason="exports are opened in PyTorch")
    transformers = pytest.importorskip("transformers", reason="exports are opened in transformers")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # of the other libraries
LINES = ["la mi so re", "ба ве го la", "", "山川 木  火 été.", "la mi la mi la mi", "été ñu – ﬁ"]
CLOSE = {"rtol": 1e-5, "atol": 1e-5}

# vocabulary, model, format
CASES = {
    "xlm": (Vocab(mode="joint", size=60, type="bpe"), toy.MODEL, "XLMWithLMHeadModel"),
    "bert": (
        Vocab(mode="union", size=32, type="unigram", specials="private"),
        dataclasses.replace(toy.MODEL, ffn=40, language_embedding=True),
        "BertForMaskedLM",
    ),
    "megatron-bert": (
        Vocab(mode="disjoint", size=50, type="bpe", specials="private"),
        toy.pre_norm(),
        "MegatronBertForMaskedLM",
    ),
    "roberta": (
        Vocab(mode="joint", size=60, type="unigram"),
        dataclasses.replace(toy.MODEL, ffn=40),
        "RobertaForMaskedLM",
    ),
    "local": (
        Vocab(mode="local", size=50, sizes="fr=55"),
        dataclasses.replace(toy.MODEL, mlm_transform=True, norm_eps=1e-5, activation="gelu_tanh"),
        "BertForMaskedLM",
    ),
}


@pytest.fixture(scope="module", params=CASES)
def exported(request, tmp_path_factory):
    """(run, folder of the exported French view, class)"""
    folder = tmp_path_factory.mktemp("export")
    vocab, model, name = CASES[request.param]
    run = toy.run(folder / "run", toy.config(toy.corpora(folder), vocab, model=model))
    chosen = "roberta" if request.param == "roberta" else ""  # else the first that holds the model
    export(run, "fr", folder / "fr", chosen, log=lambda _: None)
    return run, folder / "fr", name


def test_states_and_logits_are_those_of_the_run(exported):
    run, folder, name = exported
    vocabulary = run.data.vocabulary
    rows = toy.padded(vocabulary.encoder("fr")(LINES), BOS, EOS)
    model = transformers.AutoModelForMaskedLM.from_pretrained(folder).eval()
    assert type(model).__name__ == name
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, split_special_tokens=True)
    inputs = tokenizer(LINES, padding=True, return_tensors="pt")
    assert set(inputs) == {"input_ids", "attention_mask"}
    ids = inputs["input_ids"].numpy()
    row = vocabulary.ids["fr"]
    np.testing.assert_array_equal(row[ids], rows)
    with torch.no_grad():
        found = model(**inputs, output_hidden_states=True)

    states, logits = toy.states(run, "fr", rows)
    real = rows != 0
    theirs = torch.stack(found.hidden_states).numpy()
    np.testing.assert_allclose(theirs[:, real], states[:, real], **CLOSE)
    special = np.arange(5) + vocabulary.special_offset["fr"]
    mine = logits[..., np.concatenate([special, row[5:]])]
    scale = np.abs(mine[real]).max()
    np.testing.assert_allclose(found.logits.numpy()[real], mine[real], rtol=1e-5, atol=1e-5 * scale)
    assert states.std() > 0.1 and scale > 1


HEADS = [("xlm", "nli"), ("xlm", "ner"), ("bert", "nli"), ("megatron-bert", "nli"), ("bert", "ner")]


@pytest.mark.parametrize("exported", sorted({x for x, _ in HEADS}), indirect=True)
def test_tuned_heads_give_the_same_scores(exported, tmp_path, request):
    run, _, _ = exported
    for task in [task for name, task in HEADS if name == request.node.callspec.params["exported"]]:
        labels = (
            ("contradiction", "entailment", "neutral") if task == "nli" else ("B-X", "I-X", "O")
        )
        tuning = Tuning(task=task, source="en")
        _, params = run.trained()
        view = run_views(run, tuning, params)["fr"]
        random = np.random.default_rng(5)
        c = run.config.model
        tuned = {
            "head/out/kernel": random.standard_normal((c.width, 3), np.float32),
            "head/out/bias": random.standard_normal(3, np.float32),
            "layer_1/ffn/up/bias": random.standard_normal(c.ffn, np.float32),
        }
        head = TaskHead(task, labels, tuned, view, {"scores": []})
        export(run, "fr", tmp_path / task, head=head, log=lambda _: None)

        vocabulary = run.data.vocabulary
        rows = toy.padded(vocabulary.encoder("fr")(LINES), BOS, EOS)
        module = Tuned(c, vocabulary.size, Classifier(c, 3, 0.0))
        places = np.tile(np.arange(rows.shape[1], dtype=np.int32), (len(rows), 1))
        places = places[:, :1] if task == "nli" else places
        apply = jax.jit(module.apply)
        mine = apply({"params": unflatten(view.after(tuned))}, rows[:, None], places)["logits"]
        kinds = {"nli": "SequenceClassification", "ner": "TokenClassification"}
        auto = getattr(transformers, f"AutoModelFor{kinds[task]}")
        model = auto.from_pretrained(tmp_path / task).eval()
        assert model.config.id2label == dict(enumerate(labels))
        tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / task)
        with torch.no_grad():
            found = model(**tokenizer(LINES, padding=True, return_tensors="pt")).logits.numpy()
        real = (rows != 0)[:, : places.shape[1]]
        found = found[:, None] if task == "nli" else found
        np.testing.assert_allclose(found[real], np.asarray(mine)[real], rtol=1e-5, atol=2e-5)
        assert np.std(found) > 0.3


@pytest.mark.parametrize("exported", ["xlm"], indirect=True)
def test_masks_are_filled_and_the_card_says_what_it_is(exported):
    run, folder, _ = exported
    fill = transformers.pipeline("fill-mask", model=str(folder), tokenizer=str(folder))
    found = fill("la <mask> so", top_k=3)
    assert len(found) == 3 and {"score", "token", "token_str", "sequence"} <= set(found[0])
    ids = fill.tokenizer("la <mask> so")["input_ids"]
    whole = run.data.vocabulary.encoder("fr")(["la", "so"])
    assert ids == [BOS, *whole[0], MASK, *whole[1], EOS]
    card = (folder / "README.md").read_text()
    assert "language: fr" in card and "XLMWithLMHeadModel" in card and '"sharing"' in card
    assert "auto_map" not in (folder / "config.json").read_text()


def test_formats_say_why_they_do_not_hold_a_model():
    narrow = dataclasses.replace(toy.MODEL, ffn=40)
    assert formats.choose(narrow).name == "bert"
    with pytest.raises(InputError, match="ffn is 4 x width = 64, the model's is 40"):
        formats.choose(narrow, "xlm")
    with pytest.raises(InputError, match="megatron-bert: it is pre-norm, the model is post-norm"):
        formats.choose(toy.MODEL, "megatron-bert")
    with pytest.raises(InputError, match="unknown --format 'gpt2'.*known: bert"):
        formats.choose(toy.MODEL, "gpt2")


def test_a_last_layer_norm_that_cannot_be_undone_is_refused():
    leaves = {"layer_2/ffn_norm/scale": np.float32([1, 1e-4]), "layer_2/ffn_norm/bias": np.zeros(2)}
    with pytest.raises(InputError, match="layer_2/ffn_norm/scale has a component of 1.0e-04"):
        identity_transform(leaves, toy.MODEL)
