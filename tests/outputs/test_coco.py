"""COCO data sets and CheXmask tables of one or many images, read by pycocotools and csv."""

import json

import numpy as np
import pytest

from helpers.coco import check_image, chest, load, rows_of, segmentation
from helpers.outputs import save_outputs
from helpers.reference import slow_fill, slow_paint
from xray_seg.errors import OutputError
from xray_seg.labels import ORGAN_LABELS, ORGANS, RIGHT_LEFT_LABELS
from xray_seg.outputs import merge_outputs
from xray_seg.postprocessing.laterality import split_sides

# Raised by pycocotools with NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

_NOISE = np.random.default_rng(4).integers(0, 4, (20, 30)).astype(np.uint8)


@pytest.mark.parametrize("kind", ["rle", "contours"])
@pytest.mark.parametrize("sides", [False, True])
@pytest.mark.parametrize(
    "labels", [chest(1), _NOISE, np.zeros((5, 4), np.uint8)], ids=["chest", "noise", "empty"]
)
def test_the_data_set_of_one_image(tmp_path, kind, sides, labels):
    (path,) = save_outputs(tmp_path, "ward/x", [kind], ".tif", segmentation(labels), sides).paths
    assert path == tmp_path / kind / "ward" / "x.json"
    data = load(path)
    (image,) = data.loadImgs(data.getImgIds())
    assert image["file_name"] == "ward/x.png"
    assert (image["height"], image["width"]) == labels.shape
    shown = split_sides(labels) if sides else labels
    check_image(data, image["id"], shown, RIGHT_LEFT_LABELS.structures if sides else ORGANS)
    assert ("column-major, zeros first" in data.dataset["info"]["segmentation"]) == (kind == "rle")
    assert ("right lung is on the left" in data.dataset["info"].get("sides", "")) == sides


def test_right_and_left_parts_have_their_organ_as_supercategory(tmp_path):
    whole, sided = (
        json.loads(
            save_outputs(tmp_path, "x", ["rle"], "", segmentation(chest(1)), sides)
            .paths[0]
            .read_text()
        )["categories"]
        for sides in (False, True)
    )
    assert [each["name"] for each in whole] == ["clavicles", "heart", "lungs"]
    assert {each["name"]: each["supercategory"] for each in sided} == {
        "right clavicle": "clavicles",
        "left clavicle": "clavicles",
        "heart": "heart",
        "right lung": "lungs",
        "left lung": "lungs",
    }
    assert [each["id"] for each in sided] == [1, 2, 3, 4, 5]


def save_all(out, kinds, sides=False, count=3):
    maps, names = [], []
    for seed in range(count):
        labels = chest(seed, 64)[8 * seed :, : 64 - 4 * seed].copy()
        made = save_outputs(out, f"w/{seed}", kinds, ".tif", segmentation(labels), sides)
        names.append([path.relative_to(out).as_posix() for path in made.paths])
        maps.append(split_sides(labels) if sides else labels)
    return names, maps


@pytest.mark.parametrize(
    ("kinds", "sides"),
    [
        (("rle",), False),
        (("rle",), True),
        (("contours",), False),
        (("labels", "contours", "rle"), True),
    ],
    ids=str,
)
def test_the_data_set_of_many_images(tmp_path, kinds, sides):
    names, maps = save_all(tmp_path, kinds, sides)
    merge_outputs(tmp_path, "", kinds, RIGHT_LEFT_LABELS if sides else ORGAN_LABELS, lambda: names)
    data = load(tmp_path / "coco.json")
    assert data.getImgIds() == [1, 2, 3]
    notes = data.dataset["annotations"]
    assert [note["id"] for note in notes] == list(range(1, len(notes) + 1))
    for image, labels in zip(data.getImgIds(), maps, strict=True):
        check_image(data, image, labels, RIGHT_LEFT_LABELS.structures if sides else ORGANS)
    if "contours" in kinds and "rle" in kinds:
        for note in notes:
            labels = maps[note["image_id"] - 1]
            filled = sum(
                slow_fill(np.reshape(each, (-1, 2)), labels.shape) for each in note["contours"]
            )
            assert np.array_equal(filled, labels == note["category_id"])
            assert isinstance(note["segmentation"]["counts"], str)
        assert "sides of pixels" in data.dataset["info"]["contours"]


def test_merging_is_deterministic_and_leaves_no_temporary_files(tmp_path):
    names, _ = save_all(tmp_path, ("rle", "chexmask"))
    made = []
    for _ in range(2):
        merge_outputs(tmp_path, "-1-of-2", ("rle", "chexmask"), ORGAN_LABELS, lambda: names)
        made.append(
            [
                (tmp_path / f"{name}").read_bytes()
                for name in ("coco-1-of-2.json", "chexmask-1-of-2.csv")
            ]
        )
    assert made[0] == made[1]
    assert {path.name for path in tmp_path.iterdir()} == {
        "rle",
        "chexmask",
        "coco-1-of-2.json",
        "chexmask-1-of-2.csv",
    }


@pytest.mark.parametrize("harm", ["gone", "damaged", "not of sides", "a list"])
def test_an_image_with_a_missing_or_damaged_file_is_skipped(tmp_path, harm):
    names, maps = save_all(tmp_path, ("rle",))
    spoilt = tmp_path / names[1][0]
    if harm == "gone":
        spoilt.unlink()
    elif harm == "not of sides":
        save_outputs(tmp_path, "w/1", ["rle"], "", segmentation(maps[1]), True)
    else:
        spoilt.write_text("[]" if harm == "a list" else spoilt.read_text()[:-20])
    merge_outputs(tmp_path, "", ("rle",), ORGAN_LABELS, lambda: names)
    data = load(tmp_path / "coco.json")
    assert [each["file_name"] for each in data.dataset["images"]] == ["w/x.png", "w/x.png"]
    check_image(data, 2, maps[2], ORGANS)


def test_merging_no_images(tmp_path):
    merge_outputs(tmp_path, "", ("rle", "chexmask"), ORGAN_LABELS, list)
    data = load(tmp_path / "coco.json")
    assert (data.getImgIds(), data.getAnnIds()) == ([], [])
    assert rows_of(tmp_path / "chexmask.csv") == []


def test_memory_does_not_grow_with_the_number_of_images(tmp_path):
    import tracemalloc

    names, _ = save_all(tmp_path, ("rle", "contours", "chexmask"), count=2)
    kinds = ("rle", "contours", "chexmask")
    peaks = []
    for times in (50, 250):
        tracemalloc.start()
        merge_outputs(
            tmp_path, "", kinds, ORGAN_LABELS, lambda times=times: (each for each in names * times)
        )
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0] < 0.5 * (tmp_path / "coco.json").stat().st_size


def test_tables_have_the_columns_and_run_lengths_of_chexmask(tmp_path):
    names, maps = save_all(tmp_path, ("chexmask",))
    merge_outputs(tmp_path, "", ("chexmask",), ORGAN_LABELS, lambda: names)
    rows = rows_of(tmp_path / "chexmask.csv")
    assert [row["Image ID"] for row in rows] == ["w/x.png"] * 3
    for row, labels in zip(rows, maps, strict=True):
        shape = int(row["Height"]), int(row["Width"])
        assert shape == labels.shape
        for part in RIGHT_LEFT_LABELS.structures:
            mask = slow_paint(row[part.name.title()], shape)
            assert np.array_equal(mask, split_sides(labels) == part.label)
        assert row["Dialect"] == "row-major, 1-based start-length pairs"
        assert row["Landmarks"] == row["Dice RCA (Mean)"] == row["Dice RCA (Max)"] == ""


@pytest.mark.parametrize("name", ['a,b "c".png', "Thorax ä 胸.png", "two\nlines.png", "=1+1.png"])
def test_odd_names_are_kept(tmp_path, name):
    result = segmentation(chest(1), f"radiographs/{name}")
    made = save_outputs(tmp_path, "ward/x", ("rle", "chexmask"), "", result)
    names = [path.relative_to(tmp_path).as_posix() for path in made.paths]
    merge_outputs(tmp_path, "", ("rle", "chexmask"), ORGAN_LABELS, lambda: [names, names])
    assert [row["Image ID"] for row in rows_of(tmp_path / "chexmask.csv")] == [f"ward/{name}"] * 2
    assert load(tmp_path / "coco.json").loadImgs(2)[0]["file_name"] == f"ward/{name}"


@pytest.mark.parametrize("sides", [False, True])
def test_a_segmentation_saves_itself_as_json_and_csv(tmp_path, sides):
    labels = chest(2)
    result = segmentation(labels)
    result.save(tmp_path / "x.json", sides=sides)
    shown = split_sides(labels) if sides else labels
    check_image(
        load(tmp_path / "x.json"), 1, shown, RIGHT_LEFT_LABELS.structures if sides else ORGANS
    )
    result.save(tmp_path / "x.csv")
    (row,) = rows_of(tmp_path / "x.csv")
    assert np.array_equal(slow_paint(row["Heart"], labels.shape), labels == 2)


def test_a_path_that_is_a_folder_is_named(tmp_path):
    (tmp_path / "x.json").mkdir()
    with pytest.raises(OutputError, match=r"x\.json: cannot be written"):
        segmentation(chest(1)).save(tmp_path / "x.json")
