"""Encoders of transformers as runs: the same tokens, states and logits, and back to the bit."""

import dataclasses
import json
import shutil
import struct
import warnings
from pathlib import Path

import interchange_toy as toy
import jax
import numpy as np
import pytest

from xl_jax.config import EvalOptions
from xl_jax.config.finetune import Tuning
from xl_jax.devices.mesh import one_device
from xl_jax.errors import InputError
from xl_jax.evaluate.context import Context
from xl_jax.evaluate.mapped_transfer import through_map
from xl_jax.evaluate.runner import measure
from xl_jax.finetune.transfer import Transfer
from xl_jax.interchange.export import export
from xl_jax.interchange.imported import Imported
from xl_jax.interchange.importing import import_run
from xl_jax.interchange.safetensors_file import Tensors
from xl_jax.tokens.given import processor
from xl_jax.training.step import state_shapes

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    torch = pytest.importorskip("torch", reason="imports are compared with PyTorch")
    transformers = pytest.importorskip("transformers", reason="and transformers")
    tokenizers = pytest.importorskip("tokenizers", reason="and its tokenizers")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # of the other libraries
TEXT = ["la mi so re do fa ti ka lo pe", "ба ве го да ба ве", "山川 木火 水 日", "été ñu Ärger"] * 5
LINES = ["La mi so", "ба ве го la [MASK]", "", "山川 木  火 été.", "mi-la, mi?", "zzz ☃"]
WIDTH = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=40)
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


def word_piece() -> tuple:
    made = tokenizers.implementations.BertWordPieceTokenizer(lowercase=True)
    made.train_from_iterator(TEXT, vocab_size=70, show_progress=False)
    names = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    made.add_special_tokens(["[unused0]"])
    return made._tokenizer, names


def unigram() -> tuple:
    """As in XLM-R: <s> 0, <pad> 1, </s> 2, <unk> 3."""
    names = ("<pad>", "<unk>", "<s>", "</s>", "<mask>")
    made = tokenizers.Tokenizer(tokenizers.models.Unigram())
    made.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trainer = tokenizers.trainers.UnigramTrainer(
        vocab_size=50, special_tokens=special, unk_token="<unk>", show_progress=False
    )
    made.train_from_iterator(TEXT, trainer)
    return made, names


def byte_bpe() -> tuple:
    made = tokenizers.implementations.ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    made.train_from_iterator(TEXT, vocab_size=300, special_tokens=special, show_progress=False)
    return made._tokenizer, ("<pad>", "<unk>", "<s>", "</s>", "<mask>")


MADE = {
    "bert": word_piece, "megatron-bert": word_piece, "xlm-roberta": unigram, "camembert": unigram,
    "roberta": byte_bpe, "xlm": unigram,
}  # fmt: skip
CLASSES = {
    "bert": "Bert", "megatron-bert": "MegatronBert", "xlm-roberta": "XLMRoberta",
    "camembert": "Camembert", "roberta": "Roberta",
}  # fmt: skip


def save(folder: Path, kind: str, seed: int = 0) -> Path:
    """A random model and a tokenizer, as `save_pretrained` leaves them."""
    tokenizer, names = MADE[kind]()
    roles = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    roles = dict(zip(roles, names, strict=True))
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **roles)
    fast.save_pretrained(folder)
    ids = {f"{x}_id": tokenizer.token_to_id(roles[x]) for x in roles}
    common = dict(vocab_size=tokenizer.get_vocab_size(), max_position_embeddings=24, **ids)
    torch.manual_seed(seed)
    if kind == "xlm":
        c = transformers.XLMConfig(
            emb_dim=16, n_layers=2, n_heads=2, n_langs=2, use_lang_emb=True,
            layer_norm_eps=1e-6, gelu_activation=False, **common,
        )  # fmt: skip
        c.lang2id, c.id2lang = {"en": 0, "fr": 1}, {0: "en", 1: "fr"}
        model = transformers.XLMWithLMHeadModel(c)
    else:
        name = CLASSES[kind]
        c = getattr(transformers, f"{name}Config")(layer_norm_eps=1e-5, **WIDTH, **common)
        model = getattr(transformers, f"{name}ForMaskedLM")(c)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape))
        model.get_input_embeddings().weight[ids["pad_token_id"]] = 0
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=["bert", "megatron-bert", "xlm-roberta", "roberta", "xlm"])
def imported(request, tmp_path_factory):
    """(run of English and French, folder that it was imported from, its architecture)"""
    folder = tmp_path_factory.mktemp("import")
    there = save(folder / "there", request.param)
    logged: list[str] = []
    run = import_run({("en", "fr"): there}, folder / "run", log=logged.append)
    return run, there, request.param


def test_states_and_logits_are_those_of_transformers(imported):
    run, there, kind = imported
    tokenizer = transformers.AutoTokenizer.from_pretrained(there, split_special_tokens=True)
    theirs = [x.ids for x in tokenizer._tokenizer.encode_batch(LINES, add_special_tokens=False)]
    encoded = run.data.vocabulary.encoder("fr")(LINES)
    order = np.asarray(Imported(there).order)
    for mine, line in zip(encoded, theirs, strict=True):
        np.testing.assert_array_equal(order[mine], line)
    rows = toy.padded(encoded, 2, 3)
    states, logits = toy.states(run, "fr", rows)
    model = transformers.AutoModelForMaskedLM.from_pretrained(there).eval()
    inputs = {"input_ids": torch.tensor(order[rows]), "attention_mask": torch.tensor(rows != 0)}
    inputs["attention_mask"] = inputs["attention_mask"].long()
    if kind == "xlm":
        inputs["langs"] = torch.ones(rows.shape, dtype=torch.long)
    with torch.no_grad():
        found = model(**inputs, output_hidden_states=True)
    real = rows != 0
    np.testing.assert_allclose(
        torch.stack(found.hidden_states).numpy()[:, real], states[:, real], **CLOSE
    )
    pieces = len(Imported(there).order)
    mine = logits[..., :pieces][real]
    scale = np.abs(mine).max()
    np.testing.assert_allclose(
        found.logits.numpy()[..., order][real], mine, rtol=1e-5, atol=1e-5 * scale
    )
    assert states.std() > 0.1 and scale > 1


def test_export_gives_the_folder_again_to_the_bit(imported, tmp_path):
    run, there, _ = imported
    export(run, "fr", tmp_path / "again", log=lambda _: None)
    before, after = Tensors(there), Tensors(tmp_path / "again")
    assert list(before) == list(after) or set(before) == set(after)
    for name in before:
        np.testing.assert_array_equal(before[name].view(np.int32), after[name].view(np.int32))
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        assert (there / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_two_encoders_are_an_all_private_run(tmp_path):
    one, two = save(tmp_path / "1", "bert", 1), save(tmp_path / "2", "bert", 2)
    run = import_run({("en",): one, ("fr",): two}, tmp_path / "run", log=lambda _: None)
    assert run.config.sharing == "all_private" and run.config.vocab.mode == "local"
    _, params = run.trained()
    for language, folder in (("en", one), ("fr", two)):
        view = run.model.view(params, run.language(language))
        query = Tensors(folder)["bert.encoder.layer.1.attention.self.query.weight"]
        mine = np.asarray(view["layer_2"]["attention"]["query"]["kernel"]).reshape(16, 16).T
        np.testing.assert_array_equal(mine, query)
    moments = state_shapes(run.model, one_device()).moments
    assert not jax.tree.leaves(moments)  # frozen parameters have none


def test_an_interrupted_import_is_made_again(good, tmp_path, monkeypatch):
    other, out = save(tmp_path / "other", "bert", 7), tmp_path / "run"

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Imported, "keep", stop)
        with pytest.raises(KeyboardInterrupt):
            import_run({("en",): other}, out, log=lambda _: None)
    run = import_run({("en",): good}, out, log=lambda _: None)  # of the same form, not the same
    assert run.trained()[0] == 0
    export(run, "en", tmp_path / "again", log=lambda _: None)
    before, after = Tensors(good), Tensors(tmp_path / "again")
    for name in before:
        np.testing.assert_array_equal(before[name], after[name])
    with pytest.raises(InputError, match="holds a run already"):
        import_run({("en",): good}, out, log=lambda _: None)
    shutil.rmtree(out / "imported")  # begun by another command: it stays
    with pytest.raises(InputError, match="holds a run already"):
        import_run({("en", "fr"): good}, out, log=lambda _: None)
    (tmp_path / "again" / "config.json").unlink()  # written last
    kept = shutil.copytree(tmp_path / "again", tmp_path / "half")
    import_run({("en",): good}, out, log=lambda _: None)
    export(run, "en", kept, log=lambda _: None)
    assert (kept / "config.json").read_bytes() == (good / "config.json").read_bytes()
    with pytest.raises(InputError, match="is not empty"):
        export(run, "en", kept, log=lambda _: None)
    (tmp_path / "again" / "notes").touch()
    with pytest.raises(InputError, match="is not empty"):
        export(run, "en", tmp_path / "again", log=lambda _: None)


def test_camembert_is_roberta_by_another_name(tmp_path):
    there = save(tmp_path / "there", "camembert")
    assert json.loads((there / "config.json").read_text())["model_type"] == "camembert"
    run = import_run({("fr",): there}, tmp_path / "run", log=lambda _: None)
    assert Imported(there).format.name == "roberta"
    view, tensors = run.model.view(run.trained()[1], 0), Tensors(there)
    for i in (1, 2):
        name = f"roberta.encoder.layer.{i - 1}.intermediate.dense.weight"
        np.testing.assert_array_equal(view[f"layer_{i}"]["ffn"]["up"]["kernel"].T, tensors[name])
    positions = tensors["roberta.embeddings.position_embeddings.weight"][
        2:
    ]  # 0 and 1 are no text's
    types = tensors["roberta.embeddings.token_type_embeddings.weight"][0]
    np.testing.assert_array_equal(view["embed"]["position"], positions + types)
    export(run, "fr", tmp_path / "again", log=lambda _: None)
    for name in tensors:
        np.testing.assert_array_equal(Tensors(tmp_path / "again")[name], tensors[name])


@pytest.mark.parametrize("lower", [True, False])
def test_a_list_of_words_is_bert_s_tokenizer(lower, good, tmp_path):
    folder = shutil.copytree(good, tmp_path / "words")
    ids = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    words = [*sorted(ids, key=ids.__getitem__), "La", "Mi", "ÉTÉ", "[unused0]"]
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": lower}))
    theirs = transformers.BertTokenizerFast(str(folder / "vocab.txt"), do_lower_case=lower)
    there = Imported(folder)
    encode = processor(there.tokenizer).encode
    for line, found in zip(LINES, encode(LINES), strict=True):
        wanted = theirs(line, add_special_tokens=False)["input_ids"]
        assert "[MASK]" in line or [there.order[i] for i in found] == wanted
    ((first,),) = encode(["La"])
    assert (words[there.order[first]] == "La") is not lower


BAD = {
    "pickle": ("pytorch_model.bin", "pickle"),
    "truncated": ("model.safetensors", "is it whole"),
    "lying": ("model.safetensors", "is not"),
    "architecture": ("config.json", "unknown architecture 'gpt2'.*known: bert"),
    "field": ("config.json", "'num_attention_heads' is missing"),
    "activation": ("config.json", "hidden_act 'silu'"),
    "tokenizer": ("tokenizer.json", "pieces, the embedding"),
    "tensor": ("model.safetensors", "tensors are missing"),
    "size": (
        "config.json",
        r"position_embeddings.weight has the shape \(24, 16\).*means \(10, 16\)",
    ),
    "types": ("model.safetensors", r"token_type_embeddings.weight has the shape \(16, 2\)"),
    "number": ("config.json", "max_position_embeddings = '24' is no whole number"),
    "deep": ("model.safetensors", "no safetensors header"),
    "form": ("tokenizer.json", "is none of tokenizers: "),
    "list": ("tokenizer.json", "tokenizer.json is no JSON object"),
    "role": ("tokenizer_config.json", r"mask_token = \['x'\] is no token"),
}


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    return save(tmp_path_factory.mktemp("good"), "bert")


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_clear_line(case, good, tmp_path):
    name, message = BAD[case]
    folder = shutil.copytree(good, tmp_path / "bad")
    weights, path = folder / "model.safetensors", folder / name
    settings = json.loads((folder / "config.json").read_text())
    content = weights.read_bytes()
    if case == "pickle":
        weights.rename(path)
    elif case == "truncated":
        weights.write_bytes(content[:-8])
    elif case in ("lying", "tensor", "types", "deep"):
        (length,) = struct.unpack("<Q", content[:8])
        header = json.loads(content[8 : 8 + length])
        victim = "bert.encoder.layer.1.attention.self.query.weight"
        if case == "lying":
            header[victim]["shape"] = [10**9, 10**9]
        elif case == "types":
            header["bert.embeddings.token_type_embeddings.weight"]["shape"] = [16, 2]
        else:
            header["other"] = header.pop(victim)
        text = b"[" * 10**5 if case == "deep" else json.dumps(header).encode()
        weights.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])
    elif case == "tokenizer":
        tokenizer = json.loads(path.read_text())
        tokenizer["model"]["vocab"] |= {"one": 500, "more": 501}
        path.write_text(json.dumps(tokenizer))
    elif case in ("form", "list", "role"):
        path.write_text({"form": "{}", "list": "[]", "role": '{"mask_token": ["x"]}'}[case])
    else:
        changed = {
            "architecture": {"model_type": "gpt2"},
            "activation": {"hidden_act": "silu"},
            "size": {"max_position_embeddings": 10},
            "number": {"max_position_embeddings": "24"},
        }
        settings |= changed.get(case, {})
        if case == "field":
            del settings["num_attention_heads"]
        path.write_text(json.dumps(settings))
    with pytest.raises(InputError, match=message) as error:
        import_run({("en",): folder}, tmp_path / "run", log=lambda _: None)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run" / "config.json").exists()


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"en": 0}, "unknown language in lang2id of .* 'fr'"),
        ({"en": 0, "fr": 2}, "fr: 2 is none of 2 rows"),
        ([0, 1], r"\[0, 1\] are no languages and their numbers"),
    ],
)
def test_languages_that_a_multilingual_folder_does_not_number(numbers, message, tmp_path):
    there = save(tmp_path / "there", "xlm")
    settings = json.loads((there / "config.json").read_text()) | {"lang2id": numbers}
    (there / "config.json").write_text(json.dumps(settings))
    with pytest.raises(InputError, match=message):
        import_run({("en", "fr"): there}, tmp_path / "run", log=lambda _: None)
    assert not (tmp_path / "run").exists()


def test_every_kind_of_task_works_on_imported_encoders(tmp_path):
    one, two = save(tmp_path / "1", "bert", 1), save(tmp_path / "2", "bert", 2)
    folders = {("en",): one, ("fr",): two}
    text = tmp_path / "text"
    text.write_text("\n".join(f"{line} {i}" for i, line in enumerate(TEXT * 10)))
    run = import_run(folders, tmp_path / "run", dict.fromkeys(("en", "fr"), f"files:{text}"))
    words = "la mi so re do fa ti ka lo pe".split()
    files = {
        "pairs": "\n".join(" ".join(words[i : i + 3]) for i in range(8)),
        "words": "\n".join(f"{x}\t{x}" for x in words),
        "ner": "".join(f"{x}\tO\n{y}\tB-X\n\n" for x, y in zip(words, words[1:], strict=False)),
    }
    for name, content in files.items():
        (tmp_path / name).write_text(content + "\n")
    pairs, dictionary = f"{tmp_path}/pairs,{tmp_path}/pairs", f"{tmp_path}/words"
    options = EvalOptions(
        pairs=pairs, map=pairs, dictionary=dictionary, map_dictionary=dictionary, layers=(0, 2)
    )
    done = measure(run, ("retrieval", "translation", "cka", "induction"), options=options)
    assert len(done.files) == 4
    values = [r.value for r in done.records]
    assert np.isfinite(values).all() and len(set(values)) > 4
    spec = f"files:{tmp_path}/ner"
    tuning = Tuning(
        task="ner", train=spec, dev=spec, test=spec, batch=(4,), lr=(1e-2,), epochs=1, best=1
    )
    transfer = Transfer(run, tuning, log=lambda _: None)
    transfer.run_all()
    assert {r["target"] for r in transfer.records()} == {"en", "fr"}

    (tmp_path / "links").write_text("0-0 1-1 2-2\n" * 8)
    mapped = EvalOptions(map=pairs, links=f"{tmp_path}/links", layers=(1,))
    context = Context(run, None, mapped, lambda _: None)
    tuning = dataclasses.replace(tuning, new_layers=1)
    records, _ = through_map(context, tuning, lambda _: None)
    kinds = {r.get("map") for r in records if r.has(target="fr", metric="f1")}
    assert kinds == {"none", "procrustes", "random"}
