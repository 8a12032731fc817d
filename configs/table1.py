"""Table 1 of the paper: which parameters the languages share, and what they have in common.

    python tools/run_study.py --config=configs/table1.py:tiny
    python tools/run_study.py --config=configs/table1.py:tiny,ud/en_ewt-ud-{split}.conllu \\
      --out=studies/table1-tiny
    python tools/run_study.py --config=configs/table1.py:small_cpu
    python tools/run_study.py --config=configs/table1.py:small_cpu,en-fr+en-ru,'my/{language}/*.txt'
    python tools/run_study.py --config=configs/table1.py:small
    python tools/run_study.py --config=configs/table1.py:paper --executor=slurm ...

SIZE[,PAIRS[,FILES]]: pairs are joined by +; FILES are text files in place of the size's own text.
tiny[,TREEBANK], tiny8, ...: with a treebank of English the languages' tags are measured, too (also
of runs that are there already): by a linear classifier, and by fine-tuning with the private parts
frozen (the paper's way) and with the same leaves frozen in every row.

size              model and text                                      cost of a run
tiny              4 x 32, English docstrings and a twin, no download  3 to 4 minutes of a CPU core
tiny_softmax_all  the same, the softmax over both vocabularies        the same; one seed so far
tiny8             8 x 32, the paper's own depths, 16,000 steps        not run yet
small_cpu         4 x 128 (configs/bilingual_cpu.py), text files      half an hour of a CPU core
small             8 x 256 (configs/small.py), two Wikipedias          not run yet
paper             8 x 768 (configs/paper.py), two Wikipedias          not run (3 days of 8 GPUs)

At small_cpu the other domain of "wiki_cc" is novels (none are there for zh), anchors come from the
first 5,000 words of a dictionary, and the row all_private stands below the ten. At small and paper
they are mC4 and dict/SOURCE-TARGET.txt in MUSE's format. Transfer adds minutes a task.

Expected: the paper's figures (ACL 2020, Table 1), in `expected`. Where a size has 4 layers, the
paper's lower 3 of 8 are layer 1, and its lower 6 of 8 are layers 1 to 3. At `tiny` each row has the
mean over the paper's three pairs beside it, of which only the order and the differences count.

The paper's words. Default: a joint vocabulary. "40k/40k": one vocabulary a language; equal pieces
are one row (default anchors), or none is (no anchors). Extra anchors: training text with words
replaced by a dictionary's translations. Sep: private parts; random words of the masking are then of
the row's own language.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from xl_jax.analysis.expected import Expected
from xl_jax.errors import InputError, unknown
from xl_jax.studies.published import LANGUAGES, SOURCE, TABLE1, TASKS
from xl_jax.studies.study import Study

# tiny: flags, and the paper's row that it stands for.
ANCHORS = "--config.corpora.twin=twin:en#shift=0.7"  # 30 % of the pieces keep their row
EQUAL = "--config.private_init=equal"
TINY = {
    "default": ([ANCHORS, "--config.sharing=all_shared"], "default"),
    "no_anchors": (["--config.sharing=all_shared"], "no_anchors"),
    "sep_emb_equal": (["--config.sharing=sep_emb", EQUAL], "sep_emb"),
    "sep_l1_equal": (["--config.sharing=sep_l1", EQUAL], "sep_l1_3"),
    "sep_emb_l1_equal": (["--config.sharing=sep_emb_l1", EQUAL], "sep_emb_l1_3"),
    "sep_l1_3_equal": (["--config.sharing=sep_l1_3", EQUAL], "sep_l1_6"),
    "sep_emb_l1_3_equal": (["--config.sharing=sep_emb_l1_3", EQUAL], "sep_emb_l1_6"),
    "all_private_equal": (["--config.sharing=all_private", EQUAL], ""),
    "sep_l1_anchors": ([ANCHORS, "--config.sharing=sep_l1"], "sep_l1_3"),
    "sep_l1_3_anchors": ([ANCHORS, "--config.sharing=sep_l1_3"], "sep_l1_6"),
    "extra_anchors": (
        ["--config.corpora.twin=twin:en#shift=0.4", "--config.sharing=all_shared"],
        "extra_anchors",
    ),
    "sep_emb_different": (["--config.sharing=sep_emb"], "sep_emb"),
    "sep_tokens_different": (["--config.sharing=sep_tokens"], ""),
    "all_private_different": (["--config.sharing=all_private"], ""),
}


# Its sizes: title, flags, seeds.
FOUR = ["--config.model.layers=4", "--config.steps=8000"]
TWINS = {
    "tiny": ("four layers", FOUR, 5),
    "tiny_softmax_all": ("four layers, one softmax", [*FOUR, "--config.model.softmax=all"], 3),
    "tiny8": ("eight layers", ["--config.model.layers=8", "--config.steps=16000"], 3),
}


# Real languages: a joint vocabulary's size, private layers of the two depths, text of the other
# domain, dictionary of the extra anchors, languages, seeds.
PACK = ".data/pack_shared"
SIZES = {
    "small_cpu": dict(
        config="configs/bilingual_cpu.py",
        vocabulary=8000,
        depths=("l1", "l1_3"),
        other=f"files:{PACK}/text/{{target}}/novels.train.txt",
        dictionary=f"{PACK}/dict/{{source}}-{{target}}.0-5000.txt",
        pairs="en-fr",
        seeds=(0, 1),
    ),
    "small": dict(
        config="configs/small.py",
        vocabulary=8000,
        depths=("l1_3", "l1_6"),
        other="tfds:c4/multilingual:{target}",
        dictionary="dict/{source}-{target}.txt",
        pairs="en-fr+en-ru+en-zh",
        seeds=(0, 1, 2),
    ),
    "paper": dict(
        config="configs/paper.py",
        vocabulary=80_000,
        depths=("l1_3", "l1_6"),
        other="tfds:c4/multilingual:{target}",
        dictionary="dict/{source}-{target}.txt",
        pairs="en-fr+en-ru+en-zh",
        seeds=(0,),
    ),
}


def get_study(argument: str = "tiny") -> Study:
    size, *more = argument.split(",", 2)
    if size in TWINS:
        return tiny(",".join(more), size)
    if size not in SIZES:
        raise unknown("size of table1.py", size, [*TWINS, *SIZES])
    return real(size, *more)


def real(size: str, pairs: str = "", files: str = "") -> Study:
    """The ten rows on pairs of languages; at `small_cpu` also independent models."""
    c: Any = SIZES[size]
    text = files if ":" in files else f"files:{files}"
    lower, higher = c["depths"]
    rows = real_rows(c["vocabulary"], lower, higher, c["other"], c["dictionary"])
    if size == "small_cpu":
        rows["all_private"] = separate("local", c["vocabulary"], "all_private")
    chosen = {pair: pair.split("-") for pair in (pairs or c["pairs"]).split("+")}
    for pair, languages in chosen.items():
        if len(languages) != 2 or not all(languages):
            raise InputError(f"table1.py: {pair!r} is not two languages: en-fr")
    papers = dict(zip(rows, TABLE1, strict=False))  # in its order; all_private has no figures
    return Study(
        title=f"Table 1, {size}",
        config=f"{c['config']}:{','.join(next(iter(chosen.values())))}",
        rows=rows,
        pairs={
            pair: [
                f"--config={c['config']}:{','.join(languages)}",
                *(
                    f"--config.corpora.{x}={text.replace('{language}', x)}"
                    for x in languages
                    if files
                ),
            ]
            for pair, languages in chosen.items()
        },
        seeds=c["seeds"],
        evaluations=evaluations(size, bool(files)),
        reference="default",
        expected=by_pair(papers, chosen),
    )


def real_rows(
    vocabulary: int, lower: str, higher: str, other: str, dictionary: str
) -> dict[str, list[str]]:
    """The paper's rows, in its order; lower and higher: the private layers, such as l1_3."""
    from_all = "--config.masking.pool=all"

    def own(mode: str) -> list[str]:
        return [f"--config.vocab.mode={mode}", f"--config.vocab.size={vocabulary // 2}"]

    return {
        "default": [from_all],
        "wiki_cc": [from_all, f"--config.corpora.{{target}}={other}", "--config.data.tokens=-1"],
        "no_anchors": [*own("disjoint"), from_all],
        "default_anchors": [*own("union"), from_all],
        "extra_anchors": [
            f"--config.anchors.dictionaries={{source}}-{{target}}={dictionary}",
            "--config.anchors.copies=4",
            from_all,
        ],
        "sep_emb": separate("local", vocabulary, "sep_emb"),
        f"sep_{lower}": separate("union", vocabulary, f"sep_{lower}"),
        f"sep_{higher}": separate("union", vocabulary, f"sep_{higher}"),
        f"sep_emb_{lower}": separate("local", vocabulary, f"sep_emb_{lower}"),
        f"sep_emb_{higher}": separate("local", vocabulary, f"sep_emb_{higher}"),
    }


def separate(mode: str, vocabulary: int, sharing: str) -> list[str]:
    """One vocabulary a language and private parts."""
    return [
        f"--config.vocab.mode={mode}",
        f"--config.vocab.size={vocabulary // 2}",
        f"--config.sharing={sharing}",
        "--config.masking.pool=own",
    ]


def evaluations(size: str, own_text: bool) -> dict[str, list[str]]:
    """Zero-shot transfer with the private parts frozen (paper), at `small_cpu` also with the same
    leaves frozen in every row, and translations. None with text of one's own: which data fit it?"""
    if own_text:
        return {}
    if size != "small_cpu":
        return {x: [f"--task={x}", "--tune=configs/finetune_paper.py"] for x in TASKS}
    tune = ["--tune=configs/finetune_small.py", "--tune.seeds=0"]
    names = f"{PACK}/tatoeba/tatoeba.{{target}}-{{source}}"
    return {
        "ner": ["--task=ner", *tune],
        "tagging": ["--task=tagging", *tune],
        "tagging_matched": ["--task=tagging", *tune, "--tune.freeze=up_to:3"],
        "words": [
            "--task=translation",
            f"--data.dictionary={PACK}/dict/{{source}}-{{target}}.5000-6500.txt",
        ],
        "sentences": [
            "--task=retrieval,cka",
            f"--data.pairs={names}.{{source}},{names}.{{target}}",
        ],
    }


def tiny(treebank: str = "", size: str = "tiny") -> Study:
    """English and its twin. The test items of a twin are its base's, renamed."""
    title, base, seeds = TWINS[size]
    rows = {row: [*base, *flags] for row, (flags, _) in TINY.items()}
    papers = {row: paper for row, (_, paper) in TINY.items() if paper}
    if size == "tiny8":
        rows = {deeper(row): [*map(deeper, flags)] for row, flags in rows.items()}
        papers = {deeper(row): paper for row, paper in papers.items()}
    return Study(
        title=f"Table 1 at {title}: English docstrings and their twin",
        config="configs/tiny.py",
        rows=rows,
        seeds=tuple(range(seeds)),
        evaluations=tags(treebank) if treebank else {},
        reference="default",
        expected=means(papers),
    )


def deeper(text: str) -> str:
    """Names of four layers' lower parts as those of eight: l1 is l1_3, and l1_3 is l1_6."""
    return re.sub(r"l1(_3)?(?!\d)", lambda found: "l1_6" if found[1] else "l1_3", text)


def tags(treebank: str, test: str = "") -> dict[str, list[str]]:
    """Zero-shot transfer from English. `treebank`: its files, with {split}. `test`: those of every
    language, with {language}; without it English's, which are also its twin's."""
    files = {x: f"files:{treebank.replace('{split}', x)}" for x in ("train", "dev", "test")}
    data = [
        f"--data.train={files['train']}#take=3000",
        f"--data.dev={files['dev']}",
        f"--data.test={f'files:{test}' if test else 'en=' + files['test']}",
    ]
    tune = ["--task=tagging", "--tune=configs/finetune_small.py", "--tune.seeds=0", *data]
    return {
        "linear_probe": ["--task=linear_probe", "--tune=configs/finetune_small.py", *data],
        "tagging": tune,
        "tagging_matched": [*tune, "--tune.freeze=sep_emb_l1_3"],
    }


def probe(treebank: str, test: str = "") -> dict[str, list[str]]:
    """Of `tags` the linear classifier alone; nothing without a treebank."""
    return {"linear_probe": tags(treebank, test)["linear_probe"]} if treebank else {}


def means(rows: Mapping[str, str]) -> list[Expected]:
    """The paper's means over its three pairs. `rows`: of the study -> of the paper."""
    return [
        Expected(row, "", task, metric, round(sum(figures) / 300, 4), f"{SOURCE}, mean of 3 pairs")
        for row, paper in rows.items()
        for (task, metric), figures in zip(TASKS.items(), TABLE1[paper], strict=True)
    ]


def by_pair(rows: Mapping[str, str], pairs: Iterable[str]) -> list[Expected]:
    """The paper's figures of the pairs that it has, without its Chinese NER, which was trained and
    tested on other sets (CoNLL-2003, SIGHAN 2006). `rows`: of the study -> of the paper."""
    return [
        Expected(row, pair, task, metric, round(figure / 100, 4), SOURCE)
        for row, paper in rows.items()
        for (task, metric), figures in zip(TASKS.items(), TABLE1[paper], strict=True)
        for language, figure in zip(LANGUAGES, figures, strict=True)
        for pair in pairs
        if pair == f"en-{language}" and (task, language) != ("ner", "zh")
    ]
