"""Section 5 of the paper: are the spaces of independently trained encoders alike?

    python tools/run_study.py --config=configs/monolingual.py:tiny,section5
    python tools/run_study.py --config=configs/monolingual.py:small_cpu
    python tools/run_study.py --config=configs/monolingual.py:small_cpu,en-fr+en-ru
    python tools/run_study.py --config=configs/monolingual.py:paper --executor=slurm ...

SIZE[,PAIRS], or tiny,FOLDER. Three rows: two encoders that share nothing, in one run (what shares
nothing is optimised as it would be alone); the paper's bilingual model; the same with its own
embeddings for each language. Measured: a map between the two spaces learnt from words (5.1.1) and
from sentences (5.1.3), named entities through a map of contextual words (5.1.2; not at tiny), CKA
by layer (5.2), each beside random maps and untrained encoders.

At tiny the pair is English and its twin (4 layers, no token in common), so that every text is its
own translation. The bilingual row with embeddings of its own has private tokens alone: with private
positions it seldom aligns (docs/studies/frame.md). FOLDER has English text to learn maps from and
to test them on; docs/studies/monolingual_tiny.md says how to make it:

    sentences.txt        a sentence a line
    words.train.txt      word and translation, twice the same word; words.test.txt: other words

Cost: at tiny 4 minutes of a core a run, 2 for measuring; runs that table1.py:tiny has need not be
trained again: --adopt=studies/table1-tiny . At small_cpu half an hour of a core for the training of
a run, as long again for measuring; the map for named entities needs
`pip install -r requirements-analysis.txt`. small, paper: not run.

Expected (ACL 2020, figures 4 to 7, without numbers in the text): mapped monolingual encoders far
above random maps and below the bilingual model; CKA bilingual, then monolingual, then random
encoders; lower layers highest.
"""

from typing import Any

from configs.table1 import TINY
from xl_jax.errors import InputError, unknown
from xl_jax.studies.study import Study

PACK = ".data/pack_shared"
SIZES: dict[str, Any] = {
    "small_cpu": ("configs/bilingual_cpu.py", 8000, (0, 1)),
    "small": ("configs/small.py", 8000, (0, 1, 2)),
    "paper": ("configs/paper.py", 80_000, (0,)),
}


def get_study(argument: str = "small_cpu") -> Study:
    size, _, pairs = argument.partition(",")
    if size == "tiny":
        return tiny(pairs)
    if size not in SIZES:
        raise unknown("size of monolingual.py", size, ["tiny", *SIZES])
    config, vocabulary, seeds = SIZES[size]
    chosen = {x: x.replace("-", ",") for x in (pairs or "en-fr").split("+")}
    own = ["--config.vocab.mode=local", f"--config.vocab.size={vocabulary // 2}"]
    return Study(
        title=f"Independent encoders and bilingual ones, {size}",
        config=f"{config}:{next(iter(chosen.values()))}",
        pairs={pair: [f"--config={config}:{languages}"] for pair, languages in chosen.items()},
        rows={
            "monolingual": [*own, "--config.sharing=all_private", "--config.masking.pool=own"],
            "bilingual": [],
            "bilingual_sep_emb": [*own, "--config.sharing=sep_emb", "--config.masking.pool=own"],
        },
        seeds=seeds,
        reference="bilingual",
        evaluations=evaluations("data" if size != "small_cpu" else PACK),
    )


def tiny(folder: str) -> Study:
    """English and its twin."""
    if not folder:
        raise InputError("monolingual.py:tiny,FOLDER: which folder has sentences and words?")
    rows = {
        "monolingual": "all_private_different",
        "bilingual": "no_anchors",
        "bilingual_sep_tokens": "sep_tokens_different",
    }
    return Study(
        title="Independent encoders of English and its twin, and bilingual ones",
        config="configs/tiny.py",
        rows={
            row: ["--config.model.layers=4", "--config.steps=8000", *TINY[of_table1][0]]
            for row, of_table1 in rows.items()
        },
        seeds=(0, 1, 2),
        reference="bilingual",
        evaluations={
            "sentences": [
                "--task=retrieval,cka",
                f"--data.map={folder}/sentences.txt,{folder}/sentences.txt",
            ],
            "words": [
                "--task=induction",
                f"--data.map_dictionary={folder}/words.train.txt",
                f"--data.dictionary={folder}/words.test.txt",
                "--probe.text=20000",
            ],
        },
    )


def evaluations(data: str) -> dict[str, list[str]]:
    words = f"{data}/dict/{{source}}-{{target}}"
    tatoeba = f"{data}/tatoeba/tatoeba.{{target}}-{{source}}"
    parallel = f"--data.map={data}/parallel/libreoffice.en-fr-ru-zh.tsv"
    return {
        "words": [
            "--task=induction",
            f"--data.map_dictionary={words}.0-5000.txt",
            f"--data.dictionary={words}.5000-6500.txt",
            "--probe.text=100000",
        ],
        "sentences": [
            "--task=retrieval,cka",
            parallel,
            f"--data.pairs={tatoeba}.{{source}},{tatoeba}.{{target}}",
        ],
        "ner_mapped": [
            "--task=ner",
            "--tune=configs/finetune_small.py",
            "--tune.seeds=0",
            parallel,
        ],
    }
