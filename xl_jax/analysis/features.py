"""What a view makes of text, at every layer at once: means over sentences, words and word types.

A part is what one mean is taken over: the ordinary tokens of a sentence, the pieces of a word. One
compiled pass gives the means of all parts of a batch of rows; rows of nearly equal length go
together, and are divided among the devices. Memory does not grow with the text: what is kept is the
requested means, or one running sum a word type.

Letters in names: B rows, T tokens, P parts of a row, L layers (0 the embeddings), D width, V types.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from jaxtyping import Bool, Float, Int

from xl_jax.analysis import kept_arrays
from xl_jax.batches.windows import line_rows
from xl_jax.devices.compiler_options import compiler_options
from xl_jax.model.mlm import MaskedLM
from xl_jax.progress import Bar
from xl_jax.tokens.detokenize import Spelled
from xl_jax.tokens.shards import Shard
from xl_jax.tokens.special import BOS, N_SPECIAL, PAD

TOKENS = 4096  # of a batch and device
LINES_AT_ONCE = 8192  # sorted by length; an interrupted sum goes on from such a place
SAVE_SECONDS = 60


class Words(NamedTuple):
    """Vectors of words, one line's after the other's."""

    vectors: Float[np.ndarray, "L words D"]
    seen: Bool[np.ndarray, " words"]  # False: cut off with the end of a long line


class Extractor:
    """The compiled pass of one module. Lines are framed by `first` and </s>, and cut to the model's
    positions.

    Args:
      devices: among which rows are divided; by default those of this process. Results do not
        depend on their number.
      special_tokens: whether the mean of a line takes the frame and unknown tokens in; means of
        words never do.
    """

    def __init__(
        self,
        module: MaskedLM,
        first: int = BOS,
        devices: Sequence[Any] | None = None,
        special_tokens: bool = False,
    ):
        self.module, self.first, self.special_tokens = module, first, special_tokens
        chosen = list(devices or jax.local_devices())
        mesh = jax.make_mesh((len(chosen),), ("rows",), (AxisType.Auto,), devices=chosen)
        self.by_rows = NamedSharding(mesh, PartitionSpec("rows"))
        self.everywhere = NamedSharding(mesh, PartitionSpec())
        self.devices = len(chosen)
        self.layers, self.width = module.config.layers + 1, module.config.width
        # By module, so that encoders of the same shape share what is compiled.
        jit = partial(jax.jit, compiler_options=compiler_options())
        means = jit(_means, static_argnames=("module", "parts", "layers"))
        self._means = partial(means, module)
        static = ("module", "everywhere", "parts")
        add = jit(_add, static_argnames=static, donate_argnames="sums")
        self._add = partial(add, module, self.everywhere)

    def sentences(
        self, view: Any, lines: Shard, layers: Sequence[int] | None = None
    ) -> Float[np.ndarray, "L n D"]:
        """Mean state of each line's ordinary tokens (paper 5.1.3); of its whole frame where it has
        none (all unknown), or with `special_tokens`. Of many lines, all layers may be too much to
        hold: `layers` gives those wanted, and nothing above them is computed."""
        view = self.replicate(view)
        every = tuple(range(self.layers))
        wanted = every if layers is None else tuple(layers)
        of_layers = None if wanted == every else wanted
        found = np.zeros((len(wanted), len(lines), self.width), np.float32)
        with Bar("sentences through the encoder", len(lines)) as bar:
            for start in range(0, len(lines), LINES_AT_ONCE):
                index = np.arange(start, min(start + LINES_AT_ONCE, len(lines)))
                for tokens, at in self._batches(lines, index, bar):
                    taken = tokens != PAD
                    if not self.special_tokens:
                        ordinary = tokens >= N_SPECIAL
                        taken = np.where(ordinary.any(1, keepdims=True), ordinary, taken)
                    part = np.where(taken, 0, -1).astype(np.int32)
                    rows = self._rows(tokens, part)
                    made = self._means(view, *rows, parts=1, layers=of_layers)
                    found[:, at] = np.asarray(made)[:, : len(at), 0]
        return found

    def words(self, view: Any, lines: Shard, parts: Sequence[np.ndarray]) -> Words:
        """Mean state of the pieces of every word. `parts` gives for every line the number within it
        of the word that each token belongs to, -1 for none."""
        view = self.replicate(view)
        many = np.asarray([int(part.max(initial=-1)) + 1 for part in parts])
        starts = np.concatenate([[0], np.cumsum(many)])
        found = np.zeros((self.layers, starts[-1], self.width), np.float32)
        seen = np.zeros(starts[-1], bool)
        with Bar("lines through the encoder", len(lines)) as bar:
            for tokens, at in self._batches(lines, np.arange(len(lines)), bar):
                part = _in_rows([parts[i] for i in at], tokens.shape)
                numbers = [_numbered_anew(row) for row in part]
                made = np.asarray(
                    self._means(view, *self._rows(tokens, part), parts=tokens.shape[1])
                )
                for row, i in enumerate(at):
                    here = starts[i] + numbers[row]
                    found[:, here], seen[here] = made[:, row, : len(here)], True
        return Words(found, seen)

    def types(
        self,
        view: Any,
        lines: Shard,
        spelling: Callable[[np.ndarray], Spelled],
        types: Sequence[str],
        kept: Path,
    ) -> tuple[Float[np.ndarray, "L V D"], Int[np.ndarray, " V"]]:
        """(mean over all occurrences of each word type, number of occurrences); a type that does
        not occur has the zero vector.

        The sums are in the file `kept`, and a second call goes on from them: the caller names it
        after view, lines and types.
        """
        number = {word: i for i, word in enumerate(types)}
        view = self.replicate(view)
        sums, counts, done = _read_sums(kept, (len(types), self.layers, self.width))
        sums, counts = self.replicate((sums, counts))
        saved = time.monotonic()
        with Bar("lines through the encoder", len(lines) - done) as bar:
            for start in range(done, len(lines), LINES_AT_ONCE):
                index = np.arange(start, min(start + LINES_AT_ONCE, len(lines)))
                spelled = {int(i): spelling(lines.line(int(i))) for i in index}
                for tokens, at in self._batches(lines, index, bar):
                    part = _in_rows([spelled[i].parts for i in at], tokens.shape)
                    of_part = np.full(tokens.shape, len(types), np.int32)  # nothing: out of range
                    for row, i in enumerate(at):
                        words = spelled[i].words[: tokens.shape[1]]
                        of_part[row, : len(words)] = [number.get(w, len(types)) for w in words]
                    rows = self._rows(tokens, part, of_part)
                    sums, counts = self._add((sums, counts), view, *rows, parts=tokens.shape[1])
                if time.monotonic() - saved > SAVE_SECONDS or index[-1] + 1 == len(lines):
                    _write_sums(kept, sums, counts, int(index[-1]) + 1)
                    saved = time.monotonic()
        total, n = np.asarray(sums), np.asarray(counts)
        return (total / np.maximum(n, 1)[:, None, None]).swapaxes(0, 1), n

    def replicate(self, tree: Any) -> Any:
        """A copy of the tree on every device."""
        return jax.device_put(tree, self.everywhere)

    def _rows(self, *arrays: np.ndarray) -> Any:
        return jax.device_put(arrays, self.by_rows)

    def _batches(
        self, lines: Shard, index: Int[np.ndarray, " n"], bar: Bar
    ) -> Iterator[tuple[Int[np.ndarray, "B T"], Int[np.ndarray, " n"]]]:
        """(rows, the lines in its first rows; the others are empty), shortest first. What does not
        fill a batch of its length moves on to the next longer one."""
        most = self.module.config.positions
        first, last = lines.bounds(index)
        sizes = np.minimum(last - first + 2, most)
        order = np.argsort(sizes, kind="stable")
        index, sizes = index[order], sizes[order]
        enough = 1 << max(len(index) - 1, 0).bit_length()  # few lines make small batches
        begin = 0
        for length in row_lengths(most):
            rows = max(min(TOKENS // length, enough), 1) * self.devices
            end = int(np.searchsorted(sizes, length, side="right"))
            final = end == len(sizes)
            while end - begin >= rows or (final and begin < end):
                at = index[begin : min(begin + rows, end)]
                tokens = line_rows(lines, at, length)
                tokens[:, 0] = self.first
                yield np.pad(tokens, ((0, rows - len(at)), (0, 0)), constant_values=PAD), at
                begin += len(at)
                bar.advance(len(at))
            if final:
                return


def row_lengths(most: int) -> list[int]:
    """The lengths that rows are padded to: few enough to compile, at most a third too long."""
    powers = [n for p in range(3, 20) for n in (2**p, 3 * 2 ** (p - 1))]
    return [n for n in powers if n < most] + [most]


def _means(
    module: MaskedLM,
    view: Any,
    tokens_BxT: jax.Array,
    part_BxT: jax.Array,
    parts: int,
    layers: tuple[int, ...] | None = None,
) -> jax.Array:
    """Mean states [L, B, P, D] of the parts 0..P-1 of every row, of all layers or of those given;
    zero for a part without tokens."""
    states: Any = module.apply({"params": view}, tokens_BxT, tokens_BxT != PAD, method="states")
    member_BxPxT = part_BxT[:, None, :] == jnp.arange(parts, dtype=jnp.int32)[None, :, None]
    weight_BxPxT = member_BxPxT / jnp.maximum(member_BxPxT.sum(-1, keepdims=True), 1)

    def mean(state_BxTxD: jax.Array) -> jax.Array:
        return jnp.einsum("BTD,BPT->BPD", state_BxTxD.astype(jnp.float32), weight_BxPxT)

    # One layer at a time: XLA need not lay the states side by side, and leaves out the layers that
    # nobody asks for.
    every = range(len(states))
    return jnp.stack([mean(states[i]) for i in (every if layers is None else layers)])


def _add(
    module: MaskedLM,
    everywhere: NamedSharding,
    sums: tuple[jax.Array, jax.Array],
    view: Any,
    tokens_BxT: jax.Array,
    part_BxT: jax.Array,
    type_BxP: jax.Array,
    parts: int,
) -> tuple[jax.Array, jax.Array]:
    """The sums [V, L, D] and counts [V] with the words of these rows."""
    sums_VxLxD, counts_V = sums
    means_LxBxPxD = _means(module, view, tokens_BxT, part_BxT, parts)
    L, B, P, D = means_LxBxPxD.shape
    there_BxP = (part_BxT[:, None, :] == jnp.arange(P, dtype=jnp.int32)[None, :, None]).any(-1)
    type_N = jnp.where(there_BxP, type_BxP, len(counts_V)).reshape(B * P)
    words_NxLxD = means_LxBxPxD.transpose(1, 2, 0, 3).reshape(B * P, L, D)
    # a batch's words travel between devices, not the sums
    words_NxLxD = jax.lax.with_sharding_constraint(words_NxLxD, everywhere)
    type_N = jax.lax.with_sharding_constraint(type_N, everywhere)
    return (
        sums_VxLxD.at[type_N].add(words_NxLxD, mode="drop"),
        counts_V.at[type_N].add(1, mode="drop"),
    )


def _in_rows(parts: Sequence[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """Parts of lines as rows: the first token is the frame's; what is beyond a row is cut."""
    rows = np.full(shape, -1, np.int32)
    for row, part in zip(rows, parts, strict=False):
        n = min(len(part), shape[1] - 2)
        row[1 : n + 1] = part[:n]
    return rows


def _numbered_anew(part_T: np.ndarray) -> np.ndarray:
    """The parts' numbers in a row, which become 0, 1, ... in place: a line may have numbers beyond
    the row's length."""
    known = part_T >= 0
    numbers, part_T[known] = np.unique(part_T[known], return_inverse=True)
    return numbers


def _read_sums(path: Path, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, int]:
    found = kept_arrays.read(path)
    if found is None or not {"sums", "counts", "done"} <= found.keys():
        return np.zeros(shape, np.float32), np.zeros(shape[0], np.int32), 0
    return found["sums"], found["counts"], json.loads(str(found["done"]))


def _write_sums(path: Path, sums: jax.Array, counts: jax.Array, done: int) -> None:
    arrays = {"sums": np.asarray(sums), "counts": np.asarray(counts), "done": np.asarray(str(done))}
    kept_arrays.write(path, arrays)
