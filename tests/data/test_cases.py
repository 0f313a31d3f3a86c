"""Pairing of radiographs and masks in the SCR layout, merging of masks, fingerprints."""

import re
import shutil

import numpy as np
import pytest

from helpers.masks import random_masks, write_masks
from helpers.tiny import PARTS, lay_out, slow_merge, touch, write_cases, write_gif, write_png
from xray_seg.data.cases import find_cases, fingerprint, read_truth
from xray_seg.errors import DatasetError, ReadError


def test_radiographs_are_paired_with_masks_of_both_folds_sorted_by_name(tmp_path):
    images, masks = lay_out(tmp_path, ["JPCNN002", "JPCLN001", "JPCLN002"])
    cases = find_cases(images, masks)
    assert [case.name for case in cases] == ["JPCLN001", "JPCLN002", "JPCNN002"]
    assert cases[0].image == images / "JPCLN001.IMG"
    assert cases[0].masks == {
        part: masks / "fold1" / "masks" / part / "JPCLN001.gif" for part in PARTS
    }
    assert cases[1].masks["heart"] == masks / "fold2" / "masks" / "heart" / "JPCLN002.gif"


@pytest.mark.parametrize("fold", ["", "masks", "any/depth/at/all"])
def test_mask_folders_are_found_at_any_depth(tmp_path, fold):
    images, masks = lay_out(tmp_path, ["A001", "A002"], ".png", fold=lambda name: fold)
    assert [case.name for case in find_cases(str(images), str(masks))] == ["A001", "A002"]


def test_radiographs_of_several_folders_and_formats_are_one_list(tmp_path):
    images, masks = lay_out(tmp_path, ["A001"], ".png")
    lay_out(tmp_path, ["A002"], ".IMG")
    (images / "deeper").mkdir()
    (images / "A002.IMG").rename(images / "deeper" / "A002.IMG")
    assert [case.image.name for case in find_cases(images, masks)] == ["A001.png", "A002.IMG"]


def test_hidden_files_and_masks_without_a_radiograph_are_ignored(tmp_path):
    images, masks = lay_out(tmp_path, ["A001", "A002"])
    (images / "A002.IMG").unlink()
    touch(images / ".DS_Store")
    touch(masks / "fold1" / "masks" / "heart" / "._A001.gif")
    assert [case.name for case in find_cases(images, masks)] == ["A001"]


@pytest.mark.parametrize("place", ["masks", "ward/night/masks"])
def test_output_folders_of_batch_runs_are_not_taken_for_radiographs(tmp_path, place):
    images, masks = lay_out(tmp_path, ["A001", "A002"])
    for out in (images / place, masks / place):
        touch(out / ".xrayseg" / "journal.jsonl")
        touch(out / "labels" / "A001.tif")
        touch(out / "results.csv")
        touch(out / "heart" / "A001.png")
    cases = find_cases(images, masks)
    assert [case.image for case in cases] == [images / "A001.IMG", images / "A002.IMG"]
    assert cases[0].masks["heart"] == masks / "fold1" / "masks" / "heart" / "A001.gif"


def test_radiographs_beside_an_output_folder_are_still_found(tmp_path):
    images, masks = lay_out(tmp_path, ["A001"])
    (images / "ward").mkdir()
    (images / "A001.IMG").rename(images / "ward" / "A001.IMG")
    touch(images / "ward" / "masks" / ".xrayseg" / "journal.jsonl")
    touch(images / "ward" / "masks" / "labels" / "A001.tif")
    assert [case.image for case in find_cases(images, masks)] == [images / "ward" / "A001.IMG"]


def test_hidden_folders_are_ignored(tmp_path):
    images, masks = lay_out(tmp_path, ["A001"])
    touch(images / ".ipynb_checkpoints" / "A001.png")
    touch(images / ".xrayseg" / "journal.jsonl")
    assert [case.name for case in find_cases(images, masks)] == ["A001"]


def test_a_missing_mask_is_reported_by_radiograph_and_structure(tmp_path):
    images, masks = lay_out(tmp_path, ["A001", "A002"])
    (masks / "fold2" / "masks" / "left lung" / "A002.gif").unlink()
    (masks / "fold2" / "masks" / "heart" / "A002.gif").unlink()
    with pytest.raises(DatasetError) as raised:
        find_cases(images, masks)
    assert "1 of 2 radiographs" in str(raised.value)
    assert re.search(r"A002 \((heart, left lung|left lung, heart)\)", str(raised.value))
    assert str(masks) in str(raised.value)
    assert "A001" not in str(raised.value)


def test_at_most_five_radiographs_without_masks_are_named(tmp_path):
    images, masks = lay_out(tmp_path, [f"A{number:03d}" for number in range(1, 10)])
    for path in masks.rglob("heart/*.gif"):
        if path.stem != "A001":
            path.unlink()
    with pytest.raises(DatasetError, match=r"8 of 9 .* \.\.\.") as raised:
        find_cases(images, masks)
    assert len(re.findall(r"A\d{3}", str(raised.value))) == 5


def test_a_missing_structure_folder_is_reported_by_name(tmp_path):
    images, masks = lay_out(tmp_path, ["A001"])
    shutil.rmtree(masks / "fold1" / "masks" / "right clavicle")
    with pytest.raises(DatasetError, match="'right clavicle'"):
        find_cases(images, masks)


def test_a_missing_or_empty_folder_is_reported_by_path(tmp_path):
    images, masks = lay_out(tmp_path, ["A001"])
    with pytest.raises(DatasetError, match=f"{re.escape(str(tmp_path / 'nowhere'))}: no such"):
        find_cases(tmp_path / "nowhere", masks)
    with pytest.raises(DatasetError, match=f"{re.escape(str(tmp_path / 'nowhere'))}: no such"):
        find_cases(images, tmp_path / "nowhere")
    (tmp_path / "none").mkdir()
    with pytest.raises(DatasetError, match="none: no radiographs"):
        find_cases(tmp_path / "none", masks)


def test_two_files_of_one_name_are_both_reported(tmp_path):
    images, masks = lay_out(tmp_path, ["A001"])
    touch(images / "A001.png")
    with pytest.raises(DatasetError) as raised:
        find_cases(images, masks)
    assert str(images / "A001.png") in str(raised.value)
    assert str(images / "A001.IMG") in str(raised.value)


def test_overlapping_masks_are_merged_by_precedence(tmp_path):
    masks = random_masks(1)
    truth = read_truth(write_masks(tmp_path, masks))
    assert truth.dtype == np.uint8
    np.testing.assert_array_equal(truth, slow_merge(masks))
    assert (masks["heart"] & masks["left lung"] & (truth == 2)).any()


def test_masks_may_have_any_format_and_grey_value(tmp_path):
    masks = random_masks(2)
    case = write_masks(tmp_path, masks)
    case.masks["heart"] = write_png(tmp_path / "heart.png", masks["heart"].astype(np.uint8))
    np.testing.assert_array_equal(read_truth(case), slow_merge(masks))


def test_masks_of_different_sizes_are_refused(tmp_path):
    case = write_masks(tmp_path, random_masks(3))
    write_gif(case.masks["heart"], np.ones((5, 6), bool))
    with pytest.raises(DatasetError, match=r"A001: its masks differ in size.*\(5, 6\)"):
        read_truth(case)


def test_empty_masks_are_refused(tmp_path):
    case = write_masks(tmp_path, {part: np.zeros((8, 8), bool) for part in PARTS})
    with pytest.raises(DatasetError, match=r"A001: .*empty"):
        read_truth(case)


def test_an_unreadable_mask_is_reported_by_path(tmp_path):
    case = write_masks(tmp_path, random_masks(4))
    case.masks["heart"].write_text("not a gif at all")
    with pytest.raises(ReadError, match=re.escape(str(case.masks["heart"]))):
        read_truth(case)


def test_a_fingerprint_depends_on_contents_and_not_on_paths(tmp_path):
    cases = write_cases(tmp_path / "here", 2)
    before = fingerprint(cases)
    assert re.fullmatch("[0-9a-f]{64}", before)
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    there = find_cases(tmp_path / "there" / "images", tmp_path / "there" / "scr")
    assert fingerprint(there) == before
    assert fingerprint(cases[:1]) != before


@pytest.mark.parametrize("which", ["image", "left lung"])
def test_a_fingerprint_changes_with_any_byte_of_any_file(tmp_path, which):
    cases = write_cases(tmp_path, 2)
    before = fingerprint(cases)
    path = cases[1].image if which == "image" else cases[1].masks[which]
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert fingerprint(cases) != before
