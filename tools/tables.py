"""Write the tables of numbers in README.md and docs/ from the measurements in results/.

    python tools/tables.py             rewrites the tables between their markers
    python tools/tables.py --check     exit code 1, and the names of those that are not up to date

A table stands between two comments, the first of which says what is in it:

    <!-- table results/cka.json rows=encoders columns=layer digits=1 -->
    <!-- end -->

rows, columns   keys of the records whose values name the rows and the columns
digits          decimals of the values, one number or one for each column
where           only these records: KEY:VALUE&KEY:VALUE; for VALUE also VALUE|VALUE
title           what stands above the names of the rows

Several records of one cell (the rounds of a benchmark) become their median (lowest-highest). One
that has `low` and `high` shows them in the same way; `sd` stands alone in parentheses.

    <!-- layers results/main_job.json -->      what `eval.py` prints of these records
"""

import argparse
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from tools.benchmarks import record

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^<!-- (table|layers) (\S+\.json)(.*?) -->\n(.*?)^<!-- end -->\n", re.M | re.S)
LABELS = {
    "torch": "PyTorch, equal work",
    "transformers": "transformers, eager",
    "transformers_compile": "transformers, `torch.compile`",
    "transformers_sorted": "transformers, lines sorted by length",
    "faiss": "faiss-cpu",
    "tokens_per_second": "tokens/s",
    "sentences_per_second": "sentences/s",
    "words_per_second": "words/s",
    "xl_jax_over_arm": "xl_jax / arm",
    "features_xl_jax_over_arm": "xl_jax / arm",
    "csls_xl_jax_over_arm": "xl_jax / arm",
    "csls_seconds": "seconds",
    "cka_seconds": "seconds",
    "wall_seconds": "seconds by the clock",
    "cores_seconds": "seconds of cores",
    "cores_seconds_per_step": "a run's step, seconds of cores",
    "one_core_over_arm": "one core / arm",
    "compiling": "compiling, seconds of cores",
    "share_of_peak": "share of its own matmul peak",
    "real_over_positions": "tokens / positions computed",
    "over_all_shared": "time of a step / all_shared",
    "over_one_device": "time of a step / one device",
    "over_transposed_within": "time of a step / transposed within",
    "compile_seconds_new": "new, s",
    "compile_seconds_cached": "from the cache, s",
    "step_windows_per_second": "a step consumes",
    "input_windows_per_second": "input alone delivers",
    "input_over_step": "input / step",
    "step_with_input_over_step": "step with input / step",
    "cold_windows_per_second": "from a cold disk, windows/s",
    "warm_windows_per_second": "from memory, windows/s",
    "own_mb": "own memory, MB",
    "mapped_mb": "mapped pages, MB",
    "sentencepiece_mb_per_core_second": "SentencePiece, MB/s",
    "prepare_mb_per_core_second": "prepared, MB/s",
    "prepare_over_sentencepiece": "prepared / SentencePiece",
    "two_processes_over_one": "two processes / one",
    "megabytes": "MB",
    "floor_seconds": "floor, s",
    # tables of reports: configs/table1.py
    "sep_emb_equal": "Sep Emb, equal starts",
    "sep_l1_equal": "Sep L1, equal starts",
    "sep_emb_l1_equal": "Sep Emb + L1, equal starts",
    "sep_l1_3_equal": "Sep L1-3, equal starts",
    "sep_emb_l1_3_equal": "Sep Emb + L1-3, equal starts",
    "all_private_equal": "everything private, equal starts",
    "sep_l1_anchors": "Sep L1, 30 % anchors",
    "sep_l1_3_anchors": "Sep L1-3, 30 % anchors",
    "sep_emb_different": "Sep Emb",
    "sep_tokens_different": "private tokens, shared positions",
    "all_private_different": "everything private",
    "published, Δ: NER": "the paper's NER, Δ",
    "linear probe, %: en-twin": "tags, twin",
    "linear probe, centred, %: en-twin": "tags, centred",
    "linear probe, %: Δ": "tags, Δ",
    "linear probe, %, en-twin: untrained": "untrained",
    "tagging accuracy, %: en-twin": "tags, fine-tuned",
    "sentence retrieval, P@1 %: en-twin": "sentences",
    "word translation, P@1 %: en-twin": "words",
    "NER span F1, %: en-fr": "NER, French",
    "NER span F1, %, en-fr: untrained": "untrained",
    "NER span F1, %: en": "English",
    "NER span F1, %: Δ": "NER, Δ",
    "tagging accuracy, %: en-fr": "tags, French",
    "tagging accuracy, %, en-fr: untrained": "untrained",
    "held-out perplexity, en: trained": "perplexity, English",
    "held-out perplexity, fr: trained": "French",
    # configs/three_way.py, configs/found_mask.py, configs/family.py
    "third_apart": "the third apart",
    "third_sep_emb": "the third's embeddings private",
    "sentence retrieval, P@1 %: en-third": "English-third, top",
    "sentence retrieval, P@1 %, en-third: best layer": "English-third, best layer",
    "sentence retrieval, P@1 %: third-twin": "twin-third, top",
    "sentence retrieval, P@1 %, third-twin: best layer": "twin-third, best layer",
    "word translation, P@1 %: en-third": "English-third, top",
    "word translation, P@1 %, en-third: best layer": "English-third, best layer",
    "word translation, P@1 %: third-twin": "twin-third, top",
    "word translation, P@1 %, third-twin: best layer": "twin-third, best layer",
    "held-out perplexity, twin: trained": "the twin",
    "held-out perplexity, third: trained": "the third",
    "found_as_sep_l1": "found, as large as sep_l1",
    "found_as_sep_emb": "found, as large as sep_emb",
    "found_as_sep_emb_l1": "found, as large as sep_emb_l1",
    "embed/token|mlm/bias": "embed/token, mlm/bias",
    "4_shared": "4 languages, all shared",
    "8_shared": "8 languages, all shared",
    "16_shared": "16 languages, all shared",
    "4_tree": "4, a tree",
    "4_families_apart": "4, a model a family",
    "4_private": "4, nothing shared",
    "sentence retrieval, P@1 %, en-twin: best layer": "sentences, best layer",
    "word translation, P@1 %, en-twin: best layer": "words, best layer",
    "linear probe, %: en": "tags, English",
    "linear probe, %: en-keep_1": "tags, first family",
    "linear probe, %: en-invert_1": "tags, across",
    "sentence retrieval, P@1 %: en-keep_1": "sentences, first family",
    "sentence retrieval, P@1 %: invert_1-invert_2": "sentences, second family",
    "sentence retrieval, P@1 %: en-invert_1": "sentences, across",
    "word translation, words spelled differently, P@1 %: en-keep_1": "words, first family",
    "word translation, words spelled differently, P@1 %: invert_1-invert_2": "words, second family",
    "word translation, words spelled differently, P@1 %: en-invert_1": "words, across",
    "families_apart": "a model a family",
    "sentence retrieval, P@1 %, en-fr: best layer": "sentences, French",
    "sentence retrieval, P@1 %, en-fr: untrained": "untrained",
    "sentence retrieval, P@1 %, en-ru: best layer": "sentences, Russian",
    "sentence retrieval, P@1 %, en-ru: untrained": "untrained",
    "sentence retrieval, P@1 %, en-zh: best layer": "sentences, Chinese",
    "sentence retrieval, P@1 %, en-zh: untrained": "untrained",
    "linear probe, %, en-fr: best layer": "tags, French",
    "linear probe, %, en-fr: untrained": "untrained",
    "linear probe, %, en-fr: chance": "commonest",
    "linear probe, %, en-ru: best layer": "tags, Russian",
    "linear probe, %, en-ru: untrained": "untrained",
    "linear probe, %, en-ru: chance": "commonest",
    "linear probe, %, en-zh: best layer": "tags, Chinese",
    "linear probe, %, en-zh: untrained": "untrained",
    "linear probe, %, en-zh: chance": "commonest",
    "held-out perplexity, ru: trained": "Russian",
    "held-out perplexity, zh: trained": "Chinese",
    # configs/positions.py
    "default_learned": "30 % anchors, all shared: learned",
    "default_rope": "30 % anchors, all shared: rotary",
    "default_none": "30 % anchors, all shared: none",
    "no_anchors_learned": "all shared: learned",
    "no_anchors_rope": "all shared: rotary",
    "no_anchors_none": "all shared: none",
    "sep_emb_equal_learned": "Sep Emb, equal starts: learned",
    "sep_emb_equal_rope": "Sep Emb, equal starts: rotary",
    "sep_emb_equal_none": "Sep Emb, equal starts: none",
    "sep_emb_different_learned": "Sep Emb: learned",
    "sep_emb_different_rope": "Sep Emb: rotary",
    "sep_emb_different_none": "Sep Emb: none",
    "sep_l1_equal_learned": "Sep L1, equal starts: learned",
    "sep_l1_equal_rope": "Sep L1, equal starts: rotary",
    "sep_l1_equal_none": "Sep L1, equal starts: none",
    "sep_l1_different_learned": "Sep L1: learned",
    "sep_l1_different_rope": "Sep L1: rotary",
    "sep_l1_different_none": "Sep L1: none",
    "sep_emb_l1_equal_learned": "Sep Emb + L1, equal starts: learned",
    "sep_emb_l1_equal_rope": "Sep Emb + L1, equal starts: rotary",
    "sep_emb_l1_equal_none": "Sep Emb + L1, equal starts: none",
    "sep_emb_l1_different_learned": "Sep Emb + L1: learned",
    "sep_emb_l1_different_rope": "Sep Emb + L1: rotary",
    "sep_emb_l1_different_none": "Sep Emb + L1: none",
    # configs/dufter.py
    "lang_pos": "private positions",
    "shift_special": "private special tokens",
    "no_random": "no random words",
    "lang_pos_shift_special": "private positions and special tokens",
    "lang_pos_no_random": "private positions, no random words",
    "shift_special_no_random": "private special tokens, no random words",
    "all_three": "all three",
    "overparam": "four times as wide",
    "lang_pos_overparam": "private positions, four times as wide",
    "all_three_overparam": "all three, four times as wide",
    "inv_order": "inverted order",
    "inv_order_all_three": "inverted order and all three",
    "no_parallel": "no parallel text",
    "multilinguality score: en-twin": "score",
    "multilinguality score, en-twin: untrained": "untrained",
    "word alignment, F1 %: en-twin": "word alignment, F1 %",
    # configs/frame.py, configs/anchors_order.py
    "l1_equal_anchors_shared_positions": "Sep L1: equal, anchors, shared positions",
    "l1_equal_anchors_private_positions": "Sep L1: equal, anchors, private positions",
    "l1_equal_no_anchors_shared_positions": "Sep L1: equal, no anchors, shared positions",
    "l1_equal_no_anchors_private_positions": "Sep L1: equal, no anchors, private positions",
    "l1_different_anchors_shared_positions": "Sep L1: different, anchors, shared positions",
    "l1_different_anchors_private_positions": "Sep L1: different, anchors, private positions",
    "l1_different_no_anchors_shared_positions": "Sep L1: different, no anchors, shared positions",
    "l1_different_no_anchors_private_positions": "Sep L1: different, no anchors, private positions",
    "sep_tokens_equal": "private tokens, equal starts",
    "sep_emb_0.1": "Sep Emb, degree 0.1",
    "sep_emb_0.5": "Sep Emb, degree 0.5",
    "keep_0": "same order, 0 %",
    "keep_5": "same order, 5 %",
    "keep_20": "same order, 20 %",
    "keep_100": "same order, 100 %",
    "invert_0": "inverted, 0 %",
    "invert_5": "inverted, 5 %",
    "invert_20": "inverted, 20 %",
    "invert_100": "inverted, 100 %",
    "permute_0": "permuted, 0 %",
    "permute_5": "permuted, 5 %",
    "permute_20": "permuted, 20 %",
    "permute_100": "permuted, 100 %",
    "word translation, words spelled differently, P@1 %: en-twin": "words not in common",
    "sentence retrieval, P@1 %, en-twin: untrained": "sentences, untrained",
    "debiased linear CKA of sentences, x100: en-twin": "debiased CKA",
    "average neuron-wise correlation of sentences, x100: en-twin": "ANC",
}

Record = dict[str, Any]


def pivot(
    records: Sequence[Record], rows: str, columns: str, digits: Sequence[int], title: str = ""
) -> list[list[str]]:
    """A table with its header: a row and a column for each value of the two keys, as they come."""
    here = [r for r in records if rows in r and columns in r]
    names = list(dict.fromkeys(r[rows] for r in here))
    heads = list(dict.fromkeys(r[columns] for r in here))
    decimals = [*digits, *[digits[-1]] * len(heads)]
    table = [[title, *map(label, heads)]]
    for name in names:
        cells = [[r for r in here if (r[rows], r[columns]) == (name, x)] for x in heads]
        table.append([label(name), *map(cell, cells, decimals)])
    return table


def label(name: Any) -> str:
    """In words where a record names a thing for programs."""
    return f"{name:,}" if isinstance(name, int) else LABELS.get(name, name)


def cell(records: Sequence[Record], digits: int) -> str:
    """The value of records that belong together, with its spread."""
    values = [r["value"] for r in records]
    if not values or isinstance(values[0], str):
        return "; ".join(values)
    one = records[0] if len(records) == 1 else {"low": min(values), "high": max(values)}
    text = show(median(values), digits)
    if "sd" in one:
        text += f" ({show(one['sd'], digits)})"
    elif "low" in one:
        to = "-" if one["low"] >= 0 else " to "
        text += f" ({show(one['low'], digits)}{to}{show(one['high'], digits)})"
    return text


def show(value: float, digits: int) -> str:
    return f"{value:,.{digits}f}"


def kept(records: Sequence[Record], where: str) -> list[Record]:
    """The records whose values are as `where` says, KEY:VALUE&KEY:VALUE|VALUE."""
    wanted = [part.partition(":")[::2] for part in filter(None, where.split("&"))]
    return [r for r in records if all(str(r.get(k)) in v.split("|") for k, v in wanted)]


def markdown(table: Sequence[Sequence[str]]) -> str:
    header, *rows = table
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def origin(measurement: Record, link: str) -> str:
    """Where the figures come from, as a line of Markdown."""
    machine = measurement["hardware"]
    where = ", ".join([machine["cpu"], f"{machine['cores']} cores", *machine.get("devices", ())])
    how = ", copied from an earlier document" if measurement.get("transcribed") else ""
    return f"[{Path(link).name}]({link}): commit {measurement['commit']}, {where}{how}.\n"


def fill(match: re.Match[str], document: Path) -> str:
    """A block of `document` with its table."""
    kind, name, options, _ = match.groups()
    measurement = record.read(ROOT / name)
    given = dict(part.split("=", 1) for part in shlex.split(options))
    records = kept(measurement["records"], given.pop("where", ""))
    if kind == "layers":
        from xl_jax.analysis.record import Record as Measured
        from xl_jax.report.tables import by_layer

        text = f"```\n{by_layer(list(map(Measured.from_json, records)))}\n```\n"
    else:
        digits = [int(x) for x in given.pop("digits", "1").split(",")]
        text = markdown(pivot(records, digits=digits, **given))
    link = "../" * len(document.relative_to(ROOT).parents[1:]) + name
    head = match[0].partition("\n")[0]
    return f"{head}\n{text}\n{origin(measurement, link)}<!-- end -->\n"


def documents() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def stale(document: Path) -> tuple[str, list[str]]:
    """(the document with every table as its file says, the markers of those that were not)."""
    old = document.read_text(encoding="utf-8")
    changed: list[str] = []

    def replace(match: re.Match[str]) -> str:
        filled = fill(match, document)
        if filled != match[0]:
            changed.append(match[0].partition("\n")[0])
        return filled

    return BLOCK.sub(replace, old), changed


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing, compare")
    check, found = parser.parse_args().check, 0
    for document in documents():
        text, changed = stale(document)
        for marker in changed:
            print(f"{document.relative_to(ROOT)}: {marker}")
        if changed and not check:
            document.write_text(text, encoding="utf-8")
        found += len(changed)
    if check and found:
        sys.exit(f"{found} tables are not up to date: python tools/tables.py")


if __name__ == "__main__":
    main()
