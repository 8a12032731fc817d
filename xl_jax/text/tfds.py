"""Sets of TensorFlow Datasets as a corpus, read without TensorFlow.

A set is read where it was prepared: from ArrayRecord files, or from TFRecord files, which TFDS
writes by default. Nothing is downloaded or prepared here: that can take hours, TensorFlow and Beam,
so the error for a missing set gives the command instead.
"""

import importlib
import importlib.metadata
import os
import re
import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from xl_jax.errors import InputError, near, unknown
from xl_jax.text.documents import Document, Part, State, text_lines
from xl_jax.text.wiki40b import without_marks

AT_ONCE = 64  # examples read in one call

_NAME = re.compile(
    r"(?P<name>\w+)(/(?P<config>[^:]+))?(:(?P<version>\d[\d.]*))?(:(?P<split>\D.*))?"
)


class Examples:
    """The records of a split, serialised; `features` says what is in them.

    Args:
      spec: `NAME[/CONFIG][:VERSION][:SPLIT]`, a split as TFDS writes it: `train` (default),
        `train[:10%]`, `train+test`.
      folder: where sets are prepared; "" = where TFDS puts them.

    The checksums of TFRecord files are not compared.

    Raises:
      InputError: an unknown set, config or split; a set that is not prepared, or in another format;
        while reading, a damaged file.
    """

    def __init__(self, spec: str, folder: str = "") -> None:
        match = _NAME.fullmatch(spec)
        if not match:
            raise InputError(f"corpus 'tfds:{spec}': not NAME[/CONFIG][:VERSION][:SPLIT]")
        self._spec = spec
        builder = _prepared(spec, match.groupdict(), folder)
        info = builder.info
        try:
            split = info.splits[match["split"] or "train"]
        except (KeyError, ValueError) as error:
            what = f"split of corpus 'tfds:{spec}'"
            raise unknown(what, match["split"] or "train", info.splits) from error
        self._builder, self._split, self._files = builder, str(split.name), split.file_instructions
        self._length = split.num_examples
        self.features = info.features
        formats = {x.value for x in info.available_file_formats()}
        self._random_access = "array_record" in formats
        if not formats & {"array_record", "tfrecord"}:
            raise InputError(
                f"corpus 'tfds:{spec}': prepared as {', '.join(sorted(formats))}; prepare it with "
                "file_format='array_record'"
            )

    def __len__(self) -> int:
        return self._length

    def records(self, start: int, end: int) -> Iterator[bytes]:
        """Those from number `start` to before `end`."""
        return self._random(start, end) if self._random_access else self._in_order(start, end)

    def _random(self, start: int, end: int) -> Iterator[bytes]:
        from tensorflow_datasets.core import decode

        raw = decode.DeserializeMethod.RAW_BYTES
        source = self._builder.as_data_source(self._split, deserialize_method=raw)
        for first in range(start, end, AT_ONCE):
            yield from source.__getitems__(range(first, min(first + AT_ONCE, end)))

    def _in_order(self, start: int, end: int) -> Iterator[bytes]:
        for file in self._files:
            first, last = max(start, 0), min(end, file.take)
            if first < last:
                yield from _tfrecords(file.filename, file.skip + first, last - first)
            start, end = start - file.take, end - file.take


class Tfds(Examples):
    """A prepared set, or a split of it, as a corpus; every example is a document.

    Args:
      spec, folder: see `Examples`.
      field: the text feature, nested ones as `a/b`; "" = `text`, or else the only one.

    Wiki-40B's structure marks are dropped, see `wiki40b`.

    Raises:
      InputError: see `Examples`; an unknown feature.
    """

    def __init__(self, spec: str, field: str = "", folder: str = "") -> None:
        super().__init__(spec, folder)
        all_splits = self._builder.info.splits.values()
        self._bytes = sum(s.num_bytes for s in all_splits) / max(
            sum(s.num_examples for s in all_splits), 1
        )
        self._feature = _text_feature(spec, self.features, field)

    def parts(self, size: int) -> list[Part]:
        """A part is the numbers of its first example and of that after its last."""
        step = max(int(size / max(self._bytes, 1)), 1)
        return [(i, min(i + step, self._length)) for i in range(0, self._length, step)]

    def size(self) -> int:
        return round(self._length * self._bytes)

    def state(self) -> State:
        return {}  # a version of a set never changes

    def documents(self, part: Part, counts: Counter[str]) -> Iterator[Document]:
        from tensorflow_datasets.proto import tf_example_generated_pb2

        parse = tf_example_generated_pb2.Example.FromString
        named = False
        for number, record in enumerate(self.records(*part), part[0]):
            text = b"".join(parse(record).features.feature[self._feature].bytes_list.value)
            counts["bytes"] += len(text)
            try:
                document = text_lines(without_marks(text.decode()))
            except UnicodeDecodeError:
                counts["invalid_utf8"] += 1
                if not named:
                    counts[f"invalid_utf8 first in tfds:{self._spec}: example {number}"] = 1
                    named = True
                continue
            if document:
                yield document


def class_names(features: Any, column: str) -> list[str]:
    """The names of the classes of a column, or of the items of a column of lists; [] = none."""
    feature = features[column] if column in features else None
    return list(getattr(getattr(feature, "feature", feature), "names", ()) or ())


def _tfrecords(path: Any, skip: int, take: int) -> Iterator[bytes]:
    """A record is its length (8 bytes), a checksum (4), its bytes and a checksum (4)."""
    if not os.path.exists(path):
        raise InputError(f"{path}: no such file, but the set's dataset_info.json counts it")
    with open(path, "rb") as file:
        for number in range(skip + take):
            header = file.read(12)
            length = struct.unpack("<Q", header[:8])[0] if len(header) == 12 else -1
            if number < skip:
                file.seek(length + 4, os.SEEK_CUR)
            elif length < 0 or len(record := file.read(length + 4)) < length + 4:
                raise InputError(f"{path}: ends within record {number}")
            else:
                yield record[:-4]


def _text_feature(spec: str, features: Any, field: str) -> str:
    """The name that the requested feature has in a record."""
    from tensorflow_datasets.core.features import FeaturesDict, Text

    def texts(features: Any, prefix: str) -> list[str]:
        found = []
        for name, feature in features.items():
            if isinstance(feature, FeaturesDict):
                found += texts(feature, f"{prefix}{name}/")
            elif isinstance(feature, Text):
                found.append(prefix + name)
        return found

    known = texts(features, "")
    if not field and "text" not in known and len(known) != 1:
        raise InputError(
            f"corpus 'tfds:{spec}': field = which feature? texts: {', '.join(known) or 'none'}"
        )
    field = field or ("text" if "text" in known else known[0])
    if field not in known:
        raise unknown(f"text feature of corpus 'tfds:{spec}'", field, known)
    return field


def _prepared(spec: str, name: Mapping[str, Any], folder: str) -> Any:
    """The builder of a set that is on disk."""
    # tensorflow_datasets takes a second to import: not for the runs that have no such corpus.
    from tensorflow_datasets.core import read_only_builder, registered
    from tensorflow_datasets.core.utils import file_utils

    folders = file_utils.list_data_dirs(os.path.expanduser(folder) or None)
    chosen = {key: name[key] for key in ("config", "version") if name[key]}
    try:
        return read_only_builder.builder_from_files(name["name"], data_dir=folders, **chosen)
    except registered.DatasetNotFoundError:
        raise _missing(spec, name, str(folders[0])) from None


def _missing(spec: str, name: Mapping[str, Any], folder: str) -> InputError:
    """What is wrong with a set that is not on disk: its name, or it has to be prepared first."""
    import tensorflow_datasets

    for module in ("text", "translate", "summarization"):  # older sets; not listed before
        importlib.import_module(f"tensorflow_datasets.{module}")
    sets = tensorflow_datasets.list_builders(with_community_datasets=False)
    path = Path(folder) / name["name"]
    if name["name"] not in sets and path.is_dir():
        found = [x.name for x in path.iterdir() if x.is_dir() and x.name[0] != "."]
        return unknown(f"config or version in {path}, of corpus", f"tfds:{spec}", found)
    if name["name"] not in sets:
        close = " or ".join(map(repr, near(name["name"], sets))) or "none has a name like it"
        return InputError(
            f"unknown TFDS set {name['name']!r}: did you mean {close}? Nor is it in {folder} "
            "(tensorflow_datasets.list_builders() names all)"
        )
    builder = tensorflow_datasets.builder_cls(name["name"])
    if name["config"] and name["config"] not in builder.builder_configs:
        what = f"config of the TFDS set {name['name']}"
        return unknown(what, name["config"], builder.builder_configs)
    metadata = importlib.metadata.metadata("tensorflow-datasets")
    own = [x for x in metadata.get_all("Provides-Extra", []) if x == name["name"].replace("_", "-")]
    extras = ",".join(["tensorflow", *own])
    beam = issubclass(builder, tensorflow_datasets.core.BeamBasedBuilder)
    builder_name = spec.removesuffix(f":{name['split']}") if name["split"] else spec
    needs = ", with Beam" if beam else ""
    return InputError(
        f"corpus 'tfds:{spec}': not prepared in {folder}. Prepared sets cannot be downloaded since "
        f"TFDS 4.9.8 (its public bucket is closed); hf: reads sets of the Hugging Face Hub "
        f"(docs/data.md). To prepare this one once{needs}, if its source is still there: "
        f"pip install "
        f'"tensorflow-datasets[{extras}]"{" apache-beam" * beam}; python -c "import '
        f"tensorflow_datasets as t; t.builder('{builder_name}', data_dir='{folder}', "
        "file_format='array_record').download_and_prepare()\""
    )
