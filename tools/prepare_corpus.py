"""Prepare the text of a run: vocabulary, token shards and a report of what became of the text.

    python tools/prepare_corpus.py --corpus='en=files:en/*.txt' --corpus='fr=files:fr/*.txt' \\
      --vocab=joint --size=8000 --out=data/en-fr
    python tools/prepare_corpus.py --config=configs/bilingual_cpu.py:en,fr --out=data/en-fr
    python tools/prepare_corpus.py ... --dry_run       reads a sample: how much, how long, how large
    python tools/prepare_corpus.py ... --config.clean.duplicates=true --config.data.test=0.01
    python tools/prepare_corpus.py ... --verify        reads all files, makes damaged ones again

`train.py --config.data.dir=OUT` with the same corpora, vocab, clean, anchors and data finds the
tokens there. The same command again goes on where it was stopped, and shows the report of finished
work. Flags of an Apache Beam runner: --beam='--runner=FlinkRunner --flink_master=HOST:8081'.
"""

if __name__ == "__main__":
    from xl_jax import stopping

    stopping.listen()  # before the imports below

import shlex
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import config_dict

from xl_jax import cli, config_flags
from xl_jax.config import Config, to_config_dict
from xl_jax.config_flags import CONFIG
from xl_jax.errors import InputError

FLAGS = flags.FLAGS


def define_flags() -> None:
    """Not at import: this file is also the --config that is read where none is given."""
    text = "LANGUAGE=SPEC, once a language; instead of those of --config."
    flags.DEFINE_multi_string("corpus", [], text)
    flags.DEFINE_string("vocab", None, "The same as --config.vocab.mode.")
    flags.DEFINE_integer("size", None, "The same as --config.vocab.size.")
    cli.define_folder("out", "Folder (default: --config.data.dir).")
    flags.DEFINE_bool("dry_run", False, "Read a sample and tell what the work will take.")
    flags.DEFINE_bool("verify", False, "Compare every file of finished work with its digest.")
    flags.DEFINE_integer("processes", 0, "Processes (default: one a core).", 0)
    flags.DEFINE_string("beam", None, "Run as Apache Beam pipelines with these flags of its.")


def get_config() -> config_dict.ConfigDict:
    """What --config.FIELD overrides if no --config is given; --corpus names the languages."""
    return to_config_dict(Config(languages=("en",), corpora={"en": "docstrings:"}))


def main() -> None:
    config = asked()
    out = FLAGS.out or config.data.dir
    if not out and not FLAGS.dry_run:
        raise InputError("where to? name a folder with --out")
    if out:
        cli.check_folder("out", Path(out))
    from xl_jax.prepare import estimate
    from xl_jax.prepare.beam import Beam
    from xl_jax.prepare.pipeline import prepare
    from xl_jax.prepare.request import folder_of
    from xl_jax.prepare.workers import Processes

    if FLAGS.dry_run:
        print(estimate.text(estimate.estimate(config, FLAGS.processes)))
        return
    if config.start:
        from xl_jax.runs.run_directory import keep_start

        keep_start(config, Path(out))
    if folder_of(config, Path(out)).exists():
        print(f"{folder_of(config, Path(out))} is there already")
    with Processes(FLAGS.processes) as processes:
        run = Beam(shlex.split(FLAGS.beam)) if FLAGS.beam is not None else processes
        data = prepare(config, Path(out), run=run, verify=FLAGS.verify)
    print((data.folder / "report.txt").read_text())
    print(f"prepared: {data.folder}; for training add --config.data.dir={out}")


def asked() -> Config:
    """The config of the flags.

    Raises:
      InputError: no corpus, one that is not LANGUAGE=SPEC, or what `Config` refuses.
    """
    values: Any = CONFIG.values
    with values.unlocked():
        if FLAGS.corpus:
            corpora: dict[str, str] = {}
            for given in FLAGS.corpus:
                language, _, spec = given.partition("=")
                if not (language and spec) or language in corpora:
                    raise InputError(f"--corpus={given}: not LANGUAGE=SPEC, once a language")
                corpora[language] = spec
            values.corpora = config_dict.ConfigDict(corpora)
            values.languages = tuple(corpora)
        elif CONFIG.given is None:
            raise InputError("which text? name it with --corpus LANGUAGE=SPEC or --config=FILE")
    if FLAGS.vocab is not None:
        values.vocab.mode = FLAGS.vocab
    if FLAGS.size is not None:
        values.vocab.size = FLAGS.size
    return config_flags.config()


if __name__ == "__main__":
    define_flags()
    CONFIG.default = lambda: __file__
    cli.run(main, __doc__, config_flags.parse)
