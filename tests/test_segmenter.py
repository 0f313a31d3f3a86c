"""The shipped weights on phantoms: what goes in, what comes out, and that it is right."""

import imagecodecs
import numpy as np
import pytest
import tifffile

import xray_seg
from xray_seg.data.cases import find_cases
from xray_seg.data.phantom import make_phantom, phantom_labels, write_phantoms
from xray_seg.errors import EngineError, OutputError, ReadError, WeightsError
from xray_seg.radiograph import Radiograph
from xray_seg.segmenter import Segmenter

SIDE = 512


@pytest.fixture(scope="module")
def segmenter():
    return Segmenter(engine="litert")


@pytest.fixture(scope="module")
def film():
    """Phantom 5 as 16-bit grey, bones bright."""
    return (make_phantom(5, SIDE).radiograph * 4000).round().astype(np.uint16)


@pytest.fixture(scope="module")
def truth():
    return phantom_labels(make_phantom(5, SIDE))


@pytest.fixture(scope="module")
def found(segmenter, film):
    return segmenter(film)


def dice(one, other, label):
    both = np.count_nonzero((one == label) & (other == label))
    return 2 * both / (np.count_nonzero(one == label) + np.count_nonzero(other == label))


def test_labels_have_the_films_size_and_four_values(segmenter, found, film):
    assert found.labels.shape == film.shape
    assert found.labels.dtype == np.uint8
    assert set(np.unique(found.labels)) == {0, 1, 2, 3}
    assert found.probabilities.shape == (segmenter.engine.size, segmenter.engine.size, 4)
    assert found.probabilities.dtype == np.float32


@pytest.mark.parametrize("seed", [5, 6, 7])
def test_phantoms_organs_are_found(segmenter, seed):
    phantom = make_phantom(seed, SIDE)
    labels, truth = segmenter(phantom.radiograph).labels, phantom_labels(phantom)
    assert dice(labels, truth, 3) > 0.85
    assert dice(labels, truth, 2) > 0.8
    assert np.mean(labels == truth) > 0.9


@pytest.mark.parametrize("crop", [np.s_[:, 60:-60], np.s_[40:, :], np.s_[:-31, 17:]])
def test_a_film_that_is_not_square_is_found_as_well(segmenter, film, truth, crop):
    labels = segmenter(np.ascontiguousarray(film[crop])).labels
    assert labels.shape == film[crop].shape
    assert dice(labels, truth[crop], 3) > 0.85


def test_a_border_beside_the_film_moves_the_masks_along(segmenter, film, truth):
    wide = np.pad(film, ((0, 0), (200, 0)))
    labels = segmenter(wide).labels
    assert labels.shape == (SIDE, SIDE + 200)
    assert dice(labels[:, 200:], truth, 3) > 0.85
    assert np.count_nonzero(labels[:, :200]) < 0.01 * labels.size


@pytest.mark.parametrize(
    "change",
    [
        lambda film: film.astype(">u2"),
        lambda film: np.repeat(film[..., None], 3, axis=2),
        lambda film: film[..., None],
        np.asfortranarray,
        lambda film: film.astype(np.float64),
        lambda film: Radiograph(film, inverted=False),
    ],
    ids=["big-endian", "three colours", "one colour", "columns first", "doubles", "radiograph"],
)
def test_the_same_film_in_another_form_gives_the_same_labels(segmenter, film, found, change):
    labels = segmenter(change(film)).labels
    assert labels.shape == film.shape
    assert np.mean(labels == found.labels) > 0.9999


def test_a_film_with_dark_as_high_is_turned_where_it_says_so_or_looks_so(segmenter, film, found):
    negative = 4000 - film
    for inverted in (True, None):
        result = segmenter(Radiograph(negative, inverted=inverted))
        assert result.radiograph.inverted is True
        assert np.mean(result.labels == found.labels) > 0.999
    assert segmenter(Radiograph(film, inverted=None)).radiograph.inverted is False


def test_contrast_and_a_few_outliers_change_little(segmenter, film, found):
    other = film // 2 + 100
    other[3, 5] = other[-2, 40] = 65535
    assert np.mean(segmenter(other).labels == found.labels) > 0.995


def test_a_path_is_read(segmenter, film, found, tmp_path):
    path = tmp_path / "film.png"
    path.write_bytes(imagecodecs.png_encode(film))
    for given in (path, str(path), xray_seg.read(path)):
        result = segmenter(given)
        np.testing.assert_array_equal(result.labels, found.labels)
        assert result.radiograph.source == str(path)


def test_films_of_several_sizes_in_one_batch_are_what_they_are_alone(segmenter, film):
    films = [film, film[::2, ::2].copy(), film[:300].copy()]
    together = segmenter.segment(films)
    for each, alone in zip(together, map(segmenter, films), strict=True):
        np.testing.assert_array_equal(each.labels, alone.labels)
        np.testing.assert_array_equal(each.probabilities, alone.probabilities)
    assert segmenter.segment([]) == []


def test_a_film_is_not_changed(segmenter, film):
    kept = film.copy()
    segmenter(film).overlay()
    np.testing.assert_array_equal(film, kept)


def test_int8_and_float32_agree_on_nearly_every_pixel(film, found):
    exact = Segmenter(engine="saved-model", precision="float32", device="cpu")(film)
    assert np.mean(exact.labels == found.labels) > 0.995


def test_measurements_are_of_the_label_map(segmenter, film):
    result = segmenter(Radiograph(film, spacing=(0.7, 0.5)))
    heart = np.count_nonzero(result.labels == 2)
    assert result.measurements.area_px["heart"] == heart
    assert result.measurements.area_cm2["heart"] == pytest.approx(heart * 0.7 * 0.5 / 100)
    columns = [np.nonzero((result.labels == label).any(axis=0))[0] for label in (2, 3)]
    widths = [each.max() - each.min() + 1 for each in columns]
    assert result.measurements.cardiothoracic_ratio == pytest.approx(widths[0] / widths[1])


def test_a_saved_label_map_reads_back_with_its_resolution(segmenter, film, tmp_path):
    result = segmenter(Radiograph(film, spacing=(0.5, 0.25)))
    result.save(tmp_path / "deep" / "mask.tif")
    with tifffile.TiffFile(tmp_path / "deep" / "mask.tif") as file:
        np.testing.assert_array_equal(file.asarray(), result.labels)
        tags = file.pages.first.tags
        along, down = (tags[name].value for name in ("XResolution", "YResolution"))
        assert (along[0] / along[1], down[0] / down[1]) == (40, 20)  # pixels per cm
    result.save(str(tmp_path / "mask.png"))
    written = imagecodecs.png_decode((tmp_path / "mask.png").read_bytes())
    np.testing.assert_array_equal(written, result.labels)


def test_a_label_map_is_not_saved_with_loss_and_not_where_nothing_can_be(found, tmp_path):
    with pytest.raises(OutputError, match=r"mask\.jpg: unknown suffix; give \.tif or \.png"):
        found.save(tmp_path / "mask.jpg")
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        found.save(tmp_path / "file" / "mask.tif")


def test_an_overlay_is_the_grey_film_with_coloured_organs(found):
    picture = found.overlay()
    assert picture.shape == (SIDE, SIDE, 3)
    assert picture.dtype == np.uint8
    coloured = picture.max(axis=-1) != picture.min(axis=-1)
    np.testing.assert_array_equal(coloured, found.labels > 0)
    lungs = picture[found.labels == 3].mean(axis=0)
    heart = picture[found.labels == 2].mean(axis=0)
    assert lungs[2] > lungs[0] + 10  # blue
    assert heart[0] > heart[2] + 10  # vermilion


@pytest.mark.parametrize(("longest", "shape"), [(100, (59, 100)), (None, (300, 512))])
def test_an_overlay_is_no_larger_than_asked_for_nor_than_the_film(segmenter, film, longest, shape):
    assert segmenter(film[:300].copy()).overlay(longest).shape == (*shape, 3)


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros(7, np.uint8),
        np.zeros((0, 7), np.uint8),
        np.zeros((7, 7), np.complex64),
        np.full((7, 7), np.nan),
        np.full((7, 7), "x"),
    ],
    ids=["a line", "nothing", "complex", "no numbers", "text"],
)
def test_an_array_that_is_no_film_is_refused(segmenter, pixels):
    with pytest.raises(ReadError):
        segmenter(pixels)


@pytest.mark.parametrize("value", [0, 77])
def test_a_film_of_one_grey_gives_some_label_map_and_no_failure(segmenter, value):
    result = segmenter(np.full((40, 50), value, np.uint8))
    assert result.labels.shape == (40, 50)
    assert result.labels.max() <= 3
    assert result.overlay().shape == (40, 50, 3)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1)])
def test_a_film_of_any_shape_gives_labels_of_that_shape(segmenter, shape):
    film = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    assert segmenter(film).labels.shape == shape


def test_unknown_weights_and_engines_are_refused():
    with pytest.raises(WeightsError, match="nonsense"):
        Segmenter("nonsense")
    with pytest.raises(EngineError, match="does not exist; there are auto"):
        Segmenter(engine="onnx")


def test_a_jsrt_file_is_segmented_at_its_own_size_and_spacing(segmenter, tmp_path):
    write_phantoms(tmp_path, 1, seed=6)
    (case,) = find_cases(tmp_path / "images", tmp_path / "scr")
    result = segmenter(case.image)
    assert result.labels.shape == (2048, 2048)
    assert result.radiograph.inverted is True
    truth = phantom_labels(make_phantom(6)).repeat(2, 0).repeat(2, 1)
    assert dice(result.labels, truth, 3) > 0.85
    area = np.count_nonzero(result.labels == 3) * 0.175**2 / 100
    assert result.measurements.area_cm2["lungs"] == pytest.approx(area)
    assert result.overlay().shape == (1024, 1024, 3)
