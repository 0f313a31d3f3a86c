"""Losses, compared with sums over single pixels."""

import math

import numpy as np
import pytest

from xray_seg._util import tensorflow
from xray_seg.models.losses import LOSSES, pixel_dice_cross_entropy, soft_dice_cross_entropy


@pytest.fixture(scope="module")
def keras_ops():
    return tensorflow.keras().ops


def random_shares(seed, shape=(2, 5, 3)):
    return np.random.default_rng(seed).dirichlet([0.4] * 4, shape).astype(np.float32)


def random_one_hot(seed, shape=(2, 5, 3)):
    return np.eye(4, dtype=np.float32)[np.random.default_rng(seed).integers(0, 4, shape)]


def slow_cross_entropy(truth, found):
    pixels = truth.reshape(-1, 4).tolist(), found.reshape(-1, 4).tolist()
    total = 0.0
    for true, own in zip(*pixels, strict=True):
        total -= sum(t * math.log(p) for t, p in zip(true, own, strict=True) if t)
    return total / len(pixels[0])


def slow_soft_dice(truth, found):
    """Mean over the three organs of 2 t p / (t^2 + p^2), sums over the batch, plus 1 on either."""
    scores = []
    for label in (1, 2, 3):
        pairs = list(
            zip(truth[..., label].ravel().tolist(), found[..., label].ravel().tolist(), strict=True)
        )
        overlap = sum(t * p for t, p in pairs)
        sizes = sum(t * t + p * p for t, p in pairs)
        scores.append((2 * overlap + 1) / (sizes + 1))
    return sum(scores) / 3


def slow_pixel_dice(truth, found):
    """Mean over the pixels of 2 t p / (t + p), sums over all classes, plus 1 on either."""
    scores = []
    pixels = truth.reshape(-1, 4).tolist(), found.reshape(-1, 4).tolist()
    for true, own in zip(*pixels, strict=True):
        overlap = sum(t * p for t, p in zip(true, own, strict=True))
        scores.append((2 * overlap + 1) / (sum(true) + sum(own) + 1))
    return sum(scores) / len(scores)


SLOW = {"soft-dice": slow_soft_dice, "pixel-dice": slow_pixel_dice}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("make_truth", [random_shares, random_one_hot])
def test_a_loss_is_its_formula_written_out(name, make_truth):
    truth, found = make_truth(1), 0.9 * random_shares(2) + 0.025
    expected = slow_cross_entropy(truth, found) + 1 - SLOW[name](truth, found)
    assert LOSSES[name](truth, found, np) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_keras_and_numpy_compute_the_same(name, keras_ops):
    truth, found = random_shares(3), random_shares(4)
    by_keras = float(LOSSES[name](truth, found, keras_ops))
    assert by_keras == pytest.approx(float(LOSSES[name](truth, found, np)), rel=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_a_perfect_prediction_has_no_loss(name):
    truth = random_one_hot(5)
    assert LOSSES[name](truth, truth, np) == pytest.approx(0, abs=1e-5)


def test_a_perfect_prediction_of_a_soft_target_has_the_entropy_of_the_target_as_loss():
    truth = random_shares(6)
    entropy = slow_cross_entropy(truth, np.maximum(truth, 1e-7))
    assert soft_dice_cross_entropy(truth, truth, np) == pytest.approx(entropy, rel=1e-4)


@pytest.mark.parametrize("name", LOSSES)
def test_the_loss_grows_with_the_distance_from_the_reference(name):
    truth, other = random_one_hot(7), random_one_hot(8)
    costs = [
        float(LOSSES[name](truth, (1 - share) * truth + share * other, np))
        for share in np.linspace(0, 0.99, 12)
    ]
    assert np.all(np.diff(costs) > 0)


def test_an_organ_absent_from_reference_and_prediction_adds_no_loss():
    truth = np.zeros((1, 4, 4, 4), np.float32)
    truth[..., 0] = 1
    assert soft_dice_cross_entropy(truth, truth, np) == pytest.approx(0, abs=1e-5)


def test_the_dice_of_an_organ_is_that_of_the_batch_and_not_of_each_image():
    """Image 1 has a heart of 9 pixels, none found; image 2 one of 1 pixel, found."""
    truth = np.zeros((2, 3, 3, 4), np.float32)
    truth[0, ..., 2] = 1
    truth[1, ..., 0] = 1
    truth[1, 0, 0] = [0, 0, 1, 0]
    found = truth.copy()
    found[0] = [1, 0, 0, 0]
    dice = 1 - (
        soft_dice_cross_entropy(truth, found, np)
        - np.mean(-np.sum(truth * np.log(found + 1e-7), axis=-1))
    )
    assert dice == pytest.approx((1 + (2 * 1 + 1) / (10 + 1 + 1) + 1) / 3, rel=1e-4)


def test_the_dice_of_the_study_is_at_least_one_third_per_pixel():
    """No overlap at all: (0 + 1) / (1 + 1 + 1)."""
    truth = np.zeros((1, 2, 2, 4), np.float32)
    truth[..., 0] = 1
    found = truth[..., ::-1]
    cross_entropy = -math.log(1e-7)
    cost = pixel_dice_cross_entropy(truth, found, np)
    assert cost == pytest.approx(cross_entropy + 2 / 3, rel=1e-5)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("strength", [1.0, 50.0, 1e4])
def test_loss_and_gradient_are_finite_for_confident_wrong_predictions(name, strength, keras_ops):
    tf = tensorflow.tensorflow()
    truth = random_one_hot(9)
    wrong = np.roll(truth, 1, axis=-1)
    logits = tf.Variable(strength * wrong)
    with tf.GradientTape() as tape:
        cost = LOSSES[name](tf.constant(truth), tf.nn.softmax(logits), keras_ops)
    gradient = tape.gradient(cost, logits).numpy()
    assert np.isfinite(float(cost))
    assert np.isfinite(gradient).all()
    assert float(cost) > 1


@pytest.mark.parametrize("name", LOSSES)
def test_a_step_against_the_gradient_lowers_the_loss(name, keras_ops):
    tf = tensorflow.tensorflow()
    truth, logits = random_shares(10), tf.Variable(np.zeros((2, 5, 3, 4), np.float32))
    with tf.GradientTape() as tape:
        before = LOSSES[name](tf.constant(truth), tf.nn.softmax(logits), keras_ops)
    logits.assign_sub(0.1 * tape.gradient(before, logits))
    assert LOSSES[name](tf.constant(truth), tf.nn.softmax(logits), keras_ops) < before
