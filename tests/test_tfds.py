"""Sets of TensorFlow Datasets, prepared and read without TensorFlow."""

import json
import os
import struct
import sys
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from xl_jax.errors import InputError
from xl_jax.text.corpora import open_corpora
from xl_jax.text.documents import Document, all_documents
from xl_jax.text.tfds import Tfds

# tensorflow-datasets asks protobuf in a way that is going away.
pytestmark = pytest.mark.filterwarnings("ignore:label\\(\\) is deprecated:DeprecationWarning")

WIKI = (  # as Wiki-40B is
    "\n_START_ARTICLE_\nTitle\n_START_PARAGRAPH_\nFirst {0}._NEWLINE_Second.\n_START_SECTION_\nHead"
    "\n_START_PARAGRAPH_\nThird."
)
SIZES = {"train": 30, "test": 5}


def article(split: str, i: int) -> Document:
    return [f"First {split} {i}.", "Second.", "Third."]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a set of TFDS itself lies, prepared as ArrayRecord files, and the same as TFRecords."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import tensorflow_datasets as tfds

        class ToyWiki(tfds.core.GeneratorBasedBuilder):
            VERSION = tfds.core.Version("1.0.0")
            BUILDER_CONFIGS = [tfds.core.BuilderConfig(name="en")]

            def _info(self) -> Any:
                text = tfds.features.Text()
                more = tfds.features.FeaturesDict({"title": text})
                features = tfds.features.FeaturesDict({"text": text, "more": more})
                return tfds.core.DatasetInfo(builder=self, features=features)

            def _split_generators(self, dl_manager: Any) -> Any:
                return {split: self._generate_examples(split) for split in SIZES}

            def _generate_examples(self, split: str) -> Any:
                for i in range(SIZES[split]):
                    text = WIKI.format(f"{split} {i}")
                    yield i, {"text": text, "more": {"title": f"title {i}"}}

        place = tmp_path_factory.mktemp("tfds")
        builder = ToyWiki(data_dir=str(place), config="en", file_format="array_record")
        builder.download_and_prepare()
        records = {
            split: list(builder.as_data_source(split, deserialize_method=_raw())) for split in SIZES
        }
    as_tfrecords(place / "toy_wiki/en/1.0.0", place / "toy_rec/en/1.0.0", records)
    return place


def _raw() -> Any:
    from tensorflow_datasets.core import decode

    return decode.DeserializeMethod.RAW_BYTES


def as_tfrecords(source: Path, target: Path, records: dict[str, list[bytes]]) -> None:
    """The set in the other format; checksums are left 0, nobody compares them."""
    target.mkdir(parents=True)
    info = json.loads((source / "dataset_info.json").read_text())
    info |= {"fileFormat": "tfrecord", "name": "toy_rec"}
    for split in info["splits"]:
        n = len(records[split["name"]])
        split["shardLengths"] = [str(n - n // 3), str(n // 3)]
        name = "toy_rec-{}.tfrecord-0000{}-of-00002".format
        for shard, chosen in enumerate(((0, n - n // 3), (n - n // 3, n))):
            with (target / name(split["name"], shard)).open("wb") as file:
                for record in records[split["name"]][slice(*chosen)]:
                    file.write(struct.pack("<QI", len(record), 0) + record + bytes(4))
    (target / "dataset_info.json").write_text(json.dumps(info))
    (target / "features.json").write_bytes((source / "features.json").read_bytes())


def read(folder: Path, spec: str, size: int = 1 << 20, field: str = "") -> list[Document]:
    source = Tfds(spec, field, str(folder))
    counts: Counter[str] = Counter()
    return [d for part in source.parts(size) for d in source.documents(part, counts)]


@pytest.mark.parametrize("name", ["toy_wiki", "toy_rec"])
def test_articles_without_marks_and_titles_in_any_portions(folder: Path, name: str) -> None:
    expected = sorted(article("train", i) for i in range(30))
    whole = read(folder, f"{name}/en")
    assert sorted(whole) == expected
    for size in (1, 300, 1000):
        assert read(folder, f"{name}/en", size) == whole
    assert sorted(read(folder, f"{name}/en:1.0.0:test")) == [article("test", i) for i in range(5)]
    assert read(folder, f"{name}/en:train[10:20]") == whole[10:20]
    assert sorted(read(folder, f"{name}/en:train+test", 200))[:5] == sorted(
        article("test", i) for i in range(5)
    )
    assert sorted(read(folder, f"{name}/en", field="more/title"))[0] == ["title 0"]
    assert Tfds(f"{name}/en", folder=str(folder)).size() == 30 * 163
    assert "tensorflow" not in sys.modules


def test_a_spec_names_the_folder_and_the_feature(folder: Path) -> None:
    spec = f"tfds:toy_wiki/en:test#dir={folder},field=more/title,text=prose"
    corpus = open_corpora({"en": spec})["en"]
    counts: Counter[str] = Counter()
    assert sorted(all_documents(corpus.source, counts)) == [[f"title {i}"] for i in range(5)]
    assert corpus.prose == "en" and counts["bytes"] == 5 * len("title 0")


def test_text_that_is_not_utf8_is_counted_and_named(folder: Path, tmp_path: Path) -> None:
    from tensorflow_datasets.proto import tf_example_generated_pb2

    example = tf_example_generated_pb2.Example()
    records = []
    for text in (b"good", b"bad \xff", b"good"):
        example.features.feature["text"].bytes_list.value[:] = [text]
        records.append(example.SerializeToString())
    source = folder / "toy_wiki/en/1.0.0"
    as_tfrecords(source, tmp_path / "toy_rec/en/1.0.0", {"train": records, "test": records[:1]})
    counts: Counter[str] = Counter()
    found = list(all_documents(Tfds("toy_rec/en", folder=str(tmp_path)), counts))
    assert found == [["good"], ["good"]] and counts["invalid_utf8"] == 1
    assert counts["invalid_utf8 first in tfds:toy_rec/en: example 1"] == 1
    last = max(tmp_path.rglob("*train.tfrecord*"))
    os.truncate(last, last.stat().st_size - 6)
    with pytest.raises(InputError, match="tfrecord-00001-of-00002: ends within record 0"):
        read(tmp_path, "toy_rec/en")
    last.unlink()
    with pytest.raises(InputError, match="tfrecord-00001-of-00002: no such file, but"):
        read(tmp_path, "toy_rec/en")


@pytest.mark.parametrize(
    ("spec", "field", "message"),
    [
        ("wiki_40b/fr", "", "unknown TFDS set 'wiki_40b': did you mean 'wiki40b'"),
        ("qqqqqqqq", "", "none has a name like it"),
        ("wiki40b/frr", "", "unknown config of the TFDS set wiki40b 'frr': did you mean 'fr'"),
        ("toy_rec/de", "", "unknown config or version in .*toy_rec.* known: en"),
        ("toy_wiki/en:9.0.0", "", "toy_wiki/en:9.0.0"),
        ("toy_wiki/en:trian", "", "unknown split of corpus .* 'trian': did you mean 'train'"),
        ("toy_wiki/en", "txt", "unknown text feature of .* 'txt': .*known: more/title, text"),
        ("", "", "not NAME"),
    ],
)
def test_what_is_not_there_is_told(folder: Path, spec: str, field: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Tfds(spec, field, str(folder))


@pytest.mark.parametrize(
    ("spec", "extras", "name"),
    [
        ("wiki40b/fr", "tensorflow", "wiki40b/fr"),
        ("wikipedia/20230601.fr:train", "tensorflow,wikipedia", "wikipedia/20230601.fr"),
        ("c4/multilingual:fr", "tensorflow,c4", "c4/multilingual"),
    ],
)
def test_a_set_that_is_not_prepared_comes_with_the_command(
    tmp_path: Path, spec: str, extras: str, name: str
) -> None:
    with pytest.raises(InputError) as error:
        Tfds(spec, folder=str(tmp_path))
    assert str(error.value) == (
        f"corpus 'tfds:{spec}': not prepared in {tmp_path}. Prepared sets cannot be downloaded "
        "since TFDS 4.9.8 (its public bucket is closed); hf: reads sets of the Hugging Face Hub "
        "(docs/data.md). To prepare this one once, with Beam, if its source is still there: pip "
        "install "
        f'"tensorflow-datasets[{extras}]" apache-beam; python -c "import tensorflow_datasets as t; '
        f"t.builder('{name}', data_dir='{tmp_path}', file_format='array_record')"
        '.download_and_prepare()"'
    )


def test_a_format_without_a_reader_is_named(folder: Path, tmp_path: Path) -> None:
    source, target = folder / "toy_wiki/en/1.0.0", tmp_path / "toy_wiki/en/1.0.0"
    target.mkdir(parents=True)
    info = json.loads((source / "dataset_info.json").read_text()) | {"fileFormat": "riegeli"}
    (target / "dataset_info.json").write_text(json.dumps(info))
    (target / "features.json").write_bytes((source / "features.json").read_bytes())
    with pytest.raises(InputError, match="prepared as riegeli; prepare it with file_format='array"):
        Tfds("toy_wiki/en", folder=str(tmp_path))
