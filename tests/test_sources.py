"""What a Segmenter accepts: the objects that people hold give the masks of their pixels."""

import pickle
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from helpers.dicom import make
from helpers.place import stub_segmenter
from xray_seg import Radiograph, Segmenter, read
from xray_seg.data.phantom import make_phantom
from xray_seg.errors import OutputError, ReadError, XraySegError


@pytest.fixture(scope="module")
def segmenter():
    return stub_segmenter()


@pytest.fixture(scope="module")
def pixels():
    return (make_phantom(3, 96).radiograph[:80] * 255).round().astype(np.uint8)


@pytest.fixture(scope="module")
def expected(segmenter, pixels):
    return segmenter(pixels).labels


class Tensor:
    """A tensor on a device with gradients, as PyTorch's: NumPy cannot convert it directly."""

    def __init__(self, array, *, is_detached=False, is_on_cpu=False):
        self.array, self.is_detached, self.is_on_cpu = array, is_detached, is_on_cpu

    def detach(self):
        return Tensor(self.array, is_detached=True, is_on_cpu=self.is_on_cpu)

    def cpu(self):
        return Tensor(self.array, is_detached=self.is_detached, is_on_cpu=True)

    def numpy(self):
        if not (self.is_detached and self.is_on_cpu):
            raise RuntimeError("call detach() and cpu() first")
        return self.array

    def __array__(self, dtype=None, copy=None):
        raise TypeError("can't convert a device tensor to numpy")


class WithArray:
    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return self.array


@pytest.mark.parametrize(
    "hold",
    [
        Image.fromarray,
        lambda pixels: Image.fromarray(pixels).convert("P"),
        lambda pixels: Image.fromarray(pixels).convert("RGB"),
        lambda pixels: Image.fromarray(pixels.astype(np.int32), mode="I"),
        Tensor,
        lambda pixels: Tensor(pixels[None]),
        WithArray,
        lambda pixels: pixels.astype(np.int64),
        lambda pixels: pixels.astype(np.float16),
        lambda pixels: pixels.tolist(),
    ],
    ids=[
        "PIL L",
        "PIL P",
        "PIL RGB",
        "PIL I",
        "torch",
        "torch 1HW",
        "array",
        "int64",
        "f16",
        "list",
    ],
)
def test_the_same_pixels_in_another_object_give_the_same_labels(segmenter, pixels, expected, hold):
    np.testing.assert_array_equal(segmenter(hold(pixels)).labels, expected)


def test_a_tensorflow_tensor_is_taken(segmenter, pixels, expected):
    from xray_seg._util.tensorflow import tensorflow

    tensor = tensorflow().constant(pixels)
    np.testing.assert_array_equal(segmenter(tensor).labels, expected)


def test_a_torch_tensor_is_taken(segmenter, pixels, expected):
    torch = pytest.importorskip("torch")
    np.testing.assert_array_equal(segmenter(torch.from_numpy(pixels.copy())).labels, expected)


def test_a_pydicom_dataset_is_taken_as_its_file(segmenter, pixels, tmp_path):
    import pydicom

    path = tmp_path / "film.dcm"
    make(path, pixels, PhotometricInterpretation="MONOCHROME1")
    result, of_file = segmenter(pydicom.dcmread(path)), segmenter(path)
    np.testing.assert_array_equal(result.labels, of_file.labels)
    assert result.radiograph.inverted is True
    assert result.radiograph.format == of_file.radiograph.format


@pytest.mark.parametrize(
    "source",
    [None, 7, object(), {"pixels": 1}, [], ["a", "b"], np.array("x"), lambda: None, ["x.png"]],
    ids=["None", "7", "object", "dict", "empty", "texts", "text array", "function", "name list"],
)
def test_what_cannot_be_taken_is_an_error_of_this_package(segmenter, source):
    with pytest.raises(XraySegError):
        segmenter(source)


def test_a_dataset_without_pixels_is_an_error_of_this_package(segmenter):
    import pydicom

    with pytest.raises(ReadError):
        segmenter(pydicom.Dataset())


def test_good_results_are_kept_where_errors_are_returned(segmenter, pixels, expected, tmp_path):
    sources = [pixels, tmp_path / "missing.png", *[pixels] * 4, object(), pixels]
    results = segmenter.segment(sources, errors="return")
    assert [isinstance(each, XraySegError) for each in results] == [
        *[False, True],
        *[False] * 4,
        *[True, False],
    ]
    assert "missing.png" in str(results[1])
    for index in (0, 2, 3, 4, 5, 7):
        np.testing.assert_array_equal(results[index].labels, expected)
    with pytest.raises(ReadError, match="missing"):
        segmenter.segment(sources)
    with pytest.raises(ValueError, match="errors must be"):
        segmenter.segment([], errors="ignore")


def test_equal_segmentations_are_equal_and_others_are_not(segmenter, pixels):
    one, same = segmenter(pixels), segmenter(pixels.copy())
    other = segmenter(pixels[::-1].copy())
    marked = segmenter(Radiograph(pixels, spacing=(0.2, 0.2)))
    assert one == same
    assert hash(one) == hash(same)
    assert len({one, same, other, marked}) == 3
    assert one != other
    assert one != marked
    assert one != "a text"


def test_a_result_survives_pickling(segmenter, pixels):
    result = segmenter(pixels)
    before = result.measurements.values
    again = pickle.loads(pickle.dumps(result))
    assert again == result
    assert again.measurements.values == before


def test_a_segmenter_survives_pickling(pixels):
    segmenter = Segmenter("inverted-net-128", engine="litert", threads=1)
    again = pickle.loads(pickle.dumps(segmenter))
    assert again == segmenter
    assert hash(again) == hash(segmenter)
    assert segmenter != stub_segmenter()
    assert again(pixels) == segmenter(pixels)


def test_a_result_prints_as_one_line(segmenter, pixels):
    text = str(segmenter(Radiograph(pixels, source="ward/film.png")))
    assert "\n" not in text
    assert text.startswith("ward/film.png: 80 x 96 pixels, ")
    assert "predicted Dice" in text


def test_masks_by_organ_and_side_make_up_the_label_map(segmenter, pixels):
    result = segmenter(pixels)
    for label, name in enumerate(("clavicles", "heart", "lungs"), 1):
        mask = result.mask(name)
        assert mask.dtype == bool
        np.testing.assert_array_equal(mask, result.labels == label)
    right, left = result.mask("right lung"), result.mask("left lung")
    assert not (right & left).any()
    np.testing.assert_array_equal(right | left, result.mask("lungs"))
    with pytest.raises(OutputError, match=r"no mask 'liver'; there are clavicles.*left lung"):
        result.mask("liver")


def test_an_open_file_and_bytes_are_taken(segmenter, pixels, tmp_path):
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    (tmp_path / "x.png").write_bytes(buffer.getvalue())
    expected = segmenter(read(tmp_path / "x.png")).labels
    buffer.seek(0)
    for source in (buffer.getvalue(), buffer, (tmp_path / "x.png").open("rb")):
        np.testing.assert_array_equal(segmenter(source).labels, expected)
        if hasattr(source, "close"):
            source.close()
