"""Vocabularies: which row each language's pieces have, what is learned from, what is on disk."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xl_jax.config import Vocab
from xl_jax.errors import InputError
from xl_jax.text.twins import shifted
from xl_jax.tokens import sentencepiece_model, vocabulary
from xl_jax.tokens.sentencepiece_model import Size, choose, chosen, shares
from xl_jax.tokens.special import MASK, N_SPECIAL, NAMES, UNK
from xl_jax.tokens.vocabulary import Vocabulary, load

WORDS = "la mi so re do fa ti ka lo pe nu ga ri".split()
MODES = ("joint", "union", "disjoint", "local")


def random_lines(n: int, seed: int, words: Iterable[str] = WORDS) -> list[str]:
    random = np.random.default_rng(seed)
    return [" ".join(random.choice([*words], random.integers(6, 14))) for _ in range(n)]


def text(lines: list[str]) -> Callable[[], list[str]]:
    return lambda: lines


def train(
    config: Vocab,
    texts: Mapping[str, list[str]],
    twins: Mapping[str, str] | None = None,
    shifts: Mapping[str, float | None] | None = None,
    **more: object,
) -> Vocabulary:
    bases = {x: x for x in texts} | dict(twins or {})
    return vocabulary.train(
        config, {x: text(t) for x, t in texts.items()}, bases, shifts or {}, 0, **more
    )


def letters(mode: str, specials: str = "shared", **more: object) -> Vocabulary:
    """Models of characters, most frequent first: x has a, b and the blank, y has c, b and it."""
    config = Vocab(mode=mode, type="char", size=50, specials=specials)
    return train(config, {"x": ["aaab ab"], "y": ["cccb cb"]}, **more)


def small(mode: str = "union", kind: str = "bpe", **more: object) -> Vocabulary:
    texts = {"a": random_lines(300, 0, [*WORDS, "xalu"]), "b": random_lines(300, 1)}
    size = {"word": 18, "unigram": 30}.get(kind, 40)
    return train(Vocab(mode=mode, type=kind, size=size), texts, **more)


@pytest.mark.parametrize(
    ("mode", "n_pieces", "x", "y"),
    [
        ("joint", 9, [5, 6, 7, 8], [5, 6, 7, 8]),  # a b c blank: one model
        ("union", 9, [5, 6, 7], [8, 6, 7]),
        ("disjoint", 11, [5, 6, 7], [8, 9, 10]),
        ("local", 8, [5, 6, 7], [5, 6, 7]),
    ],
)
def test_rows_of_each_mode(mode: str, n_pieces: int, x: list[int], y: list[int]) -> None:
    v = letters(mode)
    assert v.n_pieces == n_pieces and v.size == 128
    for language, rows in (("x", x), ("y", y)):
        assert v.ids[language].tolist() == [*range(N_SPECIAL), *rows]
        assert np.flatnonzero(v.possible(language)).tolist() == sorted([*range(N_SPECIAL), *rows])
    y = v.encoder("y")(["bc"])[0]
    assert y.dtype == np.int32 and [v.piece("y", int(i)) for i in y] == ["▁", "b", "c"]


@pytest.mark.parametrize(
    ("mode", "y", "n_pieces"),
    [("joint", 9, 14), ("union", 9, 14), ("disjoint", 11, 16), ("local", 0, 8)],
)
def test_private_special_tokens_have_rows_after_all_pieces(
    mode: str, y: int, n_pieces: int
) -> None:
    v, shared = letters(mode, "private"), letters(mode)
    assert v.special_offset == {"x": 0, "y": y} and shared.special_offset == {"x": 0, "y": 0}
    assert v.n_pieces == n_pieces
    ordinary = shared.possible("y")
    ordinary[:N_SPECIAL] = False
    own = [y + i for i in range(N_SPECIAL)]
    assert np.flatnonzero(v.possible("y")).tolist() == sorted([*own, *np.flatnonzero(ordinary)])
    unknown = v.encoder("y")(["z"])[0]
    assert unknown[-1] == UNK and v.piece("y", UNK) == NAMES[UNK]  # canonical in batches


@pytest.mark.parametrize("share", [None, 0.0, 0.3, 1.0])
@pytest.mark.parametrize("mode", ["joint", "union", "disjoint"])
def test_twins_rename_a_share_of_the_pieces(mode: str, share: float | None) -> None:
    twins, shifts = {"t": "x", "u": "x"}, {"t": share, "u": share}
    v = letters(mode, twins=twins, shifts=shifts)
    pieces = v.strings("x")[N_SPECIAL:]
    assert v.strings("t") == v.strings("x") and v.models["t"] == v.models["x"]
    renamed = shifted(pieces, float(mode != "joint") if share is None else share)
    assert share != 0.3 or 0 < renamed.sum() < len(renamed)
    rows = {x: v.ids[x][N_SPECIAL:] for x in v.ids}
    assert (rows["t"] == rows["x"]).tolist() == (~renamed).tolist()
    assert len({*rows["t"][renamed], *rows["u"][renamed]}) == 2 * renamed.sum()
    assert not {*rows["t"][renamed]} & {*rows["x"], *rows["y"]}
    plain = letters(mode)
    assert [plain.ids[x].tolist() for x in "xy"] == [v.ids[x].tolist() for x in "xy"]


def test_local_twins_share_nothing_to_rename() -> None:
    v = letters("local", twins={"t": "x"}, shifts={"t": None})
    assert v.ids["t"].tolist() == v.ids["x"].tolist() and v.n_pieces == 8
    with pytest.raises(InputError, match=r"shift=0.5 of t: with vocab.mode = 'local'"):
        letters("local", twins={"t": "x"}, shifts={"t": 0.5})


@pytest.mark.parametrize("kind", ["bpe", "unigram", "word", "char"])
@pytest.mark.parametrize("mode", MODES)
def test_text_becomes_pieces_and_pieces_the_text(mode: str, kind: str, tmp_path: Path) -> None:
    v = small(mode, kind, twins={"t": "b"}, shifts={"t": None if mode == "local" else 0.5})
    v.save(tmp_path)
    again = load(tmp_path)
    assert again.digest == v.digest and again.n_pieces == v.n_pieces
    assert again.special_offset == v.special_offset
    lines = ["la mi so", "", "nu" * 3000, "q Ω <mask> </s>", "ti"]
    for language in "abt":
        encoded, same = v.encoder(language)(lines), again.encoder(language)(lines)
        assert [x.tolist() for x in encoded] == [x.tolist() for x in same]
        assert all(x.dtype == np.int32 and v.possible(language)[x].all() for x in encoded)
        pieces = [v.piece(language, int(i)) for i in encoded[0]]
        assert "".join(pieces).replace("▁", " ").strip() == lines[0]
        assert len(encoded[1]) == 0 and UNK in encoded[3] and MASK not in encoded[3]
        assert v.encoder(language)([]) == []
    with pytest.raises(InputError, match="row 127 of the vocabulary is no piece of a"):
        v.piece("a", 127)


def test_rows_are_the_same_every_time_and_the_digest_tells_vocabularies_apart() -> None:
    assert small().digest == small().digest
    assert np.array_equal(small().ids["b"], small().ids["b"])
    different = [small(mode) for mode in MODES]
    different += [letters("union"), letters("union", "private"), small("union", "unigram")]
    different += [small("joint", twins={"t": "a"}, shifts={"t": x}) for x in (0.0, 0.5)]
    assert len({v.digest for v in different}) == len(different)


def test_vocab_json_names_every_row(tmp_path: Path) -> None:
    v = letters("union", "private", twins={"t": "y"}, shifts={"t": 1.0})
    v.save(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["vocab.json", "x.model", "y.model"]
    record = json.loads((tmp_path / "vocab.json").read_text())
    assert record["pieces"] == [*NAMES, "a", "b", "▁", "c", "c", "b", "▁", *NAMES, *NAMES]
    assert record["languages"] == {
        "x": {"model": "x.model", "rows": 0, "special_offset": 0},
        "y": {"model": "y.model", "rows": [8, 6, 7], "special_offset": 12},
        "t": {"model": "y.model", "rows": 4, "special_offset": 17},
    }
    again = load(tmp_path)
    assert (again.mode, again.specials, again.digest) == ("union", "private", v.digest)
    letters("local").save(tmp_path)
    pieces = json.loads((tmp_path / "vocab.json").read_text())["pieces"]
    assert pieces == {"x": [*NAMES, "a", "b", "▁"], "y": [*NAMES, "c", "b", "▁"]}


def test_changed_files_are_refused_by_name(tmp_path: Path) -> None:
    letters("union").save(tmp_path)
    path = tmp_path / "vocab.json"
    text = path.read_text()
    assert load(tmp_path).n_pieces == 9
    for damaged in (text.replace('"n_pieces": 9', '"n_pieces": 10'), text[:100], "[]", "{}"):
        assert damaged != text
        path.write_text(damaged)
        with pytest.raises(InputError, match=r"vocab.json: changed .* \(digests differ\)"):
            load(tmp_path)
    path.write_text(text)
    model = tmp_path / "y.model"
    content = model.read_bytes()
    model.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(InputError, match=r"y.model: changed .* \(digests differ\)"):
        load(tmp_path)
    model.unlink()
    with pytest.raises(InputError, match=r"y.model: no such file"):
        load(tmp_path)
    path.unlink()
    with pytest.raises(InputError, match=r"vocab.json: no such file"):
        load(tmp_path)


def test_sizes_by_language() -> None:
    texts = {"a": random_lines(300, 0), "b": random_lines(300, 1)}
    v = train(Vocab(mode="disjoint", size=40, sizes="b=30"), texts)
    assert [len(v.ids[x]) for x in "ab"] == [40, 30] and v.n_pieces == 40 + 25
    for config, message in (
        (Vocab(sizes="b=30"), "vocab.sizes = 'b=30': a joint vocabulary has one model"),
        (Vocab(mode="union", sizes="t=30"), "model of its own in vocab.sizes 't': .*known: a, b"),
        (Vocab(mode="union", size=40, sizes="b=900"), "size = 900 is impossible for .* of b: it"),
    ):
        with pytest.raises(InputError, match=message):
            train(config, texts, {"t": "b"})


@pytest.mark.parametrize(
    ("lines", "kind", "size", "message"),
    [
        (random_lines(99, 0), "bpe", 900, r"= 900 .* the text of a: it gives at most \d\d bpe"),
        (random_lines(99, 0), "unigram", 900, r"of a: it gives at most \d\d unigram pieces"),
        (random_lines(99, 0), "word", 900, r"of a: it gives at most 18 word pieces"),
        (random_lines(99, 0), "bpe", 10, r"= 10 .* of a: its characters alone need 22"),
        (["一二三四五六七八九十"], "unigram", 9, r"of a: its characters alone need 16"),
        ([], "bpe", 40, "the text of a has no line of visible characters"),
        (["  ", "\u3000"], "bpe", 40, "the text of a has no line of visible characters"),
        (["x" * 70_000], "bpe", 40, "at most 65,536 bytes to learn pieces from"),
    ],
)
def test_impossible_vocabularies_are_said_plainly(
    lines: list[str], kind: str, size: int, message: str
) -> None:
    with pytest.raises(InputError, match=message) as error:
        train(Vocab(mode="union", type=kind, size=size), {"a": lines})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("mode", "sample", "expected"),
    [
        ("joint", 10**6, {"a": 0.5, "b": 1.0, "c": 0.0}),
        ("joint", 1500, {"a": 0.25, "b": 0.5, "c": 0.0}),
        ("union", 10**6, {"a": 1.0, "b": 1.0, "c": 1.0}),
        ("union", 1000, {"a": 0.25, "b": 1.0, "c": 1.0}),
    ],
)
def test_shares_of_the_text_that_is_learned_from(
    mode: str, sample: int, expected: dict[str, float]
) -> None:
    """alpha = 0.5: four times the lines, twice the share; then no more than `sample` characters."""
    sizes = {"a": Size(400, 4000), "b": Size(100, 1000), "c": Size(0, 0)}
    assert shares(Vocab(mode=mode, alpha=0.5, sample=sample), sizes) == expected


def test_chosen_lines_depend_on_themselves_alone() -> None:
    lines = [f"line {i}" for i in range(4000)]
    kept = [line for line in lines if chosen(line, 0.3, 0)]
    assert abs(len(kept) / 4000 - 0.3) < 3 * (0.3 * 0.7 / 4000) ** 0.5
    assert [line for line in reversed(lines) if chosen(line, 0.3, 0)] == kept[::-1]
    assert {*kept} < {line for line in lines if chosen(line, 0.4, 0)}
    assert kept != [line for line in lines if chosen(line, 0.3, 1)]
    assert choose(lines, 0.3, 0) == kept and choose(lines, 1.0, 0) == lines


@pytest.mark.parametrize("mode", ["joint", "union"])
def test_no_model_learns_from_more_than_the_sample(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[list[str]] = []
    learn = sentencepiece_model.train_model

    def spy(config: Vocab, size: int, lines: Iterable[str], whose: str) -> bytes:
        read.append(list(lines))
        return learn(config, size, iter(read[-1]), whose)

    monkeypatch.setattr(sentencepiece_model, "train_model", spy)
    texts = {"a": random_lines(2000, 0), "b": random_lines(500, 1)}
    config = Vocab(mode=mode, size=40, sample=4000)
    whole = train(config, texts)
    first = [*read]
    assert len(first) == (1 if mode == "joint" else 2)
    for lines in first:
        assert 3600 < sum(map(len, lines)) <= 4000
    # Filtered before, in whatever process, it is the same sample.
    sizes = {x: Size(len(t), sum(map(len, t))) for x, t in texts.items()}
    keep = shares(config, sizes)
    filtered = {x: [line for line in t if chosen(line, keep[x], 0)] for x, t in texts.items()}
    again = train(config, filtered, sizes=sizes)
    assert read[len(first) :] == first and again.digest == whole.digest


@pytest.mark.parametrize("error", [KeyboardInterrupt, InputError("bad text")])
def test_what_stops_the_text_stops_learning(error: Any) -> None:
    def lines() -> Iterator[str]:
        yield from ["la mi so"] * 100
        raise error

    with pytest.raises(error if isinstance(error, type) else InputError):
        sentencepiece_model.train_model(Vocab(size=12), 12, lines(), "a")


def test_languages_that_keep_their_pieces_may_have_sizes_of_their_own() -> None:
    texts = {"a": random_lines(300, 0), "b": random_lines(300, 1)}
    config = Vocab(mode="union", size=40, sizes="b=30")
    first = train(config, texts)
    assert len(first.ids["b"]) == 30
    assert train(config, texts, known=first).digest == first.digest
    with pytest.raises(InputError, match="language with a model of its own in vocab.sizes 'c'"):
        train(Vocab(mode="union", size=40, sizes="c=30"), texts, known=first)
