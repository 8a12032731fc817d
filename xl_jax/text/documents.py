"""What every corpus is: documents of lines, read part by part.

A source is cut into consecutive parts that may be read in any process and in any order; read one
after the other they are the corpus. Sources stream: none keeps more than a document of text.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

Document = list[str]  # its lines (sentences or paragraphs), none of them empty
Part = tuple[Any, ...]  # plain values that can be pickled; only its own source understands them
State = dict[str, Any]  # file -> [bytes, nanoseconds of the last change], or package -> version


@runtime_checkable
class Source(Protocol):
    """A corpus that can be read in portions. Not sent between processes: opened from its spec."""

    def parts(self, size: int) -> list[Part]:
        """Portions of about `size` bytes of text where the source can be divided, in order."""
        ...

    def size(self) -> int:
        """Bytes of text that all parts have, about; 0 = a small corpus, only reading would tell."""
        ...

    def state(self) -> State:
        """What tells without reading whether the text has changed; for JSON. Empty = it cannot."""
        ...

    def documents(self, part: Part, counts: Counter[str]) -> Iterator[Document]:
        """The documents that begin in `part`.

        Adds to `counts`: `bytes` of text read; what was dropped or cut by reason (`invalid_utf8`,
        `long_lines`, ...); and once in a part and reason, with the value 1, a name of the first
        place: `invalid_utf8 first in FILE: line 7`.
        """
        ...


class OnePart:
    """A small corpus that is read at one go: every line is a document. `versions` is its state."""

    def __init__(
        self, lines: Callable[[], Iterator[str]], versions: Callable[[], State] = dict
    ) -> None:
        self._lines = lines
        self.state = versions

    def parts(self, size: int) -> list[Part]:
        return [()]

    def size(self) -> int:
        return 0

    def documents(self, part: Part, counts: Counter[str]) -> Iterator[Document]:
        for line in self._lines():
            counts["bytes"] += len(line.encode()) + 1
            yield [line]


class Subset:
    """The documents of another source whose hash falls under `share`: a random subset that does
    not depend on the rest of the corpus, nor on how documents are split (`corpora.splits`)."""

    def __init__(self, source: Source, share: float) -> None:
        self._source, self._share = source, share
        self.parts, self.size, self.state = source.parts, source.size, source.state

    def documents(self, part: Part, counts: Counter[str]) -> Iterator[Document]:
        for document in self._source.documents(part, counts):
            if position(document, b"share") < self._share:
                yield document
            else:
                counts["outside_share"] += 1


def all_documents(source: Source, counts: Counter[str] | None = None) -> Iterator[Document]:
    """Every document of the corpus, in order."""
    counts = Counter() if counts is None else counts
    for part in source.parts(1 << 24):
        yield from source.documents(part, counts)


def text_lines(text: str) -> Document:
    """The lines of a text as a document: stripped, without the empty ones."""
    return [line for part in text.split("\n") if (line := part.strip())]


def position(document: Document, purpose: bytes = b"") -> float:
    """A number in [0, 1) that depends on the document's text and the purpose alone."""
    text = "\n".join(document).encode()
    digest = hashlib.blake2b(text, digest_size=8, person=purpose).digest()
    return int.from_bytes(digest, "big") / 2**64


def positions(documents: Sequence[Document], purpose: bytes = b"") -> Float[np.ndarray, " n"]:
    """The `position` of each of many documents."""
    start = hashlib.blake2b(digest_size=8, person=purpose)
    digests = []
    for document in documents:
        hashed = start.copy()  # much quicker than setting up another
        hashed.update("\n".join(document).encode())
        digests.append(hashed.digest())
    return np.frombuffer(b"".join(digests), ">u8") / 2**64
