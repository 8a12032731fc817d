"""What a command asks of fine-tuning, completed and checked against a run.

A request is a `Tuning` whose languages are named and whose test data are given by language.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from xl_jax.config.finetune import Tuning
from xl_jax.errors import InputError
from xl_jax.finetune.language_view import View
from xl_jax.finetune.twin_data import with_twins
from xl_jax.runs.run_directory import Run
from xl_jax.tasks import generated
from xl_jax.tasks.specs import SCHEMES


def resolved(run: Run, tuning: Tuning, given: Mapping[str, View]) -> Tuning:
    """`tuning` with its languages named, and a test spec for each language that is scored.

    Args:
      given: views of further target languages, by name.

    Raises:
      InputError: a language that the run does not have, a data spec that is missing.
    """
    languages = run.config.languages
    source = languages[run.language(tuning.source)] if tuning.source else languages[0]
    targets = tuning.targets or tuple(dict.fromkeys([*languages, *given]))
    for language in targets:
        if language not in given:
            run.language(language)
    scored = tuple(dict.fromkeys([source, *targets]))
    if isinstance(tuning.test, str):
        test = dict.fromkeys(scored, tuning.test) if tuning.test else {}
    else:  # a file of settings may name more languages than this run has
        test = {x: tuning.test[x] for x in scored if x in tuning.test}
    for name in ("train", "dev"):
        if not getattr(tuning, name):
            raise InputError(f"{tuning.task}: no {name} data: give --data.{name}=SPEC")
    test = {x: spec.replace("{language}", x) for x, spec in test.items()}
    of_run = {x: spec for x, spec in test.items() if x not in given}
    own = tuple(x for x in scored if x not in given)
    test |= with_twins(run.config.corpora, of_run, own)
    missing = [x for x in scored if x not in test and x != source]
    if missing or not test:
        first = (missing or [source])[0]
        raise InputError(f"{tuning.task}: no test data of {first}: give --data.test={first}=SPEC")
    return dataclasses.replace(
        tuning,
        source=source,
        targets=targets,
        train=tuning.train.replace("{language}", source),
        dev=tuning.dev.replace("{language}", source),
        test=test,
    )


def test_specs(run: Run, given: Sequence[str]) -> str | dict[str, str]:
    """`Tuning.test` out of the command line's LANGUAGE=SPEC values, or one SPEC for all languages.

    Raises:
      InputError: neither; or a language that the run does not have.
    """
    if len(given) == 1 and given[0].partition(":")[0] in (*SCHEMES, generated.SCHEME):
        return given[0]
    pairs = [value.partition("=") for value in given]
    for (language, found, _), value in zip(pairs, given, strict=True):
        if not found or ":" in language:
            raise InputError(f"--data.test={value}: not LANGUAGE=SPEC, nor one SPEC alone")
        run.language(language)
    named = {language: spec for language, _, spec in pairs}
    if len(named) < len(pairs):
        raise InputError(f"--data.test names a language twice: {', '.join(given)}")
    return named
