"""XLM's own tokenizer, vocab.json and merges.txt: the numbers of transformers' XLMTokenizer."""

import json
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from xl_jax.errors import InputError
from xl_jax.interchange.export import export
from xl_jax.interchange.imported import Imported
from xl_jax.interchange.importing import import_run
from xl_jax.tokens import given, moses

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    torch = pytest.importorskip("torch", reason="imports are compared with PyTorch")
    transformers = pytest.importorskip("transformers", reason="and transformers")
    pytest.importorskip("tokenizers", reason="and its tokenizers")
    pytest.importorskip("sacremoses", reason="of which XLM's needs this")
    pytest.importorskip("rjieba", reason="and this")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # of the other libraries
SPECIAL = ["<s>", "</s>", "<pad>", "<unk>", *(f"<special{i}>" for i in range(10))]
LINES = {
    "en": [
        "Mr. Lami's lake, isn't it? (A lake...)",
        "",
        "☃ 12,5 %",
        "“a” –  b…c",
        "a\u00adb\u200bc",
    ],
    "fr": ["L'été, « Lami » l'a dit : là !", "Mme. Lac\u00a0?", "mal  mâle"],
    "zh": ["我在山里。 他说：“你好”！", "山（川）１２，木", "lac 山"],
    "ro": ["Şi ţară, Âla", "țel"],
}
# "ma", "lac" and "ac" are no pieces: of these only parts, wholes, or what is made of them are
MERGES = [
    ("l", "a"),
    ("m", "a"),
    ("a", "c</w>"),
    ("la", "c</w>"),
    ("ma", "l</w>"),
    ("山", "里</w>"),
]
LETTERS = "abcdeilmstrz12,.'\"-山川里我在他你好木"


@pytest.fixture(scope="module")
def there(tmp_path_factory) -> Path:
    """A random model with its tokenizer, as `save_pretrained` leaves them."""
    folder = tmp_path_factory.mktemp("xlm")
    pieces = [*SPECIAL, *LETTERS, *(x + "</w>" for x in LETTERS), "la", "mal</w>", "山里</w>"]
    (folder / "vocab.json").write_text(json.dumps({x: i for i, x in enumerate(pieces)}))
    merges = "".join(f"{a} {b} 3\n" for a, b in MERGES)
    (folder / "merges.txt").write_text(merges)
    files = [str(folder / name) for name in ("vocab.json", "merges.txt")]
    transformers.XLMTokenizer(*files).save_pretrained(folder)
    torch.manual_seed(0)
    numbers = {x: i for i, x in enumerate(LINES)}
    config = transformers.XLMConfig(
        vocab_size=len(pieces), max_position_embeddings=24, emb_dim=16, n_layers=1, n_heads=2,
        n_langs=4, lang2id=numbers, id2lang={i: x for x, i in numbers.items()},
    )  # fmt: skip
    transformers.XLMWithLMHeadModel(config).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("language", LINES)
def test_lines_have_the_numbers_of_transformers(language, plain, there):
    files = [str(there / name) for name in ("vocab.json", "merges.txt")]
    theirs = transformers.XLMTokenizer(*files, do_lowercase_and_remove_accent=plain)
    content = given.fast_bpe(theirs.encoder, there / "merges.txt", "<unk>")
    xlm = {"language": language, "plain": plain, "pieces": len(theirs.encoder)}
    mine = given.Given(given.keep(content, ["<pad>", "<unk>", "<s>", "</s>", "<special1>"], xlm))
    for line, found in zip(LINES[language], mine.encode(LINES[language]), strict=True):
        wanted = theirs.convert_tokens_to_ids(theirs._tokenize(line, lang=language))
        assert [mine.order[i] for i in found] == wanted


def test_a_run_has_it_and_export_gives_it_again(there, tmp_path):
    run = import_run({tuple(LINES): there}, tmp_path / "run", log=lambda _: None)
    assert run.config.data.windows == "line"  # as the tokenizer frames: <s> ... </s>
    theirs = transformers.XLMTokenizer.from_pretrained(there)
    order = np.asarray(Imported(there).order)
    for language, lines in LINES.items():
        encoded = run.data.vocabulary.encoder(language)(lines)
        wanted = [theirs.convert_tokens_to_ids(theirs._tokenize(x, lang=language)) for x in lines]
        assert [order[x].tolist() for x in encoded] == wanted
    assert "mal▁" in run.data.vocabulary.strings("en")
    export(run, "fr", tmp_path / "again", log=lambda _: None)
    for name in ("vocab.json", "merges.txt", "tokenizer_config.json"):
        assert (there / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    assert not (tmp_path / "again" / "tokenizer.json").exists()


def test_what_it_cannot_read_is_one_clear_line(there, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="cuts ja with KyTea: not supported"):
        moses.words("ja", True)
    (tmp_path / "merges.txt").write_text("a b\nc\n")
    with pytest.raises(InputError, match=r"merges.txt:2: not a pair of pieces"):
        given.fast_bpe({"a": 0}, tmp_path / "merges.txt", "<unk>")
    (tmp_path / "merges.txt").write_bytes(b"\xff b\n")
    with pytest.raises(InputError, match="merges.txt is not UTF-8"):
        given.fast_bpe({"a": 0}, tmp_path / "merges.txt", "<unk>")
    monkeypatch.setitem(sys.modules, "sacremoses", None)
    given.opened.cache_clear()  # English's may be open
    with pytest.raises(InputError, match="needs sacremoses: pip install -r requirements-inter"):
        import_run({("en",): there}, tmp_path / "run", log=lambda _: None)
    assert not (tmp_path / "run").exists()
