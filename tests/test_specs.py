"""Labelled sets by a spec; those of TFDS from records with TFDS's own features, no TensorFlow."""

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from xl_jax.errors import InputError
from xl_jax.tasks import conllu, ner, nli, specs, tagging

pytestmark = pytest.mark.filterwarnings("ignore:label:DeprecationWarning")  # TFDS of protobuf
TAGS = ["O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC"]
UPOS = ["ADJ", "ADP", "DET", "NOUN", "PRON", "PUNCT", "VERB", "_"]
CLASSES = ["entailment", "neutral", "contradiction"]


def sets() -> dict[str, tuple[Any, dict[str, list[dict[str, Any]]]]]:
    """Folder -> (features as TFDS 4.9 has them, records by split)."""
    from tensorflow_datasets.core.features import (
        ClassLabel,
        FeaturesDict,
        Sequence,
        Text,
        Translation,
        TranslationVariableLanguages,
    )

    texts = {name: Sequence(Text()) for name in ("tokens", "head", "deprel", "misc")}
    pair = {"premise": Text(), "hypothesis": Text(), "label": ClassLabel(names=CLASSES)}
    return {
        "multi_nli/1.1.0": (
            FeaturesDict(pair),
            {"train": [{"premise": "A\tb.", "hypothesis": " c", "label": 2}]},
        ),
        "xnli/1.1.0": (
            FeaturesDict(
                {
                    "premise": Translation(languages=["en", "fr"]),
                    "hypothesis": TranslationVariableLanguages(languages=["en", "fr"]),
                    "label": ClassLabel(names=CLASSES),
                }
            ),
            {
                "test": [
                    {
                        "premise": {"en": "a", "fr": "b"},
                        "hypothesis": {"en": "c", "fr": "d"},
                        "label": 1,
                    }
                ]
            },
        ),
        "wikiann/en/1.0.0": (
            FeaturesDict({"tokens": Sequence(Text()), "tags": Sequence(ClassLabel(names=TAGS))}),
            {"train": [{"tokens": ["x", "y", "z"], "tags": [0, 1, 2]}] * 3},
        ),
        "universal_dependencies/fr_gsd/1.0.1": (
            FeaturesDict({**texts, "upos": Sequence(ClassLabel(names=UPOS))}),
            {
                "dev": [
                    {
                        "tokens": ["Vient", "du", "de", "le", "lac", "."],
                        "upos": ["VERB", "_", "ADP", "DET", "NOUN", "PUNCT"],
                        "head": ["0", "None", "4", "4", "1", "1"],
                        "deprel": ["root", "_", "case", "det", "obl", "punct"],
                        "misc": ["None"] * 4 + ["{'SpaceAfter': 'No'}", "None"],
                    },
                    {
                        "tokens": ["Vient", "."],
                        "upos": ["VERB", "PUNCT"],
                        "head": ["0", "1"],
                        "deprel": ["root", "punct"],
                        "misc": ["{'SpaceAfter': 'No'}", "None"],
                    },
                ]
            },
        ),
    }


@pytest.fixture(scope="module", params=["array_record", "tfrecord"])
def prepared(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The sets as TFDS prepares them, in a folder that TFDS looks into."""
    from tensorflow_datasets.core.utils import file_utils

    folder = tmp_path_factory.mktemp(request.param)
    for name, (features, splits) in sets().items():
        place = folder / name
        place.mkdir(parents=True)
        features.save_config(place)
        title, *config, version = name.split("/")
        about: dict[str, Any] = {"name": title, "version": version, "fileFormat": request.param}
        about |= {"configName": config[0]} if config else {}
        about["splits"] = []
        for split, rows in splits.items():
            records = [features.serialize_example(row) for row in rows]
            file = place / f"{title}-{split}.{request.param}-00000-of-00001"
            WRITE[request.param](file, records)
            shape = {"name": split, "numBytes": "9", "shardLengths": [str(len(rows))]}
            shape["filepathTemplate"] = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
            about["splits"].append(shape)
        (place / "dataset_info.json").write_text(json.dumps(about))
    file_utils.add_data_dir(folder)
    yield folder
    file_utils.clear_registered_data_dirs()


def write_array_record(file: Path, records: list[bytes]) -> None:
    from array_record.python.array_record_module import ArrayRecordWriter

    writer = ArrayRecordWriter(str(file), "group_size:1")
    for record in records:
        writer.write(record)
    writer.close()


def write_tfrecord(file: Path, records: list[bytes]) -> None:
    """Length, its checksum, the record, its checksum; nobody reads the checksums."""
    rows = (len(x).to_bytes(8, "little") + bytes(4) + x + bytes(4) for x in records)
    file.write_bytes(b"".join(rows))


WRITE = {"array_record": write_array_record, "tfrecord": write_tfrecord}


def test_the_sets_of_the_paper_without_tensorflow(prepared: Path) -> None:
    counts: Counter[str] = Counter()
    assert nli.read("tfds:multi_nli:train", "en", counts) == [
        nli.Pair("A b.", "c", "contradiction")
    ]
    assert nli.read("tfds:xnli:test", "fr", counts) == [nli.Pair("b", "d", "neutral")]
    found = ner.read("tfds:wikiann/en:train#take=2", "en", counts)
    assert found == [ner.Sentence(["x", "y", "z"], ["O", "B-PER", "I-PER"], [True] * 3)] * 2
    trees = conllu.read("tfds:universal_dependencies/fr_gsd:dev", "fr", counts)
    assert [(x.words, x.heads) for x in trees] == [
        (["Vient", "de", "le", "lac", "."], [0, 4, 4, 1, 1]),
        (["Vient", "."], [0, 1]),
    ]
    tagged = tagging.read("tfds:universal_dependencies/fr_gsd:dev#take=1", "fr", Counter())
    assert [x.upos for x in tagged] == [["VERB", "ADP", "DET", "NOUN", "PUNCT"]]
    assert len(nli.read("tfds:xnli:test[:1]", "fr", counts)) == 1
    assert +counts == {"multiword_tokens": 1}
    assert "tensorflow" not in sys.modules


def test_what_a_set_does_not_have_is_named(prepared: Path) -> None:
    with pytest.raises(InputError, match="unknown language of the data set 'de'.*known: en, fr"):
        nli.read("tfds:xnli:test", "de", Counter())
    with pytest.raises(InputError, match="unknown split .*'tst'.*'test'"):
        nli.read("tfds:xnli:tst", "fr", Counter())
    with pytest.raises(InputError, match="which split\\? name it as in tfds:xnli:test"):
        nli.read("tfds:xnli", "fr", Counter())
    with pytest.raises(InputError, match="xnlii"):
        nli.read("tfds:xnlii:test", "fr", Counter())


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("hub:x", "unknown scheme of the data 'hub:x' 'hub'.*known: files, hf, tfds"),
        ("hf:a/b:test#dir=x", "unknown key in the data .*known: revision, skip, take"),
        ("x.tsv", "unknown scheme"),
        ("files:x#take", "unknown key in the data"),
        ("files:x#tak=1", "unknown key .*'tak': did you mean 'take'"),
    ],
)
def test_specs_that_mean_nothing(spec: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        specs.parse(spec)


def test_parts_of_a_set() -> None:
    for keys, expected in {
        "take=2": [0, 1],
        "skip=3": [3, 4],
        "skip=1,take=2": [1, 2],
        "take=9": [0, 1, 2, 3, 4],
        "": [0, 1, 2, 3, 4],
    }.items():
        assert specs.parse(f"files:x#{keys}").take(range(5)) == expected
    for keys in ("skip=5", "take=0"):
        with pytest.raises(InputError, match=f"files:x#{keys}: no item"):
            specs.parse(f"files:x#{keys}").take(range(5))
    with pytest.raises(InputError, match="skip = '-1' is not a number"):
        specs.parse("files:x#skip=-1").take(range(5))


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file matches '.*/no\\*.tsv'"):
        nli.read(f"files:{tmp_path}/no*.tsv", "en", Counter())
