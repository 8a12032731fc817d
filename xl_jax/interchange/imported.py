"""A folder of `transformers`: its encoder as leaves of ours, its tokenizer as a vocabulary's model.

What the encoder here has no place for is named, and can be kept: `rest`.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from xl_jax.config import Model
from xl_jax.errors import InputError, unknown
from xl_jax.interchange import formats, safetensors_file
from xl_jax.interchange.formats import Format
from xl_jax.interchange.safetensors_file import Tensors
from xl_jax.json_files import read_json, write_json
from xl_jax.tokens import given

SPECIALS = {  # pad, unk, first, last, mask, where the folder does not say
    "bert": ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    "megatron-bert": ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    "roberta": ("<pad>", "<unk>", "<s>", "</s>", "<mask>"),
    "xlm": ("<pad>", "<unk>", "<s>", "</s>", "<special1>"),
}
ROLES = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
TOKENIZER = (
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"),
    *("vocab.json", "merges.txt"),
)
IMPORTED = "imported"  # folder of a run: by language, what `keep` wrote
LIST = "tensors.json"
SUMMED = ("embed/position", "embed/language")  # leaves that are not one tensor
BUFFERS = ("position_ids", "token_type_ids")  # that old files carry: numbers, no parameters


@dataclass(frozen=True, eq=False)
class Imported:
    """A folder with config.json, safetensors and a tokenizer.

    Raises (any attribute):
      InputError: something is missing or not supported; names the file, the field, or the tensors.
    """

    folder: Path

    @cached_property
    def settings(self) -> dict[str, Any]:
        return _fields(self.folder / "config.json")

    @cached_property
    def format(self) -> Format:
        if "model_type" not in self.settings:
            raise InputError(f"{self.folder / 'config.json'}: the field 'model_type' is missing")
        return formats.known(self.settings["model_type"])

    @cached_property
    def tensors(self) -> Tensors:
        return Tensors(self.folder)

    @cached_property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Of the parameters, by name; they need not be there where `keep` has listed them."""
        listed = self.folder / LIST
        if listed.exists():
            return {name: tuple(shape) for name, shape in read_json(listed).items()}
        named = (name for name in self.tensors if name.split(".")[-1] not in BUFFERS)
        return {name: self.tensors.shape(name) for name in named}

    @cached_property
    def model(self) -> Model:
        """Of this encoder; with BERT's output layer where the folder has it."""
        model = formats.model_of(self.settings, str(self.folder / "config.json"))
        return replace(model, mlm_transform=self._there("mlm/dense/kernel"))

    @cached_property
    def tokenizer(self) -> bytes:
        """What `given.keep` makes of the tokenizer."""
        return given.keep(self._tokenizer_json, self._specials, self._cut_by(""))

    def tokenizer_of(self, language: str) -> bytes:
        """The same as it reads a language: XLM's own one cuts words by the language's rules."""
        if not self._of_xlm:
            return self.tokenizer
        return given.keep(self._tokenizer_json, self._specials, self._cut_by(language))

    @cached_property
    def windows(self) -> str:
        """`Data.windows`: stream where the token that opens a row is the one that closes it."""
        if self._of_xlm:  # whose tokenizer has the same cls_token and sep_token, and opens with <s>
            return "line"
        return "stream" if self._role("cls_token") == self._role("sep_token") else "line"

    @cached_property
    def order(self) -> list[int]:
        """Their row of each row of ours: pieces in our order, then rows that no piece has."""
        order = given.opened(self.tokenizer).order
        return [*order, *range(len(order), self.rows)]

    @property
    def pieces(self) -> int:
        return given.opened(self.tokenizer).get_piece_size()

    @property
    def rows(self) -> int:
        """Of the embedding table."""
        name = self._name("embed/token")
        if len(self.shapes.get(name, ())) != 2:
            raise InputError(f"{self.folder}: no embedding table, {name}")
        return self.shapes[name][0]

    def check(
        self,
        leaves: Mapping[str, tuple[int, ...]],
        languages: Sequence[str],
        padded: bool = False,
    ) -> None:
        """Whether everything fits.

        Args:
          leaves: the shapes of the leaves that are wanted, by path.
          languages: whose they are.
          padded: the table may have more rows than the tokenizer has pieces.

        Raises:
          InputError: it does not.
        """
        missing = [x for x in leaves if not x.startswith("mlm/") and not self._there(x)]
        if missing:
            names = ", ".join(self._name(x) for x in missing[:3])
            raise InputError(f"{self.folder}: {len(missing)} tensors are missing: {names}, ...")
        expected = self.settings.get("vocab_size", self.settings.get("n_words", self.rows))
        if self.rows != expected:
            raise InputError(
                f"{self.folder}: the embedding has {self.rows} rows, config.json says {expected}"
            )
        if self.pieces > self.rows or (self.pieces < self.rows and not padded):
            hint = " (--padded takes rows that no piece has)" if self.pieces < self.rows else ""
            raise InputError(
                f"{self.folder}: the tokenizer has {self.pieces} pieces, the embedding {self.rows} "
                f"rows{hint}"
            )
        wanted = {self._name(x): self._shape_there(x, shape) for x, shape in leaves.items()}
        types = self._bare(self.format.type_table)
        wanted[types] = (*self.shapes.get(types, ())[:1], self.model.width)
        for name, expected in wanted.items():
            if self.shapes.get(name, expected) != expected:
                raise InputError(
                    f"{self.folder}: {name} has the shape {self.shapes[name]}, config.json means "
                    f"{expected}"
                )
        if "embed/language" in leaves:
            for language in languages:
                self._language(language)
        table = self._name("embed/token")
        for name in self._tied:
            original = table if name.endswith("weight") else self._name("mlm/bias")
            if original in self.shapes and not self._equal(name, original):
                raise InputError(f"{self.folder}: {name} is not tied to {original}: not supported")

    def fill(self, path: str, out: np.ndarray, language: str = "") -> None:
        """Writes our leaf `path` into `out`, zeros where it is; rows of a table that this encoder
        does not have stay so.

        Args:
          language: whose, of `embed/language`.
        """
        if path == "embed/token" or (path == "mlm/bias" and self._there(path)):
            here = np.empty(self.rows, np.int64)
            here[self.order] = np.arange(self.rows)
            for start, block in self.tensors.blocks(self._name(path)):
                out[here[start : start + len(block)]] = block
        elif path == "embed/language":
            out[:] = self.tensors[self._name(path)][self._language(language)]
        elif path == "embed/position":
            table = self.tensors[self._name(path)][self.row_0 :]
            out[:] = table if self._types is None else table + self._types[0]
        elif self._there(path):
            out[:] = formats.inward(path, self.tensors[self._name(path)], out.shape)

    @property
    def row_0(self) -> int:
        """The row of the position table that a text's first token reads."""
        return formats.row_0(self.format, self.settings.get("pad_token_id", 1))

    def missing(self) -> list[str]:
        """Tensors of the output layer that the folder does not have."""
        return [self._name(x) for x in ("mlm/bias",) if not self._there(x)]

    def rest(self, paths: Sequence[str]) -> list[str]:
        """The tensors that `paths` do not take in, or not as they are: those of token types and
        positions, whose sum is taken."""
        taken = {self._name(x) for x in paths if x not in SUMMED and self._there(x)}
        return [x for x in self.shapes if x not in taken and x not in self._tied]

    def unknown(self, paths: Sequence[str]) -> list[str]:
        """Of the rest, those that are not understood: neither positions nor token types."""
        known = {*map(self._name, SUMMED[: 1 + ("embed/language" in paths)])}
        known.add(self._bare(self.format.type_table))
        return [x for x in self.rest(paths) if x not in known and x.split(".")[-1] not in BUFFERS]

    @property
    def files(self) -> list[Path]:
        """All but the weights."""
        named = (self.folder / name for name in ("config.json", *TOKENIZER))
        return [path for path in named if path.exists()]

    def keep(self, paths: Sequence[str], folder: Path) -> None:
        """Writes to `folder` what the leaves `paths` do not say, for `outward`; `LIST` last."""
        folder.mkdir(parents=True, exist_ok=True)
        for file in self.files:
            shutil.copyfile(file, folder / file.name)
        rest = {name: self.shapes[name] for name in self.rest(paths)}
        safetensors_file.write(folder / safetensors_file.NAME, rest, self.tensors.__getitem__)
        write_json(folder / LIST, self.shapes)

    def outward(self, leaves: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Of a folder that `keep` wrote: all tensors again, from a view's leaves as `fill` gave
        them."""
        made = {name: self.tensors[name] for name in self.tensors}
        here = np.empty(self.rows, np.int64)
        here[self.order] = np.arange(self.rows)
        for path, x in leaves.items():
            if self._there(path) and self._name(path) not in made:
                whole = x[here] if path in ("embed/token", "mlm/bias") else x
                made[self._name(path)] = formats.outward(path, whole)
        for name in self._tied:
            made[name] = made[self._name("embed/token" if "weight" in name else "mlm/bias")]
        return {name: made[name] for name in self.shapes}

    @cached_property
    def _types(self) -> np.ndarray | None:
        name = self._bare(self.format.type_table)
        return self.tensors[name] if name in self.shapes else None

    @property
    def _tied(self) -> list[str]:
        return [name for name in self.format.tied if name in self.shapes]

    def _there(self, path: str) -> bool:
        module = path.rpartition("/")[0]
        known = path in self.format.head or module in self.format.head or path[:4] != "mlm/"
        return known and self._name(path) in self.shapes

    def _name(self, path: str) -> str:
        return self._bare(self.format.tensor(path))

    def _bare(self, name: str) -> str:
        """A tensor's name in this folder: files of a bare encoder have no prefix."""
        bare = name.removeprefix(self.format.prefix)
        return bare if bare in self.shapes else name

    def _equal(self, a: str, b: str) -> bool:
        if self.shapes[a] != self.shapes[b]:
            return False
        blocks = zip(self.tensors.blocks(a), self.tensors.blocks(b), strict=True)
        return all(np.array_equal(x, y) for (_, x), (_, y) in blocks)

    def _language(self, language: str) -> int:
        where = f"lang2id of {self.folder / 'config.json'}"
        numbers = self.settings.get("lang2id") or {}
        if not isinstance(numbers, dict):
            raise InputError(f"{where}: {numbers!r} are no languages and their numbers")
        if language not in numbers:
            raise unknown(f"language in {where}", language, numbers)
        rows = self.shapes[self._name("embed/language")][0]
        if numbers[language] not in range(rows):
            raise InputError(f"{where}: {language}: {numbers[language]!r} is none of {rows} rows")
        return numbers[language]

    def _shape_there(self, path: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Of the tensor that our leaf `path` is read from."""
        if path in ("embed/token", "mlm/bias"):
            return (self.rows, *shape[1:])
        if path == "embed/position":
            return (self.row_0 + shape[0], *shape[1:])
        if path == "embed/language":
            return (self.settings["n_langs"], *shape[1:])
        return formats.shape_there(path, shape)

    @cached_property
    def _roles(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name in ("tokenizer_config.json", "special_tokens_map.json"):
            if (self.folder / name).exists():
                settings = _fields(self.folder / name).items()
                found |= {k: x for k, x in settings if x is not None}
        return found

    def _role(self, role: str) -> str:
        default = dict(zip(ROLES, SPECIALS[self.format.name], strict=True)).get(role, "<s>")
        token = self._roles.get(role, default)
        name = token.get("content") if isinstance(token, dict) else token
        if not isinstance(name, str):
            raise InputError(f"{self.folder}: {role} = {token!r} is no token")
        return name

    @property
    def _specials(self) -> list[str]:
        names = [self._role(role) for role in ROLES]
        if names[2] == names[3]:
            names[2] = self._role("bos_token")
        return names

    def _cut_by(self, language: str) -> dict[str, Any]:
        """`given.keep`'s `xlm`; empty where the tokenizer is another one."""
        if not self._of_xlm:
            return {}
        plain = self._roles.get("do_lowercase_and_remove_accent", True)
        return {"language": language, "plain": plain, "pieces": 1 + max(self._of_xlm.values())}

    @cached_property
    def _of_xlm(self) -> dict[str, int]:
        """The pieces' numbers of XLM's own tokenizer; empty where the folder has another one."""
        names = [self.folder / name for name in ("tokenizer.json", "vocab.json", "merges.txt")]
        own = self.format.name == "xlm" and [x.exists() for x in names] == [False, True, True]
        found = _fields(names[1]) if own else {}
        if any(type(x) is not int or x < 0 for x in found.values()):
            raise InputError(f"{names[1]}: not pieces and their numbers")
        return found

    @cached_property
    def _tokenizer_json(self) -> dict[str, Any]:
        path = self.folder / "tokenizer.json"
        if path.exists():
            return _fields(path)
        if self._of_xlm:
            return given.fast_bpe(self._of_xlm, self.folder / "merges.txt", self._role("unk_token"))
        words = self.folder / "vocab.txt"
        if not words.exists() or self.format.name not in ("bert", "megatron-bert"):
            raise InputError(
                f"{self.folder}: no tokenizer.json; where transformers can, write one: "
                f"AutoTokenizer.from_pretrained({str(self.folder)!r}).save_pretrained(NEW_DIR)"
            )
        from tokenizers.implementations import BertWordPieceTokenizer

        lower = self._roles.get("do_lower_case", True)
        try:
            made = BertWordPieceTokenizer(
                str(words),
                lowercase=lower,
                strip_accents=self._roles.get("strip_accents"),
                handle_chinese_chars=self._roles.get("tokenize_chinese_chars", True),
            )
        except TypeError as error:
            raise InputError(f"{words}: {error}") from error
        return json.loads(made.to_str())


def _fields(path: Path) -> dict[str, Any]:
    """A JSON file that has to be an object.

    Raises:
      InputError: it is not.
    """
    found = read_json(path)
    if not isinstance(found, dict):
        raise InputError(f"{path} is no JSON object")
    return found
