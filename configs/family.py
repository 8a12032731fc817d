"""Families of languages: what all share, what a family shares, what is a language's own.

    python tools/run_study.py --config=configs/family.py           English and its twins
    python tools/run_study.py --config=configs/family.py:twins,ud/en_ewt-ud-{split}.conllu
    python tools/run_study.py --config=configs/family.py:real      English, French, Russian, Chinese

English and its twins in two families: one has English's word order, the other the inverted one. A
fifth of the pieces of a twin are English's. Sentences of another order are not found by a model
this small (docs/studies/anchors_order.md), those of the same order are. With a treebank of English
also the transfer of tags to every twin, by a linear classifier.

Rows: 4, 8, 16 languages in one model of the same width, with as many steps for a language as the
main job has (the curse of multilinguality of Conneau et al. 2020, XLM-R, is what languages lose by
others at fixed width); and four languages by mask: a tree (embeddings a language's own, layer 1 a
family's, the rest shared), a model a family, nothing shared. `real` has the masks, with English and
French as one family, Russian and Chinese by themselves, and transfers English's tags.

Expected: no published figure; ours, one seed: docs/studies/family.md. Cost: 2,000 steps of the main
job a language; 20 to 30 minutes of a core a run of `real`.
"""

from typing import Any

from configs.table1 import probe
from xl_jax.errors import unknown
from xl_jax.model.language_tree import Tree, languages, tree_rules
from xl_jax.studies.study import Study

OWN_EMBEDDINGS = {"embed/.*": "own", "mlm/bias": "own"}
PACK = ".data/pack_shared"


REAL = {"western": ("en", "fr"), "slavic": ("ru",), "chinese": ("zh",)}


def twins(number: int) -> dict[str, tuple[str, ...]]:
    """`number` languages in two families, English in the first."""
    half = number // 2
    kept = ("en", *(f"keep_{i}" for i in range(1, half)))
    return {"keep": kept, "invert": tuple(f"invert_{i}" for i in range(1, half + 1))}


def flags_of_twins(number: int) -> list[str]:
    names = languages(twins(number))
    orders = {name: name.partition("_")[0] for name in names if name != "en"}
    return [
        f"--config.languages={','.join(names)}",
        "--config.corpora={'en': 'docstrings:'}",
        *(f"--config.corpora.{x}=twin:en#order={o},shift=0.8" for x, o in orders.items()),
        f"--config.steps={2000 * number}",
    ]


def masks(tree: Tree) -> dict[str, Any]:
    return {
        "shared": "all_shared",
        "tree": tree_rules(tree, {"embed/.*": "own", "mlm/bias": "own", "layer_1/.*": 1, ".*": 0}),
        "families_apart": tree_rules(tree, {".*": 1}),
        "private": "all_private",
    }


def get_study(argument: str = "twins") -> Study:
    size, _, treebank = argument.partition(",")
    if size == "real":
        pairs = "pud_parallel/pud.{source}", "pud_parallel/pud.{target}"
        ud = f"{PACK}/ud"
        return Study(
            title="English and French, Russian, Chinese",
            config=f"configs/bilingual_cpu.py:{','.join(languages(REAL))}",
            rows={row: [f"--config.sharing={rules}"] for row, rules in masks(REAL).items()},
            seeds=(0, 1),
            evaluations={
                "pairs": [
                    "--task=retrieval,cka",
                    "--source=all",
                    f"--data.pairs={','.join(f'{PACK}/{x}' for x in pairs)}",
                ],
                **probe(
                    f"{ud}/en_ewt-ud-{{split}}.conllu", f"{ud}/{{language}}_pud-ud-test.conllu"
                ),
            },
            reference="shared",
        )
    if size != "twins":
        raise unknown("size of family.py", size, ("twins", "real"))
    rows = {
        f"4_{row}": [*flags_of_twins(4), f"--config.sharing={rules}"]
        for row, rules in masks(twins(4)).items()
    }
    rows |= {f"{n}_shared": [*flags_of_twins(n), "--config.sharing=all_shared"] for n in (8, 16)}
    return Study(
        title="Families of languages",
        config="configs/tiny.py",
        rows=rows,
        seeds=(0, 1, 2),
        evaluations={
            "inverted": ["--task=retrieval,translation", "--source=invert_1", "--target=invert_2"],
            **probe(treebank),
        },
        reference="4_shared",
    )
