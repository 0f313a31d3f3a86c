"""Measurements against a slow count of pixels, drawn label maps, and phantoms."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from helpers.reference import slow_covered
from xray_seg.analysis.measurements import MEASURES, measure
from xray_seg.data.phantom import make_phantom, phantom_labels
from xray_seg.kernels import find_runs, sum_runs
from xray_seg.labels import CLAVICLES, HEART, LUNGS, ORGANS, RIGHT_LEFT_LABELS
from xray_seg.postprocessing.laterality import split_sides


def chest():
    labels = np.zeros((100, 200), np.uint8)
    labels[20:80, 20:90] = 3
    labels[20:80, 110:170] = 3
    labels[50:70, 80:135] = 2
    labels[10:14, 30:90] = 1
    return labels


def test_a_chest_drawn_by_hand():
    found = measure(chest(), spacing=(0.5, 0.2))
    assert found.heart_width_px == 55
    assert found.thorax_width_px == 150
    assert found.cardiothoracic_ratio == pytest.approx(55 / 150)
    assert found.area_px == {
        "clavicles": 240,
        "heart": 20 * 55,
        "lungs": 60 * 130 - 20 * 10 - 20 * 25,
    }
    assert found.area_cm2 is not None
    assert found.area_cm2["heart"] == pytest.approx(20 * 55 * 0.5 * 0.2 / 100)


def test_what_is_missing_is_none():
    found = measure(np.zeros((4, 5), np.uint8))
    assert found.area_px == {"clavicles": None, "heart": None, "lungs": None}
    assert all(value is None for value in found.values.values())
    assert set(found.reasons) == set(found.values)
    assert (found.heart_width_px, found.thorax_width_px, found.cardiothoracic_ratio) == (
        None,
        None,
        None,
    )
    assert found.area_cm2 is None
    labels = chest()
    labels[labels == 2] = 0
    assert measure(labels).cardiothoracic_ratio is None


@settings(deadline=None, max_examples=100)
@given(
    hnp.arrays(
        np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 3)
    )
)
def test_against_a_count_of_pixels(labels):
    found = measure(labels, spacing=(1.0, 1.0))
    for name, label in (("clavicles", 1), ("heart", 2), ("lungs", 3)):
        assert found.area_px[name] == ((labels == label).sum() or None)
    columns = {label: np.nonzero(labels == label)[1] for label in (2, 3)}
    extents = {label: int(np.ptp(of) + 1) if len(of) else None for label, of in columns.items()}
    assert found.heart_width_px == extents[2]
    if len(columns[3]) and len(columns[2]):
        right = (np.clip(columns[2].mean() - columns[3] + 0.5, 0, 1)).mean()
        if abs(right - 0.1) > 1e-9 and abs(right - 0.9) > 1e-9:
            assert found.thorax_width_px == (extents[3] if 0.1 < right < 0.9 else None)


def test_one_lung_is_no_thorax():
    labels = chest()
    labels[:, 110:][labels[:, 110:] == 3] = 0
    found = measure(labels)
    assert (found.thorax_width_px, found.cardiothoracic_ratio) == (None, None)
    assert found.heart_width_px == 55
    assert found.notes == ("a lung on one side only",)
    assert measure(chest()).notes == ()
    assert measure(np.zeros((4, 5), np.uint8)).notes == (
        "no clavicles found",
        "no heart found",
        "no lungs found",
    )


def test_sides_lines_boxes_and_greys_of_a_chest_drawn_by_hand():
    labels = chest()
    pixels = (labels.astype(">u2") * 100) + 7
    found = measure(labels, spacing=(0.5, 0.2), pixels=pixels)
    assert found.heart_line == ((80, 60), (134, 60))
    assert found.thorax_line == ((20, 50), (169, 50))
    assert found["heart_width_mm"] == pytest.approx(55 * 0.2)
    assert found["right_lung_height_px"] == 60
    assert found["right_lung_height_mm"] == pytest.approx(60 * 0.5)
    assert found["right_lung_area_px"] == 60 * 70 - 20 * 10
    assert found["left_lung_area_px"] == 60 * 60 - 20 * 25
    assert [found[f"left_lung_{end}_px"] for end in ("x0", "y0", "x1", "y1")] == [110, 20, 170, 80]
    assert [found[f"{name}_mean_grey"] for name in ("clavicles", "heart", "lungs")] == [
        107,
        207,
        307,
    ]
    assert found["left_clavicle_area_cm2"] is None
    assert found.reasons["left_clavicle_area_cm2"] == "no left clavicle found"
    assert measure(labels).reasons["heart_width_mm"] == "the spacing is not known"


def slow_box(mask):
    """x0, y0, x1, y1 of a mask's pixels, the last two exclusive; None each where it has none."""
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return None, None, None, None
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def slow_measure(labels, spacing, pixels):
    """Measurements by counting pixels of one organ at a time, without the thorax and the ratio."""
    row_mm, column_mm = spacing
    whole = {organ.name: labels == organ.label for organ in ORGANS}
    parts = split_sides(labels)
    halves = {part.name: parts == part.label for part in RIGHT_LEFT_LABELS.structures}
    expected = {}
    for name, mask in (
        whole | {part.name: halves[part.name] for part in RIGHT_LEFT_LABELS.structures if part.side}
    ).items():
        area = int(mask.sum()) or None
        expected[f"{name}_area_px"] = area
        expected[f"{name}_area_cm2"] = area and area * row_mm * column_mm / 100
    covered = {
        side: int(slow_covered(parts, clavicle, lung).sum() + (parts == lung).sum())
        for side, clavicle, lung in (("right", 1, 3), ("left", 4, 5))
    }
    areas = {f"{side}_lung": area for side, area in covered.items()}
    for name, area in {"lungs": sum(covered.values()), **areas}.items():
        expected[f"{name}_whole_area_px"] = area or None
        expected[f"{name}_whole_area_cm2"] = area * row_mm * column_mm / 100 or None
    for name, mask in whole.items():
        inside = [float(value) for value in pixels[mask]]
        expected[f"{name}_mean_grey"] = math.fsum(inside) / len(inside) if inside else None
    for name, mask in halves.items():
        box = slow_box(mask)
        for corner, value in zip(("x0", "y0", "x1", "y1"), box, strict=True):
            expected[f"{name}_{corner}_px"] = value
        if "lung" in name:
            height = None if box[0] is None else box[3] - box[1]
            expected[f"{name}_height_px"] = height
            expected[f"{name}_height_mm"] = height and height * row_mm
    x0, _, x1, _ = slow_box(whole["heart"])
    width = None if x0 is None else x1 - x0
    expected["heart_width_px"], expected["heart_width_mm"] = width, width and width * column_mm
    return {name.replace(" ", "_"): value for name, value in expected.items()}


def maps(labels=3):
    shape = st.tuples(st.integers(1, 14), st.integers(1, 20))
    return hnp.arrays(np.uint8, shape, elements=st.integers(0, labels))


MILLIMETRES = st.floats(0.05, 5)


@settings(deadline=None, max_examples=150)
@given(
    labels=maps(),
    spacing=st.tuples(MILLIMETRES, MILLIMETRES),
    dtype=st.sampled_from(["u1", "<u2", ">u2", "<f4", ">f4", "<f8", ">f8"]),
    seed=st.integers(0, 2**32 - 1),
    strided=st.booleans(),
)
def test_against_pixels_counted_one_organ_at_a_time(labels, spacing, dtype, seed, strided):
    rng = np.random.default_rng(seed)
    top = {"u1": 255, "u2": 65535}.get(dtype[-2:], 1e4)
    shape = (labels.shape[0], labels.shape[1] * (1 + strided))
    pixels = rng.uniform(0, top, shape).astype(dtype)[:, :: 1 + strided]
    found = measure(labels, spacing=spacing, pixels=pixels)
    expected = slow_measure(labels, spacing, pixels)
    for name, value in expected.items():
        assert found[name] == (None if value is None else pytest.approx(value, rel=1e-12)), name
    assert set(found.reasons) == {name for name, value in found.values.items() if value is None}
    assert tuple(found.values) == MEASURES


@settings(deadline=None, max_examples=100)
@given(maps(), st.tuples(MILLIMETRES, MILLIMETRES), st.integers(0, 255))
def test_a_map_of_parts_measures_as_the_map_of_organs(labels, spacing, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, labels.shape, np.uint8)
    whole = measure(labels, spacing=spacing, pixels=pixels)
    parts = measure(split_sides(labels), spacing=spacing, pixels=pixels, sided=True)
    assert parts == whole


@settings(deadline=None, max_examples=100)
@given(maps())
def test_lines_end_on_the_organs_outermost_columns(labels):
    found = measure(labels)
    for line, organ in ((found.heart_line, HEART), (found.thorax_line, LUNGS)):
        if line is None:
            continue
        columns = np.nonzero((labels == organ.label).any(axis=0))[0]
        assert (line.right[0], line.left[0]) == (columns[0], columns[-1])
        assert line.width == columns[-1] - columns[0] + 1
        for x, y in line:
            assert labels[y, x] == organ.label
            rows = np.nonzero(labels[:, x] == organ.label)[0]
            assert y == rows[len(rows) // 2]
    ratio = found.cardiothoracic_ratio
    if found.heart_line and found.thorax_line:
        assert ratio == found.heart_line.width / found.thorax_line.width
    else:
        assert ratio is None


@pytest.mark.parametrize(
    ("gone", "reasons"),
    [
        ((2,), {"heart_width_px": "no heart found", "cardiothoracic_ratio": "no heart found"}),
        ((3,), {"thorax_width_mm": "no lungs found", "cardiothoracic_ratio": "no lungs found"}),
        ((2, 3), {"heart_mean_grey": "no heart found", "left_lung_x0_px": "no left lung found"}),
        ((1,), {"clavicles_area_cm2": "no clavicles found"}),
        ((), {"left_clavicle_area_px": "no left clavicle found"}),
    ],
)
def test_the_organ_that_is_missing_is_the_reason(gone, reasons):
    labels = chest()
    labels[np.isin(labels, gone)] = 0
    found = measure(labels, spacing=(1.0, 1.0), pixels=labels)
    for name, reason in reasons.items():
        assert found[name] is None
        assert found.reasons[name] == reason
    assert all(
        value is not None for name, value in found.values.items() if name not in found.reasons
    )


def test_what_is_not_given_is_the_reason():
    found = measure(chest())
    scaled = {name for name in MEASURES if name.endswith(("_mm", "_cm2"))}
    assert {found.reasons[name] for name in scaled if "left_clavicle" not in name} == {
        "the spacing is not known"
    }
    greys = {name for name in MEASURES if name.endswith("_mean_grey")}
    assert {found.reasons[name] for name in greys} == {"no image is given"}
    assert set(found.reasons) - scaled - greys == {
        f"left_clavicle_{what}_px" for what in ("area", "x0", "y0", "x1", "y1")
    }


@pytest.mark.parametrize("seed", range(6))
def test_the_ratio_of_a_phantom_is_that_of_its_masks(seed):
    phantom = make_phantom(seed, 256)
    heart = phantom.masks["heart"]
    lungs = phantom.masks["right lung"] | phantom.masks["left lung"]
    labels = phantom_labels(phantom)
    shown = np.where(labels == CLAVICLES.label, 0, lungs)
    found = measure(labels, spacing=(0.7, 0.35), pixels=phantom.radiograph)
    widths = [np.ptp(np.nonzero(mask.any(axis=0))[0]) + 1 for mask in (heart, shown)]
    assert found.cardiothoracic_ratio == widths[0] / widths[1]
    assert (found.heart_width_px, found.thorax_width_px) == tuple(widths)
    assert found["thorax_width_mm"] == pytest.approx(widths[1] * 0.35)
    assert found["heart_area_cm2"] == pytest.approx(heart[labels == 2].sum() * 0.7 * 0.35 / 100)
    assert found.notes == ()
    for side in ("right", "left"):
        mine = phantom.masks[f"{side} lung"] & (labels == LUNGS.label)
        assert found[f"{side}_lung_area_px"] == mine.sum()
        rows = np.nonzero(mine.any(axis=1))[0]
        assert found[f"{side}_lung_height_mm"] == pytest.approx((np.ptp(rows) + 1) * 0.7)
        assert found[f"{side}_clavicle_area_px"] == phantom.masks[f"{side} clavicle"].sum()
    assert found["heart_mean_grey"] == pytest.approx(
        phantom.radiograph[labels == HEART.label].astype(np.float64).mean()
    )


def test_a_label_that_is_none_counts_for_nothing():
    labels = chest()
    labels[0, 0], labels[99, 199] = 9, 255
    assert measure(labels) == measure(chest())
    parts = split_sides(chest())
    parts[0, 0] = 9
    assert measure(parts, sided=True) == measure(chest())


@pytest.mark.parametrize(
    ("labels", "pixels"),
    [
        (chest().astype(np.int64), None),
        (chest()[0], None),
        (np.zeros((0, 5), np.uint8), None),
        (chest(), chest()[:-1]),
        (chest(), chest().astype(np.int32)),
        (chest(), np.zeros((100, 200, 3), np.uint8)),
        (chest(), chest().astype(np.complex128)),
    ],
)
def test_arrays_of_other_shapes_and_types_are_refused(labels, pixels):
    with pytest.raises(ValueError, match=r"\S"):
        measure(labels, pixels=pixels)


def test_sums_of_a_large_radiograph_are_exact():
    pixels = np.full((3000, 3000), 65535, ">u2")
    pixels.flags.writeable = False  # as a memory map of a raw radiograph
    runs = find_runs(np.full((3000, 3000), 3, np.uint8))
    sums = sum_runs(pixels, runs, runs.labels)
    assert sums[3] == 65535 * 3000 * 3000
    assert sums.sum() == sums[3]
    with pytest.raises(ValueError, match="values do not fit"):
        sum_runs(pixels, runs, runs.labels[1:])
