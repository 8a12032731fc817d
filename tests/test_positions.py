"""Rotary positions and none: the definition in NumPy, and masks without a leaf of positions."""

import dataclasses

import numpy as np
import pytest
import toy
from test_encoder import REAL, TOKENS, B, T, encoder, numpy_states

from xl_jax.config import Model
from xl_jax.errors import InputError
from xl_jax.interchange import formats
from xl_jax.model import start_from
from xl_jax.model.shared_model import SharedModel


def turned(x_TxK: np.ndarray, base: float) -> np.ndarray:
    """RoFormer's definition: pairs as complex numbers, times e^(i t theta)."""
    half = x_TxK.shape[1] // 2
    theta = base ** (-np.arange(half) / half)
    z = (x_TxK[:, :half] + 1j * x_TxK[:, half:]) * np.exp(1j * np.outer(range(len(x_TxK)), theta))
    return np.concatenate([z.real, z.imag], axis=1)


@pytest.mark.parametrize(("norm", "base"), [("post", 10_000.0), ("pre", 50.0)])
def test_rope_turns_queries_and_keys(norm: str, base: float) -> None:
    _, params, states = encoder(norm=norm, position_encoding="rope", rope_base=base)
    assert "position" not in params["embed"]
    expected = numpy_states(params, TOKENS, REAL, norm, lambda x, layer: turned(x, base))
    np.testing.assert_allclose(states, expected, rtol=1e-5, atol=1e-5)
    unturned = numpy_states(params, TOKENS, REAL, norm)
    assert np.abs(expected - unturned)[1:, 0].max() > 0.01


def test_without_positions_the_order_of_tokens_does_not_count() -> None:
    _, params, states = encoder(position_encoding="none")
    assert "position" not in params["embed"]
    np.testing.assert_allclose(
        states, numpy_states(params, TOKENS, REAL, "post"), rtol=1e-5, atol=1e-5
    )
    order = [3, 1, 6, 0, 2, 5, 4]
    _, _, moved = encoder(TOKENS[:, order], REAL[:, order], position_encoding="none")
    np.testing.assert_allclose(moved, states[:, :, order], rtol=1e-5, atol=1e-5)


def test_rope_sees_distances_alone() -> None:
    """What comes before a text, and is masked, moves no state of it."""
    real = np.ones((B, T), bool)
    _, _, states = encoder(TOKENS[:, :4], real[:, :4], position_encoding="rope")
    late = np.roll(TOKENS, 3, axis=1)
    _, _, moved = encoder(late, real & (np.arange(T) > 2), position_encoding="rope")
    np.testing.assert_allclose(moved[:, :, 3:], states, rtol=1e-4, atol=1e-5)
    _, _, learned = encoder(late, real & (np.arange(T) > 2))
    assert np.abs(learned[:, :, 3:] - encoder(TOKENS[:, :4], real[:, :4])[2]).max() > 0.1


def without(encoding: str, norm: str = "pre", **fields: object) -> SharedModel:
    model = dataclasses.replace(toy.config().model, position_encoding=encoding, norm=norm)
    return toy.model(toy.config(model=model, **fields))


@pytest.mark.parametrize("encoding", ["rope", "none"])
def test_presets_separate_what_there_is(encoding: str) -> None:
    def of(sharing: str, norm: str = "pre") -> dict:
        mask = without(encoding, norm, sharing=sharing).mask
        return {"embed": mask["embed"], "mlm": mask["mlm"]}

    assert of("sep_emb") == {"embed": {"token": (0, 1)}, "mlm": {"bias": (0, 1)}}
    assert of("sep_emb") == of("sep_tokens") == of("sep_emb_positions") == of("all_private")
    assert of("sep_l1") == of("all_shared") == {"embed": {"token": (0, 0)}, "mlm": {"bias": (0, 0)}}
    assert of("sep_emb", "post")["embed"]["norm"] == {"bias": (0, 1), "scale": (0, 1)}


@pytest.mark.parametrize(
    ("field", "given", "rule"),
    [
        ("sharing", "sep_positions", "embed/position"),
        ("sharing", "sep_tokens_positions_l1", "embed/position"),
        ("sharing", (("embed/pos.*", "private"), (".*", "shared")), "embed/pos.*"),
        ("private_init", (("embed/position", "equal"), (".*", 0.5)), "embed/position"),
        ("start_rules", (("embed/position", "new"), (".*", "start")), "embed/position"),
        ("freeze", (("embed/position", "frozen"), (".*", "trained")), "embed/position"),
    ],
)
def test_rules_about_learned_positions_need_them(field: str, given: object, rule: str) -> None:
    toy.model(toy.config(**{field: given}))
    with pytest.raises(InputError) as error:
        checked(without("rope", **{field: given}))
    assert str(error.value) == (
        f"{field}: rule {rule!r} matches no parameter: model.position_encoding = 'rope' has no "
        "learned positions"
    )


def checked(model: SharedModel) -> None:
    """Every field of rules, as a command resolves them before it starts."""
    _ = model.mask, model.init_degrees, model.start_values, model.frozen


def test_an_odd_head_cannot_turn() -> None:
    with pytest.raises(InputError, match=r"'rope' turns pairs: model.width / model.heads = 9 / 3"):
        Model(width=9, heads=3, position_encoding="rope")


def test_no_format_of_transformers_holds_it_and_it_starts_from_its_own_kind() -> None:
    with pytest.raises(InputError, match="bert: its positions are learned, the model's are 'rope'"):
        formats.choose(without("rope").config.model)
    with pytest.raises(InputError, match="model.position_encoding: 'learned' -> 'none'"):
        start_from.plan(without("none"), toy.model(toy.config()))
