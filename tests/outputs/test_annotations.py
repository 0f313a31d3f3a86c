"""Lines of the cardiothoracic ratio: end points, drawing, and the option --lines."""

import csv
import json

import imagecodecs
import numpy as np
import pytest

from xray_seg import Radiograph, Segmentation
from xray_seg.analysis.measurements import measure
from xray_seg.cli import main
from xray_seg.data.phantom import make_phantom
from xray_seg.outputs.annotations import draw_measurements, write
from xray_seg.outputs.grey import OVERLAY_SIDE

WHITE = (255, 255, 255)
GREY = 90


def chest(scale=1):
    """Heart in columns 80 to 134, its ends in rows 60 and 70; lungs in 20 to 169, row 50."""
    labels = np.zeros((120, 200), np.uint8)
    labels[25:76, 20:90] = 3
    labels[25:76, 110:170] = 3
    labels[58:63, 80:110] = 2
    labels[66:75, 100:135] = 2
    return np.kron(labels, np.ones((scale, scale), np.uint8))


def drawn(labels, shape):
    """A grey picture with the lines, and masks of white and changed pixels below the value."""
    picture = np.full((*shape, 3), GREY, np.uint8)
    draw_measurements(picture, measure(labels), labels.shape)
    changed = (picture != GREY).any(axis=2)
    white = (picture == WHITE).all(axis=2)
    top = shape[0] // 5
    return picture, white[top:], changed[top:], top


def test_lines_end_at_the_outermost_columns_of_the_organs():
    labels = chest()
    found = measure(labels)
    assert found.heart_line == ((80, 60), (134, 70))
    assert found.thorax_line == ((20, 50), (169, 50))
    picture, white, changed, top = drawn(labels, labels.shape)
    rows, columns = np.nonzero(white)
    rows += top
    expected = np.zeros(labels.shape, bool)
    expected[50, 20:170] = True  # the horizontal line of the thorax
    expected[46:55, [20, 169]] = True  # its ticks
    expected[65, 80:135] = True  # the heart, half-way between the rows of its end points
    expected[56:70, 80] = True  # vertical ticks up to the end points
    expected[61:75, 134] = True
    assert {*zip(rows, columns, strict=True)} == {*zip(*np.nonzero(expected), strict=True)}
    # A black border of one pixel, and nothing beyond it.
    near = np.zeros_like(expected)
    for row, column in zip(*np.nonzero(expected), strict=True):
        near[row - 1 : row + 2, column - 1 : column + 2] = True
    np.testing.assert_array_equal(changed, near[top:])
    assert (picture[top:][changed & ~white] == 0).all()


@pytest.mark.parametrize(("scale", "shape"), [(4, (120, 200)), (1, (480, 800)), (3, (250, 410))])
def test_lines_end_at_the_same_points_in_pictures_of_other_sizes(scale, shape):
    """Tolerance: one pixel of the picture or the label map, plus the line's thickness."""
    labels = chest(scale)
    _, white, _, _ = drawn(labels, shape)
    columns = np.nonzero(white.any(axis=0))[0]
    across = shape[1] / 200
    slack = max(1, across / 2) + max(1, min(shape) // 400)
    assert abs(columns[0] + 0.5 - 20.5 * across) <= slack
    assert abs(columns[-1] + 0.5 - 169.5 * across) <= slack


def test_missing_measurements_are_not_drawn():
    nothing = np.full((50, 60, 3), GREY, np.uint8)
    draw_measurements(nothing, measure(np.zeros((50, 60), np.uint8)), (50, 60))
    assert (nothing == GREY).all()
    labels = chest()
    labels[labels == 2] = 0
    picture, white, _, top = drawn(labels, labels.shape)
    assert (picture[:top] == GREY).all()  # without a heart there is no ratio
    assert {*(np.nonzero(white)[0] + top)} == {*range(46, 55)}  # the thorax's line alone
    labels[:, 100:] = 0
    assert (drawn(labels, labels.shape)[0] == GREY).all()


def test_lines_are_cropped_to_the_picture():
    labels = np.full((40, 30), 3, np.uint8)
    labels[39, 10:20] = 2
    picture = np.full((40, 30, 3), GREY, np.uint8)
    draw_measurements(picture, measure(labels), labels.shape)
    assert (picture[20] == WHITE).all()  # the thorax: every column, in the middle row
    assert (picture[39, 10:20] == WHITE).all()  # the heart, in the last row
    assert (picture[0] == GREY).all()  # no tick wraps around to the top
    assert (picture[39, [0, 29]] == GREY).all()
    tiny = np.full((1, 1, 3), GREY, np.uint8)
    draw_measurements(tiny, measure(labels), labels.shape)


@pytest.mark.parametrize("height", [7, 9, 20, 60])
def test_text_is_white_on_black_with_the_requested_height(height):
    picture = np.full((4 * height, 12 * height, 3), GREY, np.uint8)
    write(picture, "CTR 0.48", (height, height), height)
    assert (picture[..., 0] == picture[..., 1]).all()
    assert (picture[..., 0] == picture[..., 2]).all()
    rows, columns = np.nonzero(picture[..., 0] != GREY)
    assert (rows.min(), columns.min()) == (height, height)
    box = picture[height : rows.max() + 1, height : columns.max() + 1, 0]
    edge = np.concatenate([box[0], box[-1], box[:, 0], box[:, -1]])
    assert (edge == 0).mean() > 0.95
    assert box.max() >= 250
    lit = np.nonzero((box > 128).any(axis=1))[0]
    assert abs(lit[-1] - lit[0] + 1 - height) <= max(1, 0.05 * height)


def test_letters_and_digits_differ_and_text_is_cropped_to_the_picture():
    def shown(character):
        picture = np.full((20, 20, 3), GREY, np.uint8)
        write(picture, character, (0, 0), 9)
        return picture.tobytes()

    assert len({shown(character) for character in "0123456789.CTR"}) == 14
    small, large = np.zeros((5, 9, 3), np.uint8), np.zeros((40, 90, 3), np.uint8)
    for picture in (small, large):
        write(picture, "CTR 0.48", (0, 0), 9)
    np.testing.assert_array_equal(small, large[:5, :9])


def test_the_value_drawn_is_the_ratio():
    labels = chest()
    picture, *_ = drawn(labels, (400, 600))
    ratio = measure(labels).cardiothoracic_ratio
    assert ratio == 55 / 150
    expected = np.full((400, 600, 3), GREY, np.uint8)
    write(expected, "CTR 0.37", (4, 4), 14)
    np.testing.assert_array_equal(picture[:40], expected[:40])
    assert (expected == WHITE).all(axis=2).sum() > 100


def test_the_overlay_draws_lines_on_request():
    labels = chest(scale=2)
    radiograph = np.arange(labels.size, dtype=np.uint16).reshape(labels.shape)
    result = Segmentation(Radiograph(radiograph), labels, np.zeros((1, 1, 4), np.float32))
    for longest in (None, 200):
        plain, lined = result.overlay(longest), result.overlay(longest, measurements=True)
        assert plain.shape == lined.shape == ((120, 200, 3) if longest else (240, 400, 3))
        expected = plain.copy()
        draw_measurements(expected, measure(labels), labels.shape)
        assert not np.array_equal(plain, expected)
        np.testing.assert_array_equal(lined, expected)
        np.testing.assert_array_equal(plain, result.overlay(longest))


def test_lines_option_of_the_command(tmp_path, monkeypatch):
    """The overlay changes at the lines in results.csv, and only near them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.delenv("XRAYSEG_WEIGHTS", raising=False)
    radiograph = (make_phantom(1, 256).radiograph * 255).astype(np.uint8)
    (tmp_path / "radiograph.png").write_bytes(imagecodecs.png_encode(radiograph))
    pictures = []
    for out, more in (("plain", []), ("lined", ["--lines"]), ("sided", ["--lines", "--sides"])):
        with pytest.raises(SystemExit) as stop:
            main(["batch", "radiograph.png", "-o", out, "-q", *more])
        assert stop.value.code == 0
        data = (tmp_path / out / "overlay" / "radiograph.jpg").read_bytes()
        pictures.append(imagecodecs.jpeg_decode(data).astype(int))
        facts = json.loads((tmp_path / out / "run.json").read_text("utf-8"))
        assert facts["settings"]["lines"] is (out != "plain")
    plain, lined, sided = pictures
    np.testing.assert_array_equal(lined, sided)
    assert max(plain.shape) == 256 <= OVERLAY_SIDE
    with (tmp_path / "lined" / "results.csv").open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    changed = abs(plain - lined).max(axis=2) > 40  # more than JPEG artefacts
    for name in ("heart", "thorax"):
        ends = [
            [int(row[f"{name}_{side}_{axis}_px"]) for axis in "xy"] for side in ("right", "left")
        ]
        level = (ends[0][1] + ends[1][1]) // 2
        assert changed[level, ends[0][0] : ends[1][0] + 1].mean() > 0.7
        for x, y in ends:
            assert lined[y, x].min() > 150
    expected = np.zeros((256, 256, 3), np.uint8)
    write(expected, f"CTR {float(row['cardiothoracic_ratio']):.2f}", (2, 2), 9)
    bits = expected[2:13, 2:55, 0] > 128
    assert ((lined[2:13, 2:55].mean(axis=2) > 128) == bits).mean() > 0.97
    near = np.zeros_like(changed)
    rows, columns = np.nonzero((lined.min(axis=2) > 180) & changed)
    for row_, column in zip(rows, columns, strict=True):
        near[max(0, row_ - 12) : row_ + 13, max(0, column - 12) : column + 13] = True
    near[:20, :60] = True
    assert not (changed & ~near).any()


def test_adding_or_removing_lines_writes_overlays_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.delenv("XRAYSEG_WEIGHTS", raising=False)
    radiograph = (make_phantom(1, 128).radiograph * 255).astype(np.uint8)
    (tmp_path / "radiograph.png").write_bytes(imagecodecs.png_encode(radiograph))
    seen = []
    for more in ([], ["--lines"], ["--lines"], []):
        with pytest.raises(SystemExit):
            main(["batch", "radiograph.png", "-o", "out", "-q", *more])
        facts = json.loads((tmp_path / "out" / "run.json").read_text("utf-8"))
        picture = (tmp_path / "out" / "overlay" / "radiograph.jpg").read_bytes()
        seen.append((facts["counts"]["done"], picture))
    assert [done for done, _ in seen] == [1, 1, 0, 1]
    assert seen[0][1] == seen[3][1] != seen[1][1] == seen[2][1]
