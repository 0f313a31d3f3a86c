"""Targets of partly annotated images: completed by the network's own probabilities."""

import numpy as np
import pytest

from xray_seg._util.tensorflow import tensorflow
from xray_seg.data.annotation import FULL, Annotation
from xray_seg.labels import ORGANS
from xray_seg.models.losses import complete, soft_dice_cross_entropy
from xray_seg.training.compiled import loss_function
from xray_seg.training.config import TrainingConfig
from xray_seg.training.scores import accuracy, overlap
from xray_seg.training.targets import class_shares, pack_targets

LUNGS_ONLY = Annotation(("lungs",), ("clavicles",))
WITH_HEART = Annotation(("lungs",), ("clavicles", "heart"))
NOTHING = Annotation(())


def random_probabilities(random, count=2, side=4):
    scores = random.random((count, side, side, 4)).astype(np.float32) + 0.05
    return scores / scores.sum(-1, keepdims=True)


def labels_to_shares(labels):
    return np.eye(4, dtype=np.float32)[labels]


def test_the_classes_that_a_label_can_mean():
    # Rows: background, clavicles, heart, lungs.
    assert FULL.possible.astype(int).tolist() == np.eye(4).astype(int).tolist()
    lungs = LUNGS_ONLY.possible.astype(int).tolist()
    assert lungs == [[1, 1, 1, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 1, 0, 1]]
    assert WITH_HEART.possible[3].tolist() == [False, True, True, True]
    assert NOTHING.possible[0].all()
    heart_known = Annotation(("lungs", "heart"), ("clavicles",)).possible
    assert heart_known[3].tolist() == [False, True, False, True]  # its own mask tells it
    with pytest.raises(ValueError, match="take heart out of organs"):
        Annotation(("lungs", "heart"), ("clavicles", "heart"))


@pytest.mark.parametrize("names", [("kidney",), ("lungs", "spine")])
def test_a_name_that_is_no_organ_is_refused(names):
    with pytest.raises(ValueError, match="use clavicles, heart, lungs"):
        Annotation(names)


def test_fully_known_shares_stay_as_they_are():
    random = np.random.default_rng(0)
    shares, probabilities = random_probabilities(random), random_probabilities(random)
    possible = np.stack([FULL.possible] * 2).astype(np.float32)
    np.testing.assert_allclose(complete(shares, possible, probabilities, np), shares, rtol=1e-5)


def test_a_label_is_divided_over_its_possible_classes_pixel_by_pixel():
    random = np.random.default_rng(1)
    annotations = [LUNGS_ONLY, WITH_HEART, NOTHING]
    labels = random.choice([0, 3], (3, 4, 4))
    labels[2] = 0
    probabilities = random_probabilities(random, 3)
    possible = np.stack([each.possible for each in annotations]).astype(np.float32)
    completed = complete(labels_to_shares(labels), possible, probabilities, np)
    for image, row, column in np.ndindex(labels.shape):
        allowed = annotations[image].possible[labels[image, row, column]]
        of_pixel = probabilities[image, row, column].astype(float)
        expected = np.where(allowed, of_pixel, 0) / of_pixel[allowed].sum()
        np.testing.assert_allclose(completed[image, row, column], expected, atol=1e-5)


def test_a_probability_of_zero_for_all_possible_classes_gives_no_nan():
    probabilities = np.zeros((1, 1, 1, 4), np.float32)
    probabilities[..., 0] = 1
    possible = LUNGS_ONLY.possible[None].astype(np.float32)
    completed = complete(labels_to_shares(np.full((1, 1, 1), 3)), possible, probabilities, np)
    np.testing.assert_allclose(completed[0, 0, 0], [0, 0.5, 0, 0.5])


def test_packed_targets_keep_what_labels_can_mean():
    random = np.random.default_rng(2)
    shares, probabilities = random_probabilities(random, 3), random_probabilities(random, 3)
    possible = np.stack([each.possible for each in (FULL, WITH_HEART, NOTHING)])
    packed = pack_targets(shares, possible)
    assert packed.shape == (3, 4, 4, 5)
    ops = tensorflow().keras.ops
    np.testing.assert_allclose(
        class_shares(ops.convert_to_tensor(packed), probabilities, ops),
        complete(shares, possible.astype(np.float32), probabilities, np),
        rtol=1e-5,
    )
    assert pack_targets(shares, None) is shares
    assert class_shares(shares, probabilities, ops) is shares


def test_the_gradient_is_that_of_the_marginal_cross_entropy():
    tf = tensorflow()
    random = np.random.default_rng(3)
    labels = random.choice([0, 3], (2, 4, 4))
    possible = np.stack([LUNGS_ONLY.possible, WITH_HEART.possible])
    scores = tf.Variable(random.normal(size=(2, 4, 4, 4)).astype(np.float32))
    truth = labels_to_shares(labels)
    with tf.GradientTape(persistent=True) as tape:
        probabilities = tf.nn.softmax(scores)
        of_label = tf.einsum("blc,bhwc->bhwl", possible.astype(np.float32), probabilities)
        marginal = tf.reduce_mean(-tf.reduce_sum(truth * tf.math.log(of_label), -1))
        ops = tf.keras.ops
        shares = ops.stop_gradient(class_shares(pack_targets(truth, possible), probabilities, ops))
        ours = tf.reduce_mean(-tf.reduce_sum(shares * tf.math.log(probabilities), -1))
    expected, found = tape.gradient(marginal, scores), tape.gradient(ours, scores)
    assert float(tf.reduce_max(tf.abs(expected))) > 1e-3
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_loss_of_fully_known_images_does_not_depend_on_the_form_of_their_targets():
    random = np.random.default_rng(4)
    shares, probabilities = random_probabilities(random), random_probabilities(random)
    loss = loss_function(TrainingConfig())
    packed = pack_targets(shares, np.stack([FULL.possible] * 2))
    expected = soft_dice_cross_entropy(shares, probabilities, np)
    np.testing.assert_allclose(float(loss(packed, probabilities)), expected, rtol=1e-5)


def test_what_masks_do_not_know_has_no_gradient():
    """Outside lung masks, heart and background may be what the network takes them for."""
    tf = tensorflow()
    scores = np.random.default_rng(5).normal(size=(1, 4, 4, 4)).astype(np.float32)
    targets = pack_targets(
        labels_to_shares(np.zeros((1, 4, 4), int)), LUNGS_ONLY.possible[None]
    )  # all outside the lungs

    def gradient_of(lung_score):
        scores[..., 3] = lung_score
        variable = tf.Variable(scores)
        with tf.GradientTape() as tape:
            loss = loss_function(TrainingConfig())(targets, tf.nn.softmax(variable))
        return tape.gradient(loss, variable).numpy()

    assert abs(gradient_of(-20)).max() < 1e-6  # no lungs are seen: nothing to learn
    assert (gradient_of(2)[..., 3] > 1e-3).all()


def test_scores_count_every_class_that_a_label_can_mean():
    labels = np.array([[[3, 3, 0, 0]]])
    # Clavicle and heart within the lungs, heart and lung outside.
    predicted = 0.88 * labels_to_shares(np.array([[[1, 2, 2, 3]]]))
    predicted += np.float32([0.04, 0.02, 0.01, 0.05])
    targets = pack_targets(labels_to_shares(labels), LUNGS_ONLY.possible[None])
    metric = accuracy()
    metric.update_state(targets, predicted)
    # A clavicle within the lungs and a heart outside are possible, the others are wrong.
    assert float(metric.result()) == 0.5


def test_an_organ_is_scored_on_the_images_whose_masks_show_it():
    labels = np.array([[[3, 3, 2, 0]], [[3, 3, 2, 0]]])
    predicted = 0.88 * labels_to_shares(np.array([[[3, 0, 0, 2]], [[3, 3, 2, 0]]]))
    predicted += np.float32([0.05, 0.02, 0.01, 0.04])
    possible = np.stack([LUNGS_ONLY.possible, FULL.possible])
    targets = pack_targets(labels_to_shares(labels), possible)
    jaccards = {}
    for organ in ORGANS[1:]:
        metric = overlap(organ)
        metric.update_state(targets, predicted)
        jaccards[organ.name] = float(metric.result())
    # The heart of the first image is unknown, and so it is wrong neither here nor there.
    assert jaccards == pytest.approx({"heart": 1, "lungs": 3 / 4}, abs=1e-6)
