"""Sets of the Hugging Face Hub: a split of one is parquet files at a commit, downloaded once.

`REPO[/CONFIG][:SPLIT]`, with REPO as owner/name. Files go to huggingface_hub's cache, and what the
repository lists beside them: a set that is there is read without the network. `revision` is a
commit, branch or tag; what a name stands for is looked up where there is a network.
"""

import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from xl_jax import atomic_files
from xl_jax.errors import InputError, unknown
from xl_jax.text import parquet
from xl_jax.text.documents import State

DEFAULT_REVISION = "main"
CONVERTED = "refs/convert/parquet"  # the branch with the Hub's own parquet files of a set
SECONDS = 20  # until an answer

_NAME = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(/(?P<config>[^:]+))?(:(?P<split>[\w.-]+))?")
_COMMIT = re.compile(r"[0-9a-f]{40}")


class HubSet:
    """A split of a set.

    Args:
      spec: `REPO[/CONFIG][:SPLIT]`; without a split, train; without a config, the set's default.
      revision: "" = main.

    Nothing is requested before it is needed.

    Raises:
      InputError: not such a spec; at the first use: a hub that does not answer, a set that is not
        there or needs a login, a revision that is gone, an unknown config or split, no parquet.
    """

    def __init__(self, spec: str, revision: str = "") -> None:
        match = _NAME.fullmatch(spec)
        if not match:
            raise InputError(f"'hf:{spec}': not REPO[/CONFIG][:SPLIT], with REPO as owner/name")
        self.repo, self._config = match["repo"], match["config"] or ""
        self._split = match["split"] or "train"
        self._revision = revision or DEFAULT_REVISION
        self.name = f"hf:{self.repo}"  # of the repository, in records

    @cached_property
    def commit(self) -> str:
        """What the revision names."""
        if _COMMIT.fullmatch(self._revision):
            return self._revision
        reference = self._cache / "refs" / self._revision
        if self._offline and reference.is_file():
            return reference.read_text().strip()
        commit = self._request_listing()
        reference.parent.mkdir(parents=True, exist_ok=True)
        atomic_files.write(reference, commit)
        return commit

    @cached_property
    def listing(self) -> dict[str, Any]:
        """What the repository holds at the commit: `files`, their sizes in bytes by name; `configs`
        and `dataset_info` of its card."""
        if not self._listed(self.commit).is_file():
            self._request_listing(self.commit)
        found: dict[str, Any] = json.loads(self._listed(self.commit).read_text())
        return found

    @cached_property
    def files(self) -> list[str]:
        """Of the split, in order."""
        return split_files(self.name, self.listing, self._config, self._split)

    def state(self) -> State:
        return {self.name: self.commit}  # a commit never changes

    def fetch(self, log: Callable[[str], None]) -> None:
        """Downloads what the cache lacks; a download that was stopped goes on."""
        missing = [name for name in self.files if not self._cached(name)]
        if missing:
            size = sum(self.listing["files"][name] or 0 for name in missing)
            what = f"{len(missing)} files, {size / 1e6:,.0f} MB"
            log(f"{self.name} at {self.commit}: {what} to download")
        for name in missing:
            self._download(name)

    def open(self, name: str) -> io.IOBase:
        """A file of the split, for reading: from the cache, or what is read of it over the network
        where it was not fetched."""
        if path := self._cached(name):
            return open(path, "rb")
        return RemoteFile(partial(self.range, name), self.listing["files"][name])

    def range(self, name: str, start: int, end: int) -> bytes:
        """Bytes of a file of the hub, from `start` to before `end`."""
        from huggingface_hub import hf_hub_url
        from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

        url = hf_hub_url(self.repo, name, repo_type="dataset", revision=self.commit)
        headers = {**build_hf_headers(), "Range": f"bytes={start}-{end - 1}"}
        with self._told():
            answer = get_session().get(url, headers=headers, follow_redirects=True, timeout=SECONDS)
            hf_raise_for_status(answer)
        content: bytes = answer.content
        return content if answer.status_code == 206 else content[start:end]

    def rows(self) -> Iterator[dict[str, Any]]:
        """The records of the split, in order; what the cache lacks is downloaded."""
        for name in self.files:
            path = self._cached(name) or self._download(name)
            yield from parquet.rows(path)

    def class_names(self, column: str) -> list[str]:
        """The names of the classes of a column, as the set's card or files give them; [] = none."""
        with parquet.opened(self.files[0], self.open) as file:
            names = parquet.class_names(file.schema_arrow.metadata, column)
        return names or _card_classes(self.listing["dataset_info"], self._config, column)

    @property
    def _offline(self) -> bool:
        from huggingface_hub import constants

        return constants.HF_HUB_OFFLINE

    @property
    def _cache(self) -> Path:
        from huggingface_hub import constants
        from huggingface_hub.file_download import repo_folder_name

        return Path(constants.HF_HUB_CACHE) / repo_folder_name(
            repo_id=self.repo, repo_type="dataset"
        )

    def _listed(self, commit: str) -> Path:
        return self._cache / "xl_jax" / f"{commit}.json"

    def _cached(self, name: str) -> str:
        path = self._cache / "snapshots" / self.commit / name
        return str(path) if path.is_file() else ""

    def _request_listing(self, revision: str = "") -> str:
        """Asks the hub what it holds at a revision, and keeps the answer; the commit."""
        from huggingface_hub import HfApi

        with self._told():
            info = HfApi().dataset_info(
                self.repo,
                revision=revision or self._revision,
                files_metadata=True,
                timeout=SECONDS,
            )
        card = info.card_data.to_dict() if info.card_data else {}
        listing = {
            "files": {x.rfilename: x.size for x in info.siblings or []},
            "configs": card.get("configs"),
            "dataset_info": card.get("dataset_info"),
        }
        path = self._listed(str(info.sha))
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_files.write(path, json.dumps(listing, default=str))
        return str(info.sha)

    def _download(self, name: str) -> str:
        from huggingface_hub import hf_hub_download

        with self._told():
            return hf_hub_download(
                self.repo, name, repo_type="dataset", revision=self.commit, etag_timeout=SECONDS
            )

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Errors of the hub as one line."""
        from huggingface_hub import constants, errors

        try:
            yield
        except errors.GatedRepoError as error:
            raise InputError(
                f"{self.name} needs a login: accept its terms on its page, then `hf auth login` or "
                "HF_TOKEN=..."
            ) from error
        except errors.RepositoryNotFoundError as error:
            raise InputError(
                f"{self.name}: the hub has no such set, or only for those who log in (HF_TOKEN=...)"
            ) from error
        except errors.RevisionNotFoundError as error:
            raise InputError(
                f"{self.name}: the hub has no revision {self._revision!r} of it (any more)"
            ) from error
        except (errors.OfflineModeIsEnabled, errors.LocalEntryNotFoundError) as error:
            raise InputError(
                f"{self.name}: not in the cache {constants.HF_HUB_CACHE}, and the hub is not to be "
                f"reached ({_first_line(error)})"
            ) from error
        except errors.HfHubHTTPError as error:
            raise InputError(f"{self.name}: the hub answers: {_first_line(error)}") from error
        except (errors.HTTPError, TimeoutError, ConnectionError) as error:
            raise InputError(
                f"{self.name}: the hub {constants.ENDPOINT} does not answer "
                f"({_first_line(error) or type(error).__name__}); what its cache holds is read "
                "with HF_HUB_OFFLINE=1"
            ) from error


class RemoteFile(io.RawIOBase):
    """A file of `size` bytes whose ranges are requested as they are read."""

    def __init__(self, request: Callable[[int, int], bytes], size: int) -> None:
        self._request, self._size, self._position = request, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        end = min(self._position + len(buffer), self._size)
        if end <= self._position:
            return 0
        data = self._request(self._position, end)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


class HubText(parquet.Parquet):
    """A split of a set as a corpus, see `parquet.Parquet`."""

    def __init__(self, where: str, hub: HubSet, field: str = "", stop: bool = False) -> None:
        super().__init__(where, lambda: hub.files, field, stop, hub.state, hub.open)
        self.fetch = hub.fetch


def commit_of(spec: str, revision: str, state: State) -> str:
    """The commit that a corpus is read at: of an earlier `state`, or what the hub says now."""
    hub = HubSet(spec, revision)
    return str(state.get(hub.name) or hub.commit)


def split_files(name: str, listing: Mapping[str, Any], config: str, split: str) -> list[str]:
    """The parquet files of a split, sorted: as the card of the set says, or else by their names.

    Raises:
      InputError: an unknown config or split, no parquet file.
    """
    files = sorted(x for x in listing["files"] if x.endswith(".parquet"))
    if not files:
        endings = sorted({Path(x).suffix for x in listing["files"] if Path(x).suffix})
        raise InputError(
            f"{name}: no parquet file, but {', '.join(endings) or 'nothing'}; try the hub's own "
            f"conversion: revision={CONVERTED}"
        )
    if patterns := _card_patterns(name, listing["configs"], config, split):
        if found := [x for x in files if any(fnmatchcase(x, pattern) for pattern in patterns)]:
            return found
    if config:
        folders = {part for x in files for part in Path(x).parts[:-1]} - {"data"}
        files = [x for x in files if config in Path(x).parts[:-1]]
        if not files:
            raise unknown(f"config of {name}", config, folders)
    found = [x for x in files if _split_of(x) == split]
    if not found:
        raise unknown(f"split of {name}", split, filter(None, map(_split_of, files)))
    return found


def _split_of(file: str) -> str:
    """`train` of `en/train-00000-of-00002.parquet`, `en/train/0000.parquet` and `train.parquet`."""
    path = Path(file)
    return re.sub(r"([-_.]?\d+(-of-\d+)?)+$", "", path.stem) or path.parent.name


def _card_patterns(name: str, configs: Any, config: str, split: str) -> list[str]:
    """Patterns of a split's files by the card's `configs`; [] = the card does not say."""
    if not isinstance(configs, list) or not configs:
        return []
    named = {str(x.get("config_name", "default")): x for x in configs}
    defaults = [x for x in named if named[x].get("default") or x == "default"]
    if not config and len(named) > 1 and not defaults:
        raise unknown(f"config of {name}", config, named)
    config = config or (defaults or list(named))[0]
    if config not in named:
        raise unknown(f"config of {name}", config, named)
    data = named[config].get("data_files")
    if not data:
        return []
    by_split: dict[str, list[str]] = {}
    for item in data if isinstance(data, list) else [data]:
        where, patterns = ("train", item)
        if isinstance(item, dict):
            where, patterns = item.get("split", "train"), item["path"]
        by_split.setdefault(where, []).extend([patterns] if isinstance(patterns, str) else patterns)
    if split not in by_split:
        raise unknown(f"split of {name}", split, by_split)
    return by_split[split]


def _card_classes(dataset_info: Any, config: str, column: str) -> list[str]:
    """Names of classes by the card's `dataset_info`."""
    for info in dataset_info if isinstance(dataset_info, list) else [dataset_info or {}]:
        if config and info.get("config_name", config) != config:
            continue
        for feature in info.get("features", ()):
            kind = feature.get("sequence") or feature.get("list") or feature.get("dtype")
            if feature.get("name") == column and isinstance(kind, dict) and "class_label" in kind:
                names = kind["class_label"]["names"]
                return list(names.values() if isinstance(names, dict) else names)
    return []


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]
