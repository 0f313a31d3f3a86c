"""Label maps, organ masks, probabilities and overlays, read back by other libraries."""

import gc
import io
import tempfile
import weakref
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from helpers.outputs import save_labels, save_outputs, save_probabilities
from xray_seg.data.phantom import make_phantom, phantom_labels
from xray_seg.errors import OutputError
from xray_seg.labels import HEART, LUNGS, ORGANS, RIGHT_LEFT_LABELS
from xray_seg.outputs import KINDS
from xray_seg.outputs.grey import render_grey
from xray_seg.outputs.overlay import OVERLAY_OPACITY, render_overlay
from xray_seg.postprocessing.laterality import split_sides
from xray_seg.preprocessing.preprocessor import Preprocessor
from xray_seg.radiograph import Orientation, Radiograph
from xray_seg.segmentation import Segmentation

#: Kinds for any radiograph; a DICOM SEG requires a DICOM file (see test_dicom_seg.py).
_ANY_SOURCE_KINDS = [kind for kind in KINDS if kind != "dicom-seg"]
_LABELS = hnp.arrays(np.uint8, st.tuples(*[st.integers(1, 30)] * 2), elements=st.integers(0, 3))


def _segmentation(shape=(60, 44), spacing=None, shares=(0.1, 0.2, 0.3, 0.4)):
    random = np.random.default_rng(5)
    labels = random.integers(0, 4, shape).astype(np.uint8)
    radiograph = Radiograph(random.integers(0, 4096, shape).astype(np.uint16), False, spacing)
    probabilities = np.broadcast_to(np.float32(shares), (16, 12, 4)).copy()
    return Segmentation(radiograph, labels, probabilities)


@settings(deadline=None, max_examples=40)
@given(_LABELS, st.sampled_from([".tif", ".tiff", ".png", ".PNG"]))
def test_label_maps_are_read_back_as_they_were(labels, suffix):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x" + suffix)
        save_labels(path, labels)
        data = path.read_bytes()
    by_codec = (
        imagecodecs.png_decode(data) if "p" in suffix.lower() else tifffile.imread(io.BytesIO(data))
    )
    with Image.open(io.BytesIO(data)) as image:
        by_pillow = np.asarray(image)
    for read in (by_codec, by_pillow):
        assert read.dtype == np.uint8
        assert np.array_equal(read, labels)


def test_a_tiff_states_the_spacing_of_the_radiograph(tmp_path):
    save_labels(tmp_path / "x.tif", np.zeros((4, 6), np.uint8), spacing=(0.2, 0.175))
    with Image.open(tmp_path / "x.tif") as image:
        tags = image.tag_v2
        assert tags[296] == 3  # centimetres
        assert float(tags[282]) == pytest.approx(10 / 0.175)  # pixels per unit along columns
        assert float(tags[283]) == pytest.approx(10 / 0.2)


@pytest.mark.parametrize("kind", ["labels", "organs", "probabilities"])
def test_every_tiff_of_a_batch_states_the_spacing_of_rows_and_of_columns(tmp_path, kind):
    written = save_outputs(tmp_path, "x", [kind], ".tif", _segmentation(spacing=(0.4, 0.16)))
    assert written.paths
    for path in written.paths:
        with Image.open(path) as image:
            assert float(image.tag_v2[282]) == pytest.approx(10 / 0.16), path.name
            assert float(image.tag_v2[283]) == pytest.approx(10 / 0.4), path.name


def test_masks_are_measured_in_the_millimetres_of_their_radiograph():
    found = _segmentation(spacing=(0.4, 0.16)).masks.measurements.values
    assert found["thorax_width_mm"] == pytest.approx(0.16 * found["thorax_width_px"])
    assert found["left_lung_height_mm"] == pytest.approx(0.4 * found["left_lung_height_px"])


def test_a_tiff_without_spacing_has_no_resolution_unit(tmp_path):
    save_labels(tmp_path / "x.tif", np.zeros((4, 6), np.uint8))
    with tifffile.TiffFile(tmp_path / "x.tif") as file:
        assert file.pages.first.resolutionunit == tifffile.RESUNIT.NONE


@pytest.mark.parametrize("kind", _ANY_SOURCE_KINDS)
@pytest.mark.parametrize("suffix", [".tif", ".png"])
def test_the_same_masks_give_the_same_bytes(tmp_path, kind, suffix):
    first, second = (
        save_outputs(
            tmp_path / name, "x", [kind], suffix, _segmentation((30, 20), (0.1, 0.1))
        ).paths
        for name in ("one", "two")
    )
    assert [path.name for path in first] == [path.name for path in second]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


@pytest.mark.parametrize("suffix", [".tif", ".png"])
def test_organ_masks_add_up_to_the_label_map(tmp_path, suffix):
    result = _segmentation()
    paths = save_outputs(tmp_path, "ward/x", ["organs"], suffix, result).paths
    names = [f"x.{organ}{suffix}" for organ in ("clavicles", "heart", "lungs")]
    assert paths == [tmp_path / "organs" / "ward" / name for name in names]
    total = np.zeros(result.labels.shape, int)
    for organ, path in zip(ORGANS, paths, strict=True):
        with Image.open(path) as image:
            mask = np.asarray(image)
        assert mask.dtype == np.uint8
        assert set(np.unique(mask)) == {0, 255}
        total += organ.label * (mask == 255)
    assert np.array_equal(total, result.labels)


def test_probabilities_are_16_bit_planes_at_the_radiographs_own_size(tmp_path):
    shares = (0.0, 0.25, 0.75, 1.0)
    save_probabilities(tmp_path / "x.tif", _segmentation((60, 44), shares=shares))
    planes = tifffile.imread(tmp_path / "x.tif")
    assert planes.shape == (4, 60, 44)
    assert planes.dtype == np.uint16
    for plane, share in zip(planes, shares, strict=True):
        assert np.abs(plane - 65535 * share).max() <= 1


def test_probabilities_of_a_pixel_sum_to_one(tmp_path):
    result = _segmentation((61, 43))
    random = np.random.default_rng(1).random((16, 12, 4)).astype(np.float32)
    result.probabilities[:] = random / random.sum(axis=2, keepdims=True)
    save_probabilities(tmp_path / "x.tif", result)
    total = tifffile.imread(tmp_path / "x.tif").astype(int).sum(axis=0)
    assert np.abs(total - 65535).max() <= 4


def test_the_most_probable_class_is_the_label(tmp_path):
    radiograph = Radiograph(make_phantom(2, 96).radiograph[:80])
    fitted = Preprocessor(32)(radiograph)
    rows, columns = np.indices((32, 32)) / 32
    classes = (1 + (columns > 0.3) + (columns > 0.7)) * (np.abs(rows - 0.5) < 0.3)
    shares = np.where(classes[..., None] == np.arange(4), 0.7, 0.1).astype(np.float32)
    result = Segmentation.from_probabilities(fitted, shares)
    save_probabilities(tmp_path / "x.tif", result)
    planes = tifffile.imread(tmp_path / "x.tif")
    assert set(np.unique(result.labels)) == {0, 1, 2, 3}
    assert np.mean(planes.argmax(axis=0) == result.labels) > 0.99


@pytest.mark.parametrize("inverted", [False, True])
def test_an_overlay_mixes_the_radiograph_with_the_organs_colour(inverted):
    radiograph = np.zeros((40, 80), np.uint16)
    radiograph[:, 40:] = 4095
    labels = np.zeros((40, 80), np.uint8)
    labels[10:30, 5:75] = HEART.label
    picture = render_overlay(render_grey(Radiograph(radiograph, inverted), 1024), labels)
    assert picture.shape == (40, 80, 3)
    assert picture.dtype == np.uint8
    for column, bright in ((20, inverted), (60, not inverted)):
        grey = 255 * bright
        mixed = (1 - OVERLAY_OPACITY) * grey + OVERLAY_OPACITY * np.array(HEART.colour)
        assert picture[2, column] == pytest.approx([grey] * 3, abs=1)
        assert picture[20, column] == pytest.approx(mixed, abs=2)


@pytest.mark.parametrize(
    ("shape", "longest", "shown"),
    [((50, 80), 1024, (50, 80)), ((400, 200), 100, (100, 50)), ((3000, 1), 30, (30, 1))],
)
def test_an_overlay_is_never_enlarged_and_keeps_its_proportions(shape, longest, shown):
    radiograph = Radiograph(np.zeros(shape, np.uint8))
    assert render_overlay(render_grey(radiograph, longest), np.zeros(shape, np.uint8)).shape == (
        *shown,
        3,
    )


def test_an_overlay_file_is_a_colour_jpeg(tmp_path):
    (path,) = save_outputs(tmp_path, "a.b/c d", ["overlay"], ".tif", _segmentation()).paths
    assert path == tmp_path / "overlay" / "a.b" / "c d.jpg"
    with Image.open(path) as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (44, 60))


@pytest.mark.parametrize("key", ["x", "ward 1/x.v2", "Thorax ä/胸", "1.2.840/113.7", "two\nlines"])
def test_files_are_named_by_kind_and_key(tmp_path, key):
    made = save_outputs(tmp_path, key, ["labels", "overlay"], ".png", _segmentation())
    labels, overlay = made.paths
    assert labels == tmp_path / "labels" / (key + ".png")
    assert overlay == tmp_path / "overlay" / (key + ".jpg")
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == {labels, overlay}


@pytest.mark.parametrize("name", ["x.jpg", "x", "x.tif.gz"])
def test_label_maps_are_not_written_in_other_formats(tmp_path, name):
    with pytest.raises(OutputError, match=r"\.tif or \.png"):
        _segmentation().save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".tif", ".png"])
def test_a_segmentation_saves_its_label_map(tmp_path, suffix):
    result = _segmentation()
    result.save(str(tmp_path / ("deep/er/x" + suffix)))
    with Image.open(tmp_path / ("deep/er/x" + suffix)) as image:
        assert np.array_equal(np.asarray(image), result.labels)


@pytest.mark.parametrize("kind", _ANY_SOURCE_KINDS)
def test_a_file_in_place_of_the_output_folder_is_named(tmp_path, kind):
    (tmp_path / kind).write_text("in the way")
    with pytest.raises(OutputError, match=rf"{kind}/x.*cannot be written"):
        save_outputs(tmp_path, "x", [kind], ".tif", _segmentation())
    assert [path.name for path in tmp_path.iterdir()] == [kind]


def test_with_sides_label_maps_and_masks_are_right_and_left(tmp_path):
    labels = phantom_labels(make_phantom(4, 96))
    radiograph = Radiograph(np.zeros(labels.shape, np.uint8))
    result = Segmentation(radiograph, labels, np.zeros((4, 4, 4), np.float32))
    made = save_outputs(tmp_path, "x", ["labels", "organs"], ".png", result, True).paths
    with Image.open(made[0]) as image:
        parts = np.asarray(image)
    assert np.array_equal(parts, split_sides(labels))
    assert [path.name for path in made[1:]] == [
        "x.right-clavicle.png",
        "x.heart.png",
        "x.right-lung.png",
        "x.left-clavicle.png",
        "x.left-lung.png",
    ]
    for label, path in enumerate(made[1:], 1):
        with Image.open(path) as image:
            assert np.array_equal(np.asarray(image) == 255, parts == label)


def test_both_sides_have_their_organs_colour_in_overlays():
    labels = phantom_labels(make_phantom(4, 96))
    radiograph = Radiograph(np.zeros(labels.shape, np.uint8))
    whole, split = (
        render_overlay(render_grey(radiograph, 96), each) for each in (labels, split_sides(labels))
    )
    assert np.array_equal(whole, split)
    joined = np.full((6, 8), LUNGS.label, np.uint8)
    joined[:, 4:] = RIGHT_LEFT_LABELS.find(LUNGS, "left").label
    shown = render_overlay(np.zeros((6, 8), np.uint8), joined)
    assert (shown[:, 3:5] == LUNGS.colour).all()  # outlined where they meet
    assert (shown[:, [2, 5]] != LUNGS.colour).all()


def test_files_written_before_a_failure_are_removed(tmp_path):
    (tmp_path / "organs" / "x.lungs.tif").mkdir(parents=True)
    with pytest.raises(OutputError, match=r"x\.lungs\.tif"):
        save_outputs(tmp_path, "x", ["labels", "organs"], ".tif", _segmentation())
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_full_disk_leaves_no_incomplete_file(tmp_path, monkeypatch):
    whole = Path.write_bytes

    def half(path, data):
        whole(path, data[:4])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(OutputError, match=r"labels/x\.tif.*No space left on device"):
        save_outputs(tmp_path, "x", ["labels"], ".tif", _segmentation())
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("turn", [0, 90])
def test_masks_are_freed_as_soon_as_nobody_holds_them(turn):
    """A reference cycle would keep the pixels until Python looks for cycles."""
    result = _segmentation()
    shown = replace(result.radiograph, orientation=Orientation(turn))
    masks = replace(result.masks, radiograph=shown)
    for value in (masks.upright, masks.sides, masks.measurements, masks.quality, masks.grey):
        assert value is not None
    seen = weakref.ref(masks)
    gc.collect()
    gc.disable()
    try:
        del masks, value
        assert seen() is None
    finally:
        gc.enable()
