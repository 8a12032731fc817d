"""Encoders of `transformers` in, trained views out.

    python tools/convert_hf.py export --workdir=runs/x --language=fr --out=fr
    python tools/convert_hf.py export --workdir=runs/x --language=fr --out=fr.ner \\
      --head=runs/x/eval/ner/SETTING-DIGEST
    python tools/convert_hf.py import --model=en,fr,ru=bert-base-multilingual --out=runs/mbert
    python tools/convert_hf.py import --model=en=bert-en --model=fr=bert-fr --out=runs/two

Export: one language's view, as a folder that `AutoModelForMaskedLM` and `AutoTokenizer` open.
Import: safetensors, config.json and tokenizer of BERT, RoBERTa, XLM-R, XLM or MegatronBert become a
run directory for `eval.py`; --corpus=LANGUAGE=SPEC gives it text, for the tasks that need some.
Both need requirements-interchange.txt; see docs/interchange.md.
"""

if __name__ == "__main__":
    from xl_jax import stopping

    stopping.listen()  # before the imports below

if __name__ == "__main__":
    from tools import heap

    heap.gives_back()  # before they make threads

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from xl_jax import cli, mirror
from xl_jax.errors import InputError, unknown

VERBS = ("import", "export")
OUT = cli.define_folder("out", "New folder: of the model, or the run directory.")
WORKDIR = cli.define_folder("workdir", "Export: the run directory, gs://... too.", bucket=True)
LANGUAGE = flags.DEFINE_string("language", None, "Export: whose view.")
FORMAT = flags.DEFINE_string(
    "format", "", "Export: xlm, bert, roberta or megatron-bert (default: the first that fits)."
)
HEAD = flags.DEFINE_string("head", None, "Export: folder of a finished setting of nli or ner.")
MODEL = flags.DEFINE_multi_string(
    "model", [], "Import: LANGUAGE=FOLDER or LANGUAGE,LANGUAGE=FOLDER."
)
CORPUS = flags.DEFINE_multi_string("corpus", [], "Import: LANGUAGE=SPEC, text of each language.")
PADDED = flags.DEFINE_bool("padded", False, "Import: take embedding rows that no piece has.")


def main() -> None:
    try:
        import tokenizers  # noqa: F401
    except ImportError as error:
        raise InputError("needs: pip install -r requirements-interchange.txt") from error
    export() if _verb(sys.argv) == "export" else import_()


def export() -> None:
    from tools.benchmarks.record import commit
    from xl_jax.interchange import task_head
    from xl_jax.interchange.export import export
    from xl_jax.runs.run_directory import load

    language = _needed("language")
    run = load(mirror.here(_needed("workdir")))
    head = task_head.load(run, Path(HEAD.value), language) if HEAD.value else None
    export(run, language, Path(_needed("out")), FORMAT.value or "", head, commit())


def import_() -> None:
    sources = [_pair("model", text) for text in MODEL.value]
    if not sources:
        raise InputError("import: give --model=LANGUAGE=FOLDER")
    folders = {tuple(names.split(",")): Path(folder) for names, folder in sources}
    specs = [_pair("corpus", text) for text in CORPUS.value]
    _named_once("model", [name for names, _ in sources for name in names.split(",")])
    _named_once("corpus", [name for name, _ in specs])
    from xl_jax.interchange.importing import import_run

    corpora = dict(specs)
    import_run(folders, Path(_needed("out")), corpora, bool(PADDED.value))


def _needed(name: str) -> str:
    value = flags.FLAGS[name].value
    if not value:
        raise InputError(f"give --{name}")
    return str(value)


def _pair(flag: str, text: str) -> tuple[str, str]:
    language, found, value = text.partition("=")
    if not (found and language and value):
        raise InputError(f"--{flag}={text}: not LANGUAGE={'FOLDER' if flag == 'model' else 'SPEC'}")
    return language, value


def _named_once(flag: str, names: Sequence[str]) -> None:
    """Raises InputError: a language is named twice, of which the last would be taken."""
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"--{flag} names {name} twice")


def _verb(argv: Sequence[str]) -> str:
    verb = argv[1] if len(argv) > 1 else ""
    if verb not in VERBS:
        raise unknown("verb", verb, VERBS)
    return verb


def parse(argv: Sequence[str]) -> list[str]:
    """The flags behind the verb."""
    _verb(argv)
    return cli.parse([argv[0], *argv[2:]])


if __name__ == "__main__":
    cli.run(main, __doc__, parse)
