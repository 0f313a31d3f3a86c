"""A second look at radiographs that are stored inverted, turned or framed."""

from dataclasses import replace

import numpy as np
import pytest

from xray_seg import Radiograph, Segmenter
from xray_seg.data.phantom import make_phantom
from xray_seg.labels import RIGHT_LEFT_LABELS
from xray_seg.preprocessing.corrections import ALL, NONE, OPTION, SECOND_LOOK, Corrections
from xray_seg.radiograph import Orientation

SHAPE = (300, 260)


@pytest.fixture(scope="module")
def segmenter():
    return Segmenter()


def chest(seed: int) -> np.ndarray:
    return np.ascontiguousarray(make_phantom(seed, 300).radiograph[:, 20:280], np.float32)


def changed(image: np.ndarray, turns: int, inverted: bool) -> np.ndarray:
    turned = np.rot90(image, turns)  # counterclockwise
    return np.ascontiguousarray(1 - turned if inverted else turned)


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("turns", range(4))
def test_masks_are_those_of_the_upright_radiograph(segmenter, turns, inverted):
    for seed in range(2):
        expected = segmenter(Radiograph(chest(seed)))
        found = segmenter(Radiograph(changed(chest(seed), turns, inverted)))
        assert found.radiograph.orientation == Orientation(90 * turns)
        assert found.radiograph.inverted == inverted
        assert found.labels.shape == found.radiograph.shape
        upright = np.rot90(found.labels, -turns)
        assert np.mean(upright != expected.labels) < 0.002
        assert found.presentation.polarity == (SECOND_LOOK if inverted else "stated")
        assert found.presentation.orientation == (SECOND_LOOK if turns else "assumed")
        assert bool(found.presentation.notes) == bool(turns or inverted)
        assert found.quality.score == pytest.approx(expected.quality.score, abs=0.02)
        assert not found.is_doubtful


@pytest.mark.parametrize("turns", range(4))
def test_right_and_left_and_widths_are_the_patients(segmenter, turns):
    """However the image is stored."""
    expected = segmenter(Radiograph(chest(1), spacing=(0.3, 0.3)))
    found = segmenter(Radiograph(changed(chest(1), turns, False), spacing=(0.3, 0.3)))
    sides = np.rot90(found.masks.label_map(RIGHT_LEFT_LABELS), -turns)
    assert np.mean(sides != expected.masks.label_map(RIGHT_LEFT_LABELS)) < 0.002
    one, other = expected.measurements, found.measurements
    for name in (
        "heart_width_px",
        "thorax_width_mm",
        "cardiothoracic_ratio",
        "right_lung_height_px",
    ):
        assert other[name] == pytest.approx(one[name], rel=0.02)
    # Boxes and end points are in the stored image.
    for structure in RIGHT_LEFT_LABELS.structures:
        stored = found.masks.label_map(RIGHT_LEFT_LABELS) == structure.label
        rows, columns = (np.flatnonzero(stored.any(axis)) for axis in (1, 0))
        name = structure.name.replace(" ", "_")
        assert [other[f"{name}_{corner}_px"] for corner in ("x0", "y0", "x1", "y1")] == [
            columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
        ]  # fmt: skip
    for end in ("right", "left"):
        x, y = (other[f"heart_{end}_{axis}_px"] for axis in "xy")
        assert found.labels[y, x] == 2


def test_pictures_are_upright(segmenter):
    expected = segmenter(Radiograph(chest(0))).overlay()
    found = segmenter(Radiograph(changed(chest(0), 1, False))).overlay()
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).mean() < 2


def test_a_frame_is_left_out(segmenter):
    image = chest(2)
    expected = segmenter(Radiograph(image)).labels
    for level in (0.0, 1.0):
        padded = np.pad(image, ((0, 0), (130, 40)), constant_values=level)
        found = segmenter(Radiograph(padded))
        assert np.mean(found.labels[:, 130:390] != expected) < 0.002
        assert not found.labels[:, :130].any()
        assert not found.labels[:, 390:].any()


def test_only_what_may_be_corrected_is(segmenter):
    image = changed(chest(0), 2, True)
    fixed = Segmenter(segmenter.model, engine=segmenter.engine, corrections=NONE)
    found = fixed(Radiograph(image, False))
    assert (found.radiograph.inverted, found.radiograph.orientation) == (False, Orientation())
    assert found.presentation.polarity == found.presentation.orientation == OPTION
    assert found.is_doubtful
    turning = Segmenter(
        segmenter.model, engine=segmenter.engine, corrections=Corrections(orientation=True)
    )
    found = turning(Radiograph(image, True))
    assert found.radiograph.orientation == Orientation(180)
    assert not found.is_doubtful


class Counting:
    """An engine that counts the grids that it is given."""

    def __init__(self, engine):
        self._engine, self.grids = engine, 0

    def __getattr__(self, name):
        return getattr(self._engine, name)

    def predict(self, grids):
        self.grids += len(grids)
        return self._engine.predict(grids)


def test_a_clear_radiograph_costs_one_look(segmenter):
    engine = Counting(segmenter.engine)
    once = Segmenter(segmenter.model, engine=engine)
    once.segment([Radiograph(chest(seed)) for seed in range(6)])
    assert engine.grids == 6
    once(Radiograph(changed(chest(0), 1, False)))
    assert engine.grids == 6 + 1 + 4


def test_weights_without_calibration_get_no_second_look(segmenter):
    engine = Counting(segmenter.engine)
    card = {**segmenter.model.card, "files": {"dynamic_int8.tflite": "another"}}
    other = Segmenter(replace(segmenter.model, card=card), engine=engine)
    other(Radiograph(changed(chest(0), 1, False)))
    assert engine.grids == 1


def test_noise_stays_as_stored_and_doubtful(segmenter):
    noise = np.random.default_rng(0).random(SHAPE).astype(np.float32)
    found = segmenter(Radiograph(noise))
    assert found.is_doubtful
    assert found.radiograph.orientation == Orientation()
    assert segmenter.corrections == ALL


@pytest.mark.parametrize("seed", range(3))
def test_what_shows_no_chest_is_not_turned(segmenter, seed):
    """None of its readings is credible, even if one is better than the others."""
    random = np.random.default_rng(seed)
    scene = np.clip(np.cumsum(random.normal(size=SHAPE), axis=1) / 40 + 0.5, 0, 1)
    found = segmenter(Radiograph(scene.astype(np.float32)))
    assert found.radiograph.orientation == Orientation()
    assert not found.presentation.notes
    assert found.is_doubtful
