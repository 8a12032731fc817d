"""Three languages: which pairs align when two of them share more than the third?

    python tools/run_study.py --config=configs/three_way.py              English and two twins
    python tools/run_study.py --config=configs/three_way.py:small_cpu    English, French, Russian

Rows: all shared; the third language on its own; the third with its own embeddings; a chain, in
which the first two share the embeddings and the lower half, the last two the upper half, so that
the first and the third meet only through the second; nothing shared. Every pair is measured by one
command (eval.py --source=all), and shown as a matrix.

Cost: about 5 minutes of a core a run of the twins; small_cpu has not been run: --dry_run .
Expected: no published figure; ours, three seeds: docs/studies/three_way.md.
"""

from typing import Any

from xl_jax.errors import unknown
from xl_jax.studies.study import Study

PACK = ".data/pack_shared"
SIZES: dict[str, Any] = {
    "tiny": (
        "configs/tiny.py",
        ("en", "twin", "third"),
        [
            "--config.languages=en,twin,third",
            "--config.corpora.third=twin:en",
            "--config.batch.slots=3",
            "--config.steps=6000",
        ],
        3,
        {"pairs": ["--task=retrieval,translation,cka", "--source=all"]},
    ),
    "small_cpu": (
        "configs/bilingual_cpu.py:en,fr,ru",
        ("en", "fr", "ru"),
        ["--config.batch.slots=3", "--config.vocab.mode=disjoint", "--config.vocab.size=4000"],
        4,
        {
            "pairs": [
                "--task=retrieval,cka",
                "--source=all",
                f"--data.pairs={PACK}/pud_parallel/pud.{{source}},"
                f"{PACK}/pud_parallel/pud.{{target}}",
            ],
        },
    ),
}


def get_study(size: str = "tiny") -> Study:
    if size not in SIZES:
        raise unknown("size of three_way.py", size, SIZES)
    config, (first, second, third), flags, layers, evaluations = SIZES[size]
    together, apart = ((first, second), (third,)), ((first,), (second, third))
    bottom = ("embed/.*", "mlm/bias", *(f"layer_{i}/.*" for i in range(1, layers // 2 + 1)))
    chain = (*((pattern, together) for pattern in bottom), (".*", apart))
    own_embeddings = (("embed/.*", together), ("mlm/bias", together), (".*", "shared"))
    rows: dict[str, Any] = {
        "all_shared": "all_shared",
        "third_apart": ((".*", together),),
        "third_sep_emb": own_embeddings,
        "chain": chain,
        "all_private": "all_private",
    }
    return Study(
        title=f"Three languages, {size}",
        config=config,
        rows={row: [*flags, f"--config.sharing={rules}"] for row, rules in rows.items()},
        seeds=(0, 1, 2),
        evaluations=evaluations,
    )
