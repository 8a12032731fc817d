"""Sets of the Hugging Face Hub, against a stand-in of the hub on this machine, and offline."""

import io
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub import constants

from tests import hub_stand_in
from tests.hub_stand_in import COMMIT, Repository, StandIn
from tests.text_toy import config, random_lines
from xl_jax.errors import InputError
from xl_jax.prepare import estimate
from xl_jax.prepare.pipeline import prepare
from xl_jax.prepare.prepared import Prepared
from xl_jax.prepare.workers import Processes
from xl_jax.tasks import ner, nli, specs
from xl_jax.text.hub import HubSet, split_files

OTHER = "f" * 40


def packed(columns: dict[str, Any], features: dict[str, Any] | None = None) -> bytes:
    """A parquet file in memory; `features` as `datasets` writes them."""
    table = pa.table(columns)
    if features:
        info = json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({"huggingface": info})
    file = io.BytesIO()
    pq.write_table(table, file, row_group_size=50)
    return file.getvalue()


def shards(seed: int) -> dict[str, bytes]:
    names = [f"fr/train-0000{i}-of-00002.parquet" for i in range(2)]
    files = {x: packed({"text": random_lines(120, seed + i)}) for i, x in enumerate(names)}
    return {"README.md": b"#", **files, "fr/test-00000-of-00001.parquet": packed({"text": ["x"]})}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    specs.hub_set.cache_clear()
    stand_in = StandIn({"o/wiki": Repository({COMMIT: shards(0), OTHER: shards(7)})})
    with hub_stand_in.served(stand_in, tmp_path / "cache", monkeypatch):
        yield stand_in


def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


def made(folder: Path, spec: str, log: list[str] | None = None) -> Prepared:
    told = (log if log is not None else []).append
    return prepare(config({"fr": spec}), folder, told, Processes(1))


def test_a_preparation_records_the_commit_and_is_that_of_the_same_files(
    hub: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log: list[str] = []
    data = made(tmp_path / "a", "hf:o/wiki/fr#share=0.9", log)
    assert f"hf:o/wiki at {COMMIT}: 2 files, 0 MB to download" in log
    assert (
        f"revision={COMMIT}"
        in json.loads((data.folder / "header.json").read_text())["languages"]["fr"]["spec"]
    )
    assert json.loads((data.folder / "source.json").read_text())["text"] == {
        "fr": {"hf:o/wiki": COMMIT}
    }
    local = tmp_path / "local"
    local.mkdir()
    for name, content in shards(0).items():
        if "train" in name:
            (local / Path(name).name).write_bytes(content)
    same = made(tmp_path / "b", f"files:{local}/*.parquet#share=0.9")
    assert [list(x) for x in data.train["fr"]] == [list(x) for x in same.train["fr"]]
    # What is prepared needs neither the hub nor its cache.
    hub.requests.clear()
    made(tmp_path / "a", "hf:o/wiki/fr#share=0.9")
    assert hub.requests == []
    # The cache is enough for another preparation.
    offline(monkeypatch)
    for spec in ("hf:o/wiki/fr#script=Latin", f"hf:o/wiki/fr#revision={COMMIT}"):
        made(tmp_path / "a", spec)
    assert hub.requests == []


def test_work_goes_on_and_is_repaired_at_the_commit_that_it_began_with(
    hub: StandIn, tmp_path: Path
) -> None:
    class Stopped(Exception):
        pass

    def stop(pieces: Any, label: str) -> None:
        raise Stopped

    wanted = config({"fr": "hf:o/wiki/fr"})
    with pytest.raises(Stopped):
        prepare(wanted, tmp_path, lambda _: None, stop)
    hub.sets["o/wiki"].refs["main"] = OTHER
    log: list[str] = []
    data = prepare(wanted, tmp_path, log.append, Processes(1))
    assert any(line.startswith("going on with") for line in log)
    spec = json.loads((data.folder / "header.json").read_text())["languages"]["fr"]["spec"]
    assert spec == f"hf:o/wiki/fr#revision={COMMIT}"
    before = {x.name: x.read_bytes() for x in data.folder.iterdir()}
    damaged = next(x for x in data.folder.iterdir() if "train" in x.name)
    damaged.write_bytes(damaged.read_bytes()[:-1])
    prepare(wanted, tmp_path, log.append, Processes(1))
    after = {x.name: x.read_bytes() for x in data.folder.iterdir()}
    assert {x for x in before if before[x] != after[x]} <= {"verified.json"}


def test_a_download_that_was_cut_goes_on(hub: StandIn, tmp_path: Path) -> None:
    name = "fr/train-00001-of-00002.parquet"
    size = len(shards(0)[name])
    hub.cut[name] = size // 2
    found = HubSet("o/wiki/fr")
    found.fetch(lambda _: None)
    cached = {x.name: x.read_bytes() for x in (tmp_path / "cache").rglob("*.parquet")}
    assert cached == {Path(x).name: shards(0)[x] for x in found.files}
    hub.requests.clear()
    HubSet("o/wiki/fr").fetch(lambda _: None)
    assert not [x for x in hub.requests if "resolve" in x]


def test_an_estimate_reads_what_it_needs_over_the_network(hub: StandIn, tmp_path: Path) -> None:
    plan = estimate.estimate(config({"fr": "hf:o/wiki/fr"}), 1)
    assert plan["languages"]["fr"]["documents"] == 240
    assert not list((tmp_path / "cache").rglob("*.parquet"))


def test_what_is_wrong_is_one_line_before_any_download(
    hub: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.sets["o/closed"] = Repository({COMMIT: {}}, gated=True)
    hub.sets["o/text"] = Repository({COMMIT: {"a.jsonl.gz": b"", "README.md": b""}})
    hub.sets["o/other"] = Repository({COMMIT: {"train.parquet": packed({"a": ["x"], "b": ["y"]})}})
    for spec, message in {
        "hf:wiki": "'hf:wiki': not REPO",
        "hf:o/wiki/fr#revison=x": "unknown key .*'revison': did you mean 'revision'",
        "hf:o/nothing": "hf:o/nothing: the hub has no such set, or only for those who log in",
        "hf:o/closed": "hf:o/closed needs a login: accept its terms .*HF_TOKEN",
        "hf:o/wiki/fr#revision=v9": "hf:o/wiki: the hub has no revision 'v9' of it",
        f"hf:o/wiki/fr#revision={'a' * 40}": "the hub has no revision 'aaa",
        "hf:o/wiki/de": "unknown config of hf:o/wiki 'de'.*known: fr",
        "hf:o/wiki/fr:valid": "unknown split of hf:o/wiki 'valid'.*known: test, train",
        "hf:o/text": "hf:o/text: no parquet file, but .gz, .md; try .*refs/convert/parquet",
        "hf:o/other": "field = which column\\? texts: a, b",
        "hf:o/other#field=c": "unknown column of text in corpus 'hf:o/other#.* 'c'.*known: a, b",
    }.items():
        with pytest.raises(InputError, match=message) as error:
            prepare(config({"en": "hf:o/wiki/fr", "fr": spec}), tmp_path / "d", lambda _: None)
        assert "\n" not in str(error.value), spec
    assert not list((tmp_path / "cache").rglob("*.parquet"))
    assert not [x for x in (tmp_path / "d").iterdir() if not x.name.endswith(".lock")]
    hub_stand_in.use("http://127.0.0.1:9", tmp_path / "cache", monkeypatch)
    with pytest.raises(InputError, match="hf:o/wiki: the hub http://127.0.0.1:9 does not answer"):
        _ = HubSet("o/wiki/fr").commit
    offline(monkeypatch)
    with pytest.raises(InputError, match="hf:o/new: not in the cache .*cache"):
        _ = HubSet("o/new").commit


def test_the_files_of_a_split() -> None:
    def files(names: list[str], config: str, split: str = "train", configs: Any = None) -> Any:
        return split_files("x", {"files": dict.fromkeys(names), "configs": configs}, config, split)

    named = ["fr/train-00000-of-00002.parquet", "fr/train-00001-of-00002.parquet"]
    both = [*named, "fr/test-00000-of-00001.parquet", "de/train-00000-of-00001.parquet", "x.md"]
    assert files(both, "fr") == named
    assert files(both, "fr", "test") == ["fr/test-00000-of-00001.parquet"]
    assert files(["fr/train/0000.parquet", "fr/test/0000.parquet"], "fr", "test") == [
        "fr/test/0000.parquet"
    ]
    assert files(["data/fra_Latn/train/000_00000.parquet"], "fra_Latn") == [
        "data/fra_Latn/train/000_00000.parquet"
    ]
    card = [
        {"config_name": "a", "data_files": [{"split": "train", "path": "fr/*-00001-*"}]},
        {"config_name": "b", "default": True, "data_files": "de/*"},
    ]
    assert files(both, "a", configs=card) == [named[1]]
    assert files(both, "", configs=card) == ["de/train-00000-of-00001.parquet"]
    with pytest.raises(InputError, match="unknown config of x 'c'.*known: a, b"):
        files(both, "c", configs=card)
    with pytest.raises(InputError, match="unknown split of x 'test'.*known: train"):
        files(both, "a", "test", card)
    with pytest.raises(InputError, match="unknown config of x ''.*known: a, c"):
        files(both, "", configs=[card[0], card[0] | {"config_name": "c"}])


CLASSES = {"names": ["entailment", "neutral", "contradiction"], "_type": "ClassLabel"}
TAGS = ["O", "B-PER", "I-PER"]


def test_task_data_of_the_hub(hub: StandIn, tmp_path: Path) -> None:
    pair = {"premise": ["a  b", "c"], "hypothesis": ["d", "e"], "label": [2, -1]}
    several = {
        "premise": [{"en": "a", "fr": "b"}],
        "hypothesis": [{"language": ["en", "fr"], "translation": ["c", "d"]}],
        "label": [1],
    }
    xnli = {
        "fr/test-00000-of-00001.parquet": packed(pair, {"label": CLASSES}),
        "all_languages/test-00000-of-00001.parquet": packed(several, {"label": CLASSES}),
    }
    hub.sets["o/xnli"] = Repository({COMMIT: xnli})
    counts: Counter[str] = Counter()
    assert nli.read("hf:o/xnli/fr:test", "fr", counts) == [nli.Pair("a b", "d", "contradiction")]
    assert counts == {"no_gold_label": 1}
    found = nli.read("hf:o/xnli/all_languages:test", "fr", counts)
    assert found == [nli.Pair("b", "d", "neutral")]
    assert specs.version("hf:o/xnli/fr:test") == f" at {COMMIT}"

    words = {
        "tokens": [["x", "y"], ["z"]],
        "ner_tags": [[1, 2], [0]],
        "langs": [["en"] * 2, ["en"]],
    }
    info = {"config_name": "en", "features": [
        {"name": "ner_tags", "sequence": {"class_label": {"names": dict(enumerate(TAGS))}}}
    ]}  # fmt: skip
    hub.sets["o/wikiann"] = Repository(
        {COMMIT: {"en/train/0000.parquet": packed(words)}}, card={"dataset_info": [info]}
    )
    expected = [ner.Sentence(["x", "y"], ["B-PER", "I-PER"], [True] * 2)]
    assert ner.read("hf:o/wikiann/en:train#take=1", "en", counts) == expected
    own = {"tokens": [["x", "y"]], "tags": [["B-PER", "I-PER"]]}
    (tmp_path / "a.parquet").write_bytes(packed(own))
    assert ner.read(f"files:{tmp_path}/a.parquet", "en", counts) == expected

    for text, message in {
        "hf:o/xnli/fr": "which split\\? name it as in hf:o/xnli/fr:test",
        "hf:o/xnli/fr:tset": "unknown split .*'tset': did you mean 'test'",
        "hf:o/wikiann/en:train": "unknown column in hf:o/wikiann/en:train, wanted 'premise'",
    }.items():
        with pytest.raises(InputError, match=message):
            nli.read(text, "fr", counts)


def test_digests_of_other_preparations_stay() -> None:
    """As at commit 8c3cad1, before the hub was a source."""
    from xl_jax.prepare.request import folder_of

    specs = {"en": "docstrings:", "fr": "tfds:wiki40b/fr", "b": "synthetic:b#anchors=0.3"}
    wanted = replace(config(specs), seed=3)
    assert folder_of(wanted, Path()).name == "a73188509901"
