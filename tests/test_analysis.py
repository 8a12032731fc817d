"""Retrieval, CKA and features on spaces whose answers are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toy

from xl_jax import sharing
from xl_jax.analysis.features import make_means
from xl_jax.analysis.retrieval import precision_at_1
from xl_jax.analysis.similarity import linear_cka, shuffled_cka
from xl_jax.data.shards import of_lines
from xl_jax.data.special import BOS, EOS, N_SPECIAL, UNK

RANDOM = np.random.default_rng(0)
SPACE = RANDOM.normal(size=(200, 12)).astype(np.float32)
EYE = np.eye(200, dtype=bool)


def test_identical_spaces_are_found_and_shuffled_ones_are_chance() -> None:
    assert precision_at_1(SPACE, SPACE, EYE) == (1.0, 1.0)
    forward, back = precision_at_1(SPACE, SPACE[RANDOM.permutation(200)], EYE)
    assert forward < 0.03 and back < 0.03


def test_both_directions_and_several_answers() -> None:
    source = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]], np.float32)
    target = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
    answers = np.array([[True, False], [True, False], [False, True]])
    assert precision_at_1(source, target, answers) == (1.0, 1.0)
    assert precision_at_1(source, target, ~answers) == (0.0, 0.0)
    only_second = np.array([[False, False], [True, False], [False, True]])
    assert precision_at_1(source, target, only_second) == (2 / 3, 0.5)


def test_a_constant_offset_is_taken_off_by_centring() -> None:
    offset = np.zeros(12, np.float32)
    offset[0] = 100.0
    assert min(precision_at_1(SPACE, SPACE + offset[None], EYE)) < 0.02
    assert precision_at_1(SPACE, SPACE + offset[None], EYE, centre=True) == (1.0, 1.0)


def test_equal_vectors_score_as_chance() -> None:
    same = np.ones((200, 12), np.float32)
    for centre in (False, True):
        found = precision_at_1(same, same, EYE, centre)
        assert found == pytest.approx((1 / 200, 1 / 200), abs=1e-9)


def test_cka_is_one_for_a_rotation_with_scale_and_offset() -> None:
    rotation = np.linalg.qr(RANDOM.normal(size=(12, 12)))[0]
    assert linear_cka(SPACE, 3 * SPACE @ rotation + 7) == pytest.approx(1, abs=1e-6)
    stretched = SPACE * np.array([30.0] + [1.0] * 11)
    assert linear_cka(SPACE, stretched) < 0.5  # not invariant to any invertible map


def test_cka_of_unrelated_spaces_with_a_common_offset_is_small() -> None:
    x = RANDOM.normal(size=(2000, 20)) + 10
    y = RANDOM.normal(size=(2000, 20)) + 10
    assert linear_cka(x, y) < 0.03
    assert abs(shuffled_cka(x, x, np.random.default_rng(1)) - linear_cka(x, y)) < 0.02


def test_cka_equals_the_definition_by_kernels() -> None:
    """HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)) with linear kernels (Kornblith et al. 2019)."""
    x, y = SPACE.astype(np.float64), RANDOM.normal(size=(200, 5)) + SPACE[:, :5]
    h = np.eye(200) - 1 / 200
    k, m = h @ x @ x.T @ h, h @ y @ y.T @ h
    expected = np.sum(k * m) / np.sqrt(np.sum(k * k) * np.sum(m * m))
    assert linear_cka(x, y) == pytest.approx(expected, abs=1e-9)


def test_features_are_means_without_special_tokens_whatever_the_batch() -> None:
    model = toy.model(toy.config())
    view = sharing.select(model.init(), model.mask, 0)
    lines = [RANDOM.integers(N_SPECIAL, toy.VOCAB, n).astype(np.int32) for n in (1, 5, 3, 10)]
    lines.append(np.array([7, UNK, 9], np.int32))
    lines.append(np.array([UNK], np.int32))
    together = make_means(model.module)(view, of_lines(lines * 30))  # several batches
    assert together.shape == (3, 180, 16)
    np.testing.assert_array_equal(together[:, :6], together[:, 174:])
    for i, line in enumerate(lines):
        row = jnp.asarray([[BOS, *line, EOS]], jnp.int32)
        states = model.module.apply({"params": view}, row, row > 0, method="states")
        kept = [place for place, token in enumerate([BOS, *line, EOS]) if token >= N_SPECIAL]
        expected = np.asarray(states)[:, 0, kept or [0, 1, 2]].mean(1)
        np.testing.assert_allclose(together[:, i], expected, atol=2e-6)


def test_layer_0_is_the_embeddings() -> None:
    model = toy.model(toy.config())
    view = jax.device_get(sharing.select(model.init(), model.mask, 0))
    means = make_means(model.module)(view, of_lines([np.array([9], np.int32)]))
    x = view["embed"]["token"][9] + view["embed"]["position"][1]
    np.testing.assert_allclose(means[0, 0], (x - x.mean()) / x.std(), atol=1e-5)
