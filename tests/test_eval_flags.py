"""Flags of eval.py that do not go together are refused, and those that do are read."""

import pytest
from absl import flags

from xl_jax import cli
from xl_jax.config import EvalOptions
from xl_jax.errors import InputError
from xl_jax.evaluate.flags import EvalFlags
from xl_jax.json_files import fingerprint


def given(*argv: str) -> EvalFlags:
    values = flags.FlagValues()
    made = EvalFlags(values)
    cli.parse(["eval.py", *argv], values)
    made.check()
    return made


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("--task=ner", "--steps=all"), "--task=ner --steps=all: .* the newest checkpoint alone"),
        (("--task=parsing", "--again"), "--task=parsing --again: .*remove its folder in eval/pars"),
        (("--task=nli", "--other=runs/x"), "--task=nli --other: learn a map with --data.map"),
        (("--task=ner,linear_probe",), "--task=ner,linear_probe: .* go one at a time"),
        (("--steps=all", "--other=runs/x"), "--steps=all reads one run: leave out --other"),
        (("--taks=ner",), "unknown flag 'taks': did you mean 'task'"),
    ],
)
def test_what_does_not_go_together(argv: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        given(*argv)


def test_requests_of_earlier_versions_keep_their_digest() -> None:
    assert fingerprint(EvalOptions().request) == "b9e654b0"
    assert fingerprint(EvalOptions(pairs="a,b", layers=(0, 2)).request) == "a0a8a3be"
    assert EvalOptions(special_tokens=True).request["special_tokens"] is True


def test_what_does() -> None:
    assert given("--task=linear_probe", "--steps=all", "--again").of_labels == "linear_probe"
    assert given("--task=cka,retrieval", "--steps=all", "--again").of_labels == ""
    assert given("--task=ner", "--other=runs/x", "--data.map=a,b").of_labels == "ner"
    found = given(
        "--probe.layers=0,2", "--data.pairs=a,b", "--noprobe.centred", "--probe.special_tokens"
    )
    assert found.options(EvalOptions(kernel="rbf")) == EvalOptions(
        kernel="rbf", layers=(0, 2), pairs="a,b", centred=False, special_tokens=True
    )
