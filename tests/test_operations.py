"""Time by kind of operation, from a literal program and at a minute shape."""

import argparse

import pytest

from tools.benchmarks.operations import (
    ATTENTION,
    COPIES,
    KINDS,
    PRODUCTS,
    REST,
    UPDATE,
    by_kind,
    kinds_of,
    operations,
)
from tools.benchmarks.torch_step import Shape
from xl_jax.errors import InputError

PROGRAM = """
ENTRY %main (Arg_0: f32[4,8]) -> f32[4,8] {
  %loop = (s32[], f32[4,8]{1,0}) while(%tuple), condition=%c, body=%b
  %dot.1 = f32[4,8]{1,0} dot(%a, %b), lhs_contracting_dims={1}, metadata={op_name="f/jvp(M)/x"}
  %dot.2 = f32[2,4,8]{2,1,0} dot(%a, %b), lhs_batch_dims={0}, lhs_contracting_dims={2}
  %copy.7 = f32[4,8]{0,1} copy(%dot.1)
  %transpose_copy_fusion = f32[8,4]{1,0} fusion(%a), metadata={op_name="f/transpose(jvp(M))/mlm"}
  %add_fusion = f32[4,8]{1,0} fusion(%a, %b), metadata={op_name="f/jvp(M)/layer_1/add"}
  ROOT %square_fusion = f32[4,8]{1,0} fusion(%a), metadata={op_name="f/square"}
}
"""


def test_instructions_of_a_program_have_kinds() -> None:
    assert kinds_of(PROGRAM) == {
        "dot.1": PRODUCTS,
        "dot.2": ATTENTION,
        "copy.7": COPIES,
        "transpose_copy_fusion": COPIES,
        "add_fusion": REST,
        "square_fusion": UPDATE,
    }


def test_times_of_one_kind_add_up() -> None:
    events = [("dot.1", 2.0), ("dot.1", 1.0), ("copy.7", 0.5), ("end: dot.1", 9.0), ("loop", 9.0)]
    found = by_kind(events, kinds_of(PROGRAM))
    assert found == dict.fromkeys(KINDS, 0.0) | {PRODUCTS: 3.0, COPIES: 0.5}


@pytest.mark.slow
def test_a_step_has_a_time_of_every_kind(capsys: pytest.CaptureFixture) -> None:
    shape = Shape(layers=1, width=8, heads=2, ffn=16, vocab=32, rows=4, length=16)
    records = operations(argparse.Namespace(steps=1, threads=1), shape)
    ours = {(x["metric"], x["kind"]): x["value"] for x in records if x["arm"] == "xl_jax"}
    assert all(ours["ms", kind] > 0 for kind in KINDS)
    assert sum(ours["share", kind] for kind in KINDS) == pytest.approx(1)
    assert capsys.readouterr().out.count("\n") == 1 + len(KINDS)


def test_more_than_one_core_is_refused() -> None:
    with pytest.raises(InputError, match="timed on one core: --threads=1, not 2"):
        operations(argparse.Namespace(steps=1, threads=2), Shape())
