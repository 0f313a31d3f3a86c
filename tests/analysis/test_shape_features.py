"""Shape features and their statistics, against pixels that are counted one organ at a time."""

import json
import math

import numpy as np
import pytest

from xray_seg.analysis.anatomy import ANATOMY_FILE, FARTHEST, load_anatomy, shape_statistics
from xray_seg.analysis.features import extract_features
from xray_seg.analysis.shape_features import SHAPE_FEATURES, shape_features
from xray_seg.data.phantom import make_phantom, phantom_labels
from xray_seg.labels import RIGHT_LEFT_LABELS
from xray_seg.postprocessing.laterality import find_sides, split_sides
from xray_seg.postprocessing.prediction import GridPrediction
from xray_seg.radiograph import Radiograph


def chest():
    """No two lengths, areas or places are equal, and rows and columns differ."""
    labels = np.zeros((120, 170), np.uint8)
    labels[20:90, 20:70] = 3
    labels[26:100, 95:140] = 3
    labels[60:95, 65:105] = 2
    labels[10:15, 30:80] = 1
    labels[12:18, 92:130] = 1
    return labels


def slow_features(labels):
    sided = split_sides(labels)
    masks = {part.name: sided == part.label for part in RIGHT_LEFT_LABELS.structures}

    def box(mask):
        rows, columns = np.nonzero(mask.any(axis=1))[0], np.nonzero(mask.any(axis=0))[0]
        return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1

    def size(mask):
        x0, y0, x1, y1 = box(mask)
        return x1 - x0, y1 - y0

    def centre(mask):
        places = np.argwhere(mask) + 0.5
        return places[:, 1].mean(), places[:, 0].mean()

    right, left, heart = masks["right lung"], masks["left lung"], masks["heart"]
    one, other = masks["right clavicle"], masks["left clavicle"]
    lungs, clavicles = right | left, one | other
    x0, y0, _, _ = box(lungs)
    wide, tall = size(lungs)

    def inside(mask):
        x, y = centre(mask)
        return (x - x0) / wide, (y - y0) / tall

    area = lungs.sum()
    heart_wide, heart_tall = size(heart)
    return {
        "lungs_share": math.log(area / labels.size),
        "lungs_aspect": math.log(tall / wide),
        "lungs_fill": area / (tall * wide),
        "lungs_right_to_left": math.log(right.sum() / left.sum()),
        "right_lung_x": inside(right)[0],
        "left_lung_x": inside(left)[0],
        "lungs_level": (centre(right)[1] - centre(left)[1]) / tall,
        "heart_area": math.log(heart.sum() / area),
        "heart_x": inside(heart)[0],
        "heart_y": inside(heart)[1],
        "heart_aspect": math.log(heart_tall / heart_wide),
        "heart_fill": heart.sum() / (heart_tall * heart_wide),
        "clavicles_area": math.log(clavicles.sum() / area),
        "clavicles_x": inside(clavicles)[0],
        "clavicles_y": inside(clavicles)[1],
        "clavicles_width": math.log(size(clavicles)[0] / wide),
        "clavicles_right_to_left": math.log(one.sum() / other.sum()),
    }


@pytest.mark.parametrize("labels", [chest(), phantom_labels(make_phantom(5, 200))[:190]])
def test_features_are_those_of_the_pixels(labels):
    found = dict(zip(SHAPE_FEATURES, shape_features(find_sides(labels)), strict=True))
    expected = slow_features(labels)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-9), name


@pytest.mark.parametrize(("label", "prefix"), [(1, "clavicles"), (2, "heart")])
def test_features_of_a_missing_organ_are_unknown_and_the_others_stay(label, prefix):
    labels = chest()
    labels[labels == label] = 0
    expected = slow_features(chest())
    found = dict(zip(SHAPE_FEATURES, shape_features(find_sides(labels)), strict=True))
    for name, value in found.items():
        if name.startswith(prefix):
            assert np.isnan(value), name
        elif label == 1:  # a heart hides no lung that its removal would show
            assert value == pytest.approx(expected[name]), name
    labels[labels == 3] = 0
    assert np.isnan(shape_features(find_sides(labels))).all()


def test_the_distance_from_true_shapes_is_mahalanobis():
    anatomy = load_anatomy()
    stored = json.loads(ANATOMY_FILE.read_text("utf-8"))
    mean, scale = np.array(stored["shape_mean"]), np.array(stored["shape_scale"])
    random = np.random.default_rng(4)
    shape = mean + scale * random.normal(size=len(mean))
    covariance = np.array(stored["shape_correlation"]) * np.outer(scale, scale)
    chosen = random.random(len(mean)) < 0.5
    unknown = shape.copy()
    unknown[np.flatnonzero(chosen)[0]] = np.nan
    for each, given in ((shape, None), (shape, chosen), (unknown, chosen), (unknown, None)):
        used = ~np.isnan(each) & (True if given is None else given)
        off = (each - mean)[used]
        square = off @ np.linalg.inv(covariance[np.ix_(used, used)]) @ off
        expected = np.sqrt(square / used.sum())
        assert anatomy.shape_distance(each, given) == pytest.approx(expected, rel=1e-5)
    assert anatomy.shape_distance(np.full(len(mean), np.nan)) == FARTHEST


def test_statistics_of_shapes_shrink_the_correlation_towards_none():
    shapes = np.random.default_rng(1).normal(size=(50, 3)) @ np.array(
        [[1, 0.9, 0], [0, 0.4, 0], [0, 0, 2]]
    )
    mean, scale, correlation = shape_statistics(shapes)
    np.testing.assert_allclose(mean, [each.mean() for each in shapes.T])
    np.testing.assert_allclose(scale, [each.std() for each in shapes.T])
    np.testing.assert_allclose(np.diag(correlation), 1)
    whole = np.corrcoef(shapes.T)[0, 1]
    assert 0.5 * whole < correlation[0, 1] < whole
    np.testing.assert_allclose(correlation, correlation.T)


def test_the_template_is_correlated_as_pearson_does_it():
    anatomy = load_anatomy()
    template = np.array(anatomy.template)
    thumbnail = np.random.default_rng(2).random(template.shape).astype(np.float32)
    thumbnail += 2 * template
    as_is, turned = anatomy.template_similarity(thumbnail)
    expected = [
        np.corrcoef(np.rot90(thumbnail, turns).ravel(), template.ravel())[0, 1]
        for turns in range(4)
    ]
    assert as_is == pytest.approx(expected[0], abs=1e-6)
    assert turned == pytest.approx(max(expected[1:]), abs=1e-6)
    assert anatomy.template_similarity(np.full_like(thumbnail, 0.3)) == (0, 0)


@pytest.mark.parametrize(
    ("place", "contact"),
    [
        (np.s_[0, 10:40], 30),
        (np.s_[-1, 10:35], 25),
        (np.s_[5:25, 0], 20),
        (np.s_[5:20, -1], 15),
        (np.s_[1, 10:40], 0),
    ],
)
def test_contact_is_with_one_border_as_a_share_of_the_longer_side(place, contact):
    labels = np.zeros((60, 80), np.uint8)
    labels[place] = 2
    features = extract_features(
        Radiograph(np.zeros((60, 80), np.uint8), False),
        labels,
        GridPrediction(np.eye(4, dtype=np.float32)[labels]),
    )
    assert features.border_contact == {"heart": contact / 80, "lungs": 0}


def test_confidence_is_of_the_probabilities_inside_the_mask():
    """An organ of 4 pixels with .8, .6, .9 and .7; elsewhere it has .05."""
    labels = np.zeros((8, 8), np.uint8)
    labels[2, 2:6] = 2
    probability = np.full((8, 8), 0.05)
    probability[2, 2:6] = 0.8, 0.6, 0.9, 0.7
    probabilities = np.zeros((8, 8, 4), np.float32)
    probabilities[..., 2] = probability
    probabilities[..., 0] = 1 - probability
    radiograph = Radiograph(np.zeros((8, 8), np.uint8), False)
    features = extract_features(radiograph, labels, GridPrediction(probabilities))
    dice, inside, spread = features.confidence["heart"]

    def logit(share):
        return math.log(share / (1 - share))

    assert dice == pytest.approx(logit(2 * 3 / (3 + 60 * 0.05 + 4)), rel=1e-5)
    assert inside == pytest.approx(logit(3 / 4), rel=1e-5)
    variance = (probability * (1 - probability)).sum()
    assert spread == pytest.approx(math.log(variance / (math.sqrt(4) + 1)), abs=2e-3)
