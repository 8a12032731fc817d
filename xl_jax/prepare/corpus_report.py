"""What became of the text of a prepared corpus: for people as a text, for programs as JSON."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Int

from xl_jax.prepare import domain, overlap
from xl_jax.prepare.stages import WORDS, Opened, sampled
from xl_jax.text.codeswitch import expected_share
from xl_jax.text.documents import position
from xl_jax.tokens.special import UNK

SPLITS = ("train", "heldout", "test")

# What the passes count beside the lines that cleaning changes or drops.
_OTHER = ("bytes", "documents", "words", "in_dictionary", "switched")


def summarise(
    o: Opened,
    encoded: Mapping[str, Sequence[Mapping[str, Any]]],
    kept: Mapping[str, Mapping[str, int]],
    counts: Int[np.ndarray, "languages V"],
) -> dict[str, Any]:
    """The report of a preparation, for JSON.

    Args:
      o: the preparation, before its folder is tidied.
      encoded: what `stages.encode` returned for each part, by language.
      kept: documents, lines and tokens of each language's training text.
      counts: occurrences of each piece in it.

    Returns:
      `vocabulary`; `languages`: by name, what was read, what cleaning changed and dropped by reason
      (lines) and where that first happened, documents, lines and tokens of each split, and of the
      training text bytes a token, the share of unknown tokens and, with anchors, the shares of
      words listed and switched; `overlap` as in `overlap.overlap`; `domain`: Jensen-Shannon
      distances of words between languages, and between the halves of one.
    """
    languages = {}
    for i, (name, records) in enumerate(encoded.items()):
        tally: Counter[str] = Counter()
        for record in records:
            tally.update(record["counts"])
        splits = {
            split: {what: sum(r[split][what] for r in records) for what in records[0][split]}
            for split in SPLITS
            if split in records[0]
        }
        bytes_per_token = splits["train"]["bytes"] / max(splits["train"]["tokens"], 1)
        for sizes in splits.values():
            del sizes["bytes"]
        languages[name] = {
            "spec": o.corpora[name].spec,
            "bytes": tally["bytes"],
            "documents": tally["documents"],
            "cleaning": {
                x: n for x, n in sorted(tally.items()) if x not in _OTHER and " " not in x
            },
            "first": sorted({x.split(" ")[0]: x for x in reversed(tally) if " " in x}.values()),
            **splits,
            "train": dict(kept[name]),
            "bytes_per_token": bytes_per_token,
            "unknown": int(counts[i, UNK]) / max(int(counts[i].sum()), 1),
            "anchors": _anchors(o, name, tally),
        }
    v = o.vocabulary
    names = list(languages)
    lines = {x: languages[x]["train"]["lines"] for x in names}
    return {
        "vocabulary": {"mode": v.mode, "pieces": v.n_pieces, "rows": v.size, "digest": v.digest},
        "languages": languages,
        "overlap": overlap.overlap(v, counts, lines),
        "domain": _domain(o),
    }


def _anchors(o: Opened, language: str, tally: Mapping[str, int]) -> dict[str, Any] | None:
    """Shares of the words of the training text, over all copies; entries of the dictionaries."""
    words = tally.get("words", 0)
    if not words:
        return None
    coverage = tally.get("in_dictionary", 0) / words
    return {
        "words": words,
        "coverage": coverage,
        "switched": tally.get("switched", 0) / words,
        "expected": expected_share(o.config.anchors, coverage),
        "entries": len(o.switch(language)),
        "unmatchable": o.switch(language).unmatchable,
    }


def _domain(o: Opened) -> list[dict[str, Any]]:
    """Distances of words: of every two texts, and of the halves of each."""
    halves: dict[str, tuple[Counter[str], Counter[str]]] = {}
    for language in o.owners:
        characters = sum(len(line) for line in sampled(o, language))
        lines = [
            line for line in sampled(o, language) if position([line], b"words") * characters < WORDS
        ]
        if lines:
            halves[language] = domain.count_words(lines[::2]), domain.count_words(lines[1::2])
    pairs = [((x, x), *halves[x]) for x in halves if all(halves[x])]
    pairs += [
        ((a, b), halves[a][0] + halves[a][1], halves[b][0] + halves[b][1])
        for a, b in combinations(halves, 2)
    ]
    return [
        {"languages": list(names), "words": domain.word_distance(a, b)} for names, a, b in pairs
    ]


def text(report: Mapping[str, Any]) -> str:
    """The report as plain text."""
    v = report["vocabulary"]
    lines = [
        f"vocabulary: {v['mode']}, {v['pieces']:,} pieces, digest {v['digest'][:12]}",
        "",
        f"{'text':<14}{'split':<9}{'documents':>12}{'sentences':>13}{'tokens':>15}"
        f"{'bytes/token':>13}{'unknown %':>11}",
    ]
    for name, x in report["languages"].items():
        for split in filter(x.__contains__, SPLITS):
            sizes = x[split]
            line = f"{name if split == 'train' else '':<14}{split:<9}"
            line += "".join(
                f"{sizes[what]:>{width},}"
                for what, width in (("documents", 12), ("lines", 13), ("tokens", 15))
            )
            if split == "train":
                line += f"{x['bytes_per_token']:>13.2f}{100 * x['unknown']:>11.3f}"
            lines.append(line)
    lines.append("")
    for name, x in report["languages"].items():
        found = [f"{n:,} {reason}" for reason, n in x["cleaning"].items()]
        lines.append(
            f"{name}: {x['bytes']:,} bytes read; lines changed or dropped: "
            f"{', '.join(found) or 'none'}"
        )
        lines += [f"  {where}" for where in x["first"]]
        if x["anchors"]:
            a = x["anchors"]
            lines.append(
                f"  extra anchors: {100 * a['coverage']:.1f} % of {a['words']:,} words are in a "
                f"dictionary, {100 * a['switched']:.2f} % switched ({100 * a['expected']:.2f} % "
                "expected)"
            )
            if a["unmatchable"]:
                lines.append(
                    f"  {a['unmatchable']:,} of {a['entries']:,} entries of the dictionaries can "
                    "match no text: they are not words as text is divided"
                )
    lines += ["", overlap.table(report["overlap"])]
    lines += ["", "Jensen-Shannon distance of words (0 alike, 1 nothing in common)"]
    for x in report["domain"]:
        a, b = x["languages"]
        lines.append(f"  {f'{a}-{b}' if a != b else f'{a}, its halves':<20}{x['words']:.3f}")
    return "\n".join(lines)
