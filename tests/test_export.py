"""Exported views in transformers: the same tokens, states and logits."""

import dataclasses
import warnings

import interchange_toy as toy
import numpy as np
import pytest

from xl_jax.config import Vocab
from xl_jax.interchange.export import export
from xl_jax.tokens.special import BOS, EOS

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    torch = pytest.importorskip("torch", reason="exports are opened in PyTorch")
    transformers = pytest.importorskip("transformers", reason="exports are opened in transformers")

pytestmark = pytest.mark.filterwarnings("ignore")  # of the other libraries
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
    export(run, "fr", folder / "fr", log=lambda _: None)
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
