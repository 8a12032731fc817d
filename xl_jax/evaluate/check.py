"""What can be known before training about the evaluation that follows it."""

from xl_jax.config import Config
from xl_jax.errors import InputError
from xl_jax.evaluate.context import between, language_pairs
from xl_jax.evaluate.pairs import gold_sentences, gold_words, read_pairs
from xl_jax.runs.run_directory import Run
from xl_jax.text import dictionaries
from xl_jax.text.text_files import read_lines

FRAME = 2  # tokens of a row that are no sentence's


def check_eval_options(config: Config) -> None:
    """Raises InputError: options `probe.*` of a run under which it could not be measured. Reads
    their files, and no other text."""
    o = config.probe
    pairs = language_pairs(config.languages, config.languages, o, one_run=True)
    last, room = config.model.layers, config.model.positions - FRAME
    for layer in o.layers:
        if layer > last:
            raise InputError(f"probe.layers: layer {layer}: the model has layers 0 to {last}")
    if o.length > room:
        raise InputError(
            f"probe.length = {o.length}: model.positions = {config.model.positions} leaves room "
            f"for {room} tokens of a sentence"
        )
    for source, target in pairs or [("", "")]:
        here = between(o, source, target)
        for name in ("dictionary", "map_dictionary"):
            if getattr(here, name):
                dictionaries.read(getattr(here, name))
        for name in ("candidates", "links"):
            if getattr(here, name):
                read_lines(getattr(here, name))
        for name in ("pairs", "map"):
            spec = getattr(here, name)
            if source and spec and not any(a and b for a, b in read_pairs(spec, source, target)):
                raise InputError(f"probe.{name}: sentence pairs {spec!r}: no pair")


def check_gold(run: Run) -> None:
    """Raises InputError: no known translation of the run's own text is left under its options."""
    o, languages = run.config.probe, run.config.languages
    for source, target in language_pairs(languages, languages, o, one_run=True):
        if not o.pairs:
            gold_sentences(run.data, source, target, o.sentences, o.length)
        if not o.dictionary:
            gold_words(run.data, source, target, o.words)
