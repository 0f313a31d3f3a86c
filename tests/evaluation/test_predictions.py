"""Scores of existing label maps."""

import imagecodecs
import numpy as np
import pytest
import tifffile

from helpers.tiny import write_cases, write_png
from xray_seg.data.cases import read_truth
from xray_seg.errors import DatasetError, ReadError
from xray_seg.evaluation.predictions import find_predictions, score_predictions
from xray_seg.postprocessing.laterality import split_sides


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    return write_cases(tmp_path_factory.mktemp("cases"), 3)


def write_tiff(path, labels):
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, labels, photometric="minisblack")


def scores_of(folder, cases, **options):
    return score_predictions(find_predictions(folder), cases, **options)


def test_the_masks_themselves_score_one(cases, tmp_path):
    first, second, third = cases
    write_tiff(tmp_path / "a.1" / f"{first.name}.TIF", read_truth(first))
    write_png(tmp_path / f"{second.name}.png", split_sides(read_truth(second)))
    write_tiff(tmp_path / f"{third.image.name}.tif", read_truth(third))
    done = []
    scores, missing = scores_of(tmp_path, cases, spacing=0.5, on_progress=done.append)
    assert (missing, done) == ([], [1, 2, 3])
    assert [each.name for each in scores] == [case.name for case in cases]
    for each in scores:
        assert (each.accuracy, each.loss) == (1, None)
        for organ in each.organs.values():
            assert organ["dice"] == organ["jaccard"] == 1
            assert organ["hd95_mm"] == organ["hd95_px"] == 0


@pytest.mark.parametrize("scale", [2, 3])
def test_finer_label_maps_are_sampled_at_the_centres_of_mask_pixels(cases, tmp_path, scale):
    found = np.roll(read_truth(cases[0]), 5, axis=0)
    fine = (
        np.kron(found, np.ones((scale, 1), np.uint8))
        if scale == 3
        else np.kron(found, np.ones((scale, scale), np.uint8))
    )
    write_tiff(tmp_path / "one" / f"{cases[0].name}.tif", found)
    write_tiff(tmp_path / "fine" / f"{cases[0].name}.tif", fine)
    one, fine_scores = (scores_of(tmp_path / name, cases[:1])[0][0] for name in ("one", "fine"))
    assert fine_scores == one
    assert one.organs["lungs"]["dice"] < 0.95


def test_cases_without_a_label_map_are_returned(cases, tmp_path):
    write_tiff(tmp_path / f"{cases[1].name}.tif", read_truth(cases[1]))
    write_tiff(tmp_path / "OTHER.tif", read_truth(cases[1]))
    scores, missing = scores_of(tmp_path, cases)
    assert [each.name for each in scores] == [cases[1].name]
    assert missing == [cases[0], cases[2]]


@pytest.mark.parametrize("second", ["{name}.png", "ward/{name}.tif", "{name}.png.tif"])
def test_two_label_maps_of_a_case_are_an_error_that_names_both(cases, tmp_path, second):
    name = cases[0].name
    write_tiff(tmp_path / f"{name}.tif", read_truth(cases[0]))
    write_tiff(tmp_path / second.format(name=name), read_truth(cases[0]))
    with pytest.raises(DatasetError, match="keep one of them") as error:
        scores_of(tmp_path, cases)
    assert str(tmp_path / f"{name}.tif") in str(error.value)
    assert second.format(name=name) in str(error.value)
    assert len(scores_of(tmp_path, cases[1:])[1]) == 2  # no matter for other cases


def test_of_an_output_folder_of_a_batch_run_the_label_maps_are_taken(cases, tmp_path):
    name, truth = cases[0].name, read_truth(cases[0])
    write_tiff(tmp_path / "labels" / "ward" / f"{name}.tif", truth)
    write_tiff(tmp_path / "probabilities" / f"{name}.tif", np.zeros((4, 64, 64), np.uint16))
    write_tiff(tmp_path / "organs" / f"{name}.heart.tif", truth)
    (tmp_path / ".xrayseg").mkdir()
    (scores,), _ = scores_of(tmp_path, cases)
    assert scores.accuracy == 1


def test_folders_without_label_maps_are_errors(cases, tmp_path):
    with pytest.raises(DatasetError, match="gone: no such folder"):
        find_predictions(tmp_path / "gone")
    write_tiff(tmp_path / ".hidden" / "a.tif", read_truth(cases[0]))
    (tmp_path / "results.csv").touch()
    with pytest.raises(DatasetError, match="no label maps"):
        find_predictions(tmp_path)


def test_an_image_that_is_no_label_map_is_named(cases, tmp_path):
    path = tmp_path / f"{cases[0].name}.png"
    path.write_bytes(imagecodecs.png_encode(np.full((64, 64), 255, np.uint8)))
    with pytest.raises(ReadError, match=f"{path.name}: holds values up to 255"):
        scores_of(tmp_path, cases)
