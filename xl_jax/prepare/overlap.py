"""What two languages have in common in a vocabulary: the paper's anchor points (section 4.2).

A type is a row of the embedding table that occurs in a language's training text; it is shared where
it occurs in both. Its kind is read from its string: digits, punctuation (symbols too), names (it
starts with a capital), and the rest.
"""

import itertools
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from xl_jax.tokens.special import N_SPECIAL, UNK
from xl_jax.tokens.vocabulary import Vocabulary

KINDS = ("digits", "punctuation", "names", "other")
EXAMPLES = 10  # of each kind


def kind(piece: str) -> str:
    """Which of KINDS a piece is."""
    text = piece.lstrip("▁")
    categories = [unicodedata.category(character)[0] for character in text]
    if not {"L", "M"} & set(categories):
        return "digits" if "N" in categories else "punctuation"
    first = text[categories.index("L")] if "L" in categories else ""
    return "names" if first.isupper() or first.istitle() else "other"


def overlap(
    vocabulary: Vocabulary,
    counts: Int[np.ndarray, "languages V"],
    lines: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """The overlap of every pair of languages, and how the vocabulary fits each; for JSON.

    Args:
      vocabulary: its languages are the rows of `counts`, in order.
      counts: occurrences of each row in the training text.
      lines: of the training texts; with them come `tokens_per_line`.

    Returns:
      `languages`: by name, `tokens`; `types`; `unknown`, the share of tokens that is <unk>;
      `pieces_per_word`, a word being what white space divides (no measure for Chinese);
      `characters_per_piece`, blanks not counted.
      `pairs`: for every two `languages` the number of shared `types`; `p_type` and `p_token`, the
      share of each language's types and running tokens that is shared; the same by `kinds`, with
      the shared pieces that are most frequent in the language that has fewer of them. In a local
      vocabulary nothing is shared: equal numbers mean different pieces.
    """
    names = list(vocabulary.models)
    used = counts > 0
    used[:, :N_SPECIAL] = False
    strings = {x: _by_row(vocabulary, x) for x in names}
    languages = {}
    for i, name in enumerate(names):
        languages[name] = _fit(counts[i], used[i], strings[name])
        if lines is not None:
            languages[name]["tokens_per_line"] = languages[name]["tokens"] / max(lines[name], 1)
    pairs = []
    for i, j in itertools.combinations(range(len(names)), 2):
        both = used[i] & used[j] & (vocabulary.mode != "local")
        pairs.append(_pair(counts[[i, j]], both, strings[names[i]], (names[i], names[j])))
    return {"languages": languages, "pairs": pairs}


def table(report: Mapping[str, Any]) -> str:
    """What `overlap` returned as plain text; shares in %."""
    lines = [
        f"{'language':<14}{'tokens':>13}{'types':>9}{'unknown %':>11}{'pieces/word':>13}"
        f"{'chars/piece':>13}{'tokens/line':>13}"
    ]
    for name, x in report["languages"].items():
        per_line = f"{x['tokens_per_line']:.1f}" if "tokens_per_line" in x else "-"
        lines.append(
            f"  {name:<12}{x['tokens']:>13,}{x['types']:>9,}{100 * x['unknown']:>11.3f}"
            f"{x['pieces_per_word']:>13.2f}{x['characters_per_piece']:>13.2f}{per_line:>13}"
        )
    for pair in report["pairs"]:
        a, b = pair["languages"]
        lines += [
            "",
            f"{'shared':<14}{'types':>9}{f'{a} types %':>13}{f'{b} types %':>13}"
            f"{f'{a} tokens %':>14}{f'{b} tokens %':>14}",
            _row(f"{a}-{b}", pair, (a, b)),
        ]
        for name in KINDS:
            part = pair["kinds"][name]
            lines.append(_row(f"  {name}", part, (a, b)) + "  " + " ".join(part["examples"]))
    return "\n".join(line.rstrip() for line in lines)


def _row(title: str, part: Mapping[str, Any], languages: Sequence[str]) -> str:
    types = "".join(f"{100 * part['p_type'][x]:>13.1f}" for x in languages)
    tokens = "".join(f"{100 * part['p_token'][x]:>14.1f}" for x in languages)
    return f"{title:<14}{part['types']:>9,}{types}{tokens}"


def _by_row(vocabulary: Vocabulary, language: str) -> np.ndarray:
    """str[V]: the language's piece in each row, "" where it has none."""
    rows = np.full(vocabulary.size, "", object)
    rows[vocabulary.ids[language]] = vocabulary.strings(language)
    return rows


def _fit(
    counts: Int[np.ndarray, " V"], used: Bool[np.ndarray, " V"], strings: np.ndarray
) -> dict[str, Any]:
    ordinary, unknown = counts[used], int(counts[UNK])
    pieces = strings[used]
    starts = np.array([piece.startswith("▁") for piece in pieces], bool)
    words = int(ordinary[starts].sum()) + (unknown if starts.all() else 0)  # a model of whole words
    characters = int(ordinary @ [len(piece.replace("▁", "")) for piece in pieces])
    tokens = int(ordinary.sum()) + unknown
    return {
        "tokens": tokens,
        "types": len(pieces),
        "unknown": unknown / max(tokens, 1),
        "pieces_per_word": tokens / max(words, 1),
        "characters_per_piece": characters / max(int(ordinary.sum()), 1),
    }


def _pair(
    counts_2xV: np.ndarray,
    both: Bool[np.ndarray, " V"],
    strings: np.ndarray,
    names: tuple[str, str],
) -> dict[str, Any]:
    ordinary_2xV = counts_2xV[:, N_SPECIAL:]
    types, tokens = (ordinary_2xV > 0).sum(1), ordinary_2xV.sum(1)
    least = (counts_2xV / np.maximum(tokens, 1)[:, None]).min(0)

    def part(rows: np.ndarray) -> dict[str, Any]:
        shares = {
            "p_type": len(rows) / np.maximum(types, 1),
            "p_token": counts_2xV[:, rows].sum(1) / np.maximum(tokens, 1),
        }
        return {"types": len(rows)} | {
            what: dict(zip(names, map(float, share), strict=True)) for what, share in shares.items()
        }

    shared = np.flatnonzero(both)
    kinds = np.array([kind(piece) for piece in strings[shared]], object)
    by_kind = {}
    for name in KINDS:
        rows = shared[kinds == name]
        frequent = rows[np.argsort(-least[rows], kind="stable")][:EXAMPLES]
        by_kind[name] = {**part(rows), "examples": strings[frequent].tolist()}
    return {"languages": list(names), **part(shared), "kinds": by_kind}
