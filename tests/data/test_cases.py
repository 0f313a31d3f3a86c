"""Cases found in folders as SCR is distributed, split, merged, laid on a grid."""

import hashlib
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.tiny import (
    PARTS,
    block_mean,
    lay_out,
    slow_merge,
    slow_normalise,
    touch,
    write_cases,
    write_gif,
    write_png,
)
from xray_seg.data.cases import (
    STUDY_SHARES,
    Case,
    find_cases,
    fingerprint,
    fold_cases,
    load_arrays,
    load_case,
    read_truth,
    split_cases,
)
from xray_seg.errors import DatasetError, ReadError
from xray_seg.preprocessing.preprocessor import Preprocessor
from xray_seg.readers import read


def test_films_are_paired_with_masks_of_both_folds_in_order_of_names(tmp_path):
    images, masks = lay_out(tmp_path, ["JPCNN002", "JPCLN001", "JPCLN002"])
    cases = find_cases(images, masks)
    assert [case.name for case in cases] == ["JPCLN001", "JPCLN002", "JPCNN002"]
    assert cases[0].image == images / "JPCLN001.IMG"
    assert cases[0].masks == {
        part: masks / "fold1" / "masks" / part / "JPCLN001.gif" for part in PARTS
    }
    assert cases[1].masks["heart"] == masks / "fold2" / "masks" / "heart" / "JPCLN002.gif"


@pytest.mark.parametrize("fold", ["", "masks", "any/depth/at/all"])
def test_flat_and_deep_mask_folders_are_found_too(tmp_path, fold):
    images, masks = lay_out(tmp_path, ["A001", "A002"], ".png", fold=lambda name: fold)
    assert [case.name for case in find_cases(str(images), str(masks))] == ["A001", "A002"]


def test_films_of_several_folders_and_kinds_are_one_list(tmp_path):
    images, masks = lay_out(tmp_path, ["A001"], ".png")
    lay_out(tmp_path, ["A002"], ".IMG")
    (images / "deeper").mkdir()
    (images / "A002.IMG").rename(images / "deeper" / "A002.IMG")
    assert [case.image.name for case in find_cases(images, masks)] == ["A001.png", "A002.IMG"]


def test_hidden_files_and_masks_without_a_film_are_left_aside(tmp_path):
    images, masks = lay_out(tmp_path, ["A001", "A002"])
    (images / "A002.IMG").unlink()
    touch(images / ".DS_Store")
    touch(masks / "fold1" / "masks" / "heart" / "._A001.gif")
    assert [case.name for case in find_cases(images, masks)] == ["A001"]


def test_a_missing_mask_is_told_by_film_and_organ(tmp_path):
    images, masks = lay_out(tmp_path, ["A001", "A002"])
    (masks / "fold2" / "masks" / "left lung" / "A002.gif").unlink()
    (masks / "fold2" / "masks" / "heart" / "A002.gif").unlink()
    with pytest.raises(DatasetError) as told:
        find_cases(images, masks)
    assert "1 of 2 radiographs" in str(told.value)
    assert re.search(r"A002 \((heart, left lung|left lung, heart)\)", str(told.value))
    assert str(masks) in str(told.value)
    assert "A001" not in str(told.value)


def test_of_many_films_without_masks_five_are_named(tmp_path):
    images, masks = lay_out(tmp_path, [f"A{number:03d}" for number in range(1, 10)])
    for path in masks.rglob("heart/*.gif"):
        if path.stem != "A001":
            path.unlink()
    with pytest.raises(DatasetError, match=r"8 of 9 .* \.\.\.") as told:
        find_cases(images, masks)
    assert len(re.findall(r"A\d{3}", str(told.value))) == 5


def test_a_missing_organ_folder_is_told_by_name(tmp_path):
    images, masks = lay_out(tmp_path, ["A001"])
    shutil.rmtree(masks / "fold1" / "masks" / "right clavicle")
    with pytest.raises(DatasetError, match="'right clavicle'"):
        find_cases(images, masks)


def test_a_missing_or_empty_folder_is_told_by_path(tmp_path):
    images, masks = lay_out(tmp_path, ["A001"])
    with pytest.raises(DatasetError, match=f"{re.escape(str(tmp_path / 'nowhere'))}: no such"):
        find_cases(tmp_path / "nowhere", masks)
    with pytest.raises(DatasetError, match=f"{re.escape(str(tmp_path / 'nowhere'))}: no such"):
        find_cases(images, tmp_path / "nowhere")
    (tmp_path / "none").mkdir()
    with pytest.raises(DatasetError, match="none: no radiographs"):
        find_cases(tmp_path / "none", masks)


def test_two_files_of_one_name_are_both_told(tmp_path):
    images, masks = lay_out(tmp_path, ["A001"])
    touch(images / "A001.png")
    with pytest.raises(DatasetError) as told:
        find_cases(images, masks)
    assert str(images / "A001.png") in str(told.value)
    assert str(images / "A001.IMG") in str(told.value)


def write_masks(folder, masks, name="A001"):
    paths = {part: write_gif(folder / part / f"{name}.gif", mask) for part, mask in masks.items()}
    return Case(name, folder / f"{name}.png", paths)


def random_masks(seed, shape=(21, 17)):
    random = np.random.default_rng(seed)
    return {part: random.random(shape) < 0.4 for part in PARTS}


def test_where_masks_overlap_clavicles_hide_the_heart_and_the_heart_hides_lungs(tmp_path):
    masks = random_masks(1)
    truth = read_truth(write_masks(tmp_path, masks))
    assert truth.dtype == np.uint8
    np.testing.assert_array_equal(truth, slow_merge(masks))
    assert (masks["heart"] & masks["left lung"] & (truth == 2)).any()


def test_masks_may_be_of_any_format_and_grey_value(tmp_path):
    masks = random_masks(2)
    case = write_masks(tmp_path, masks)
    case.masks["heart"] = write_png(tmp_path / "heart.png", masks["heart"].astype(np.uint8))
    np.testing.assert_array_equal(read_truth(case), slow_merge(masks))


def test_masks_of_different_sizes_are_told(tmp_path):
    case = write_masks(tmp_path, random_masks(3))
    write_gif(case.masks["heart"], np.ones((5, 6), bool))
    with pytest.raises(DatasetError, match=r"A001: its masks differ in size.*\(5, 6\)"):
        read_truth(case)


def test_masks_that_are_all_empty_are_told(tmp_path):
    case = write_masks(tmp_path, {part: np.zeros((8, 8), bool) for part in PARTS})
    with pytest.raises(DatasetError, match=r"A001: .*empty"):
        read_truth(case)


def test_a_mask_that_is_no_image_is_told_by_path(tmp_path):
    case = write_masks(tmp_path, random_masks(4))
    case.masks["heart"].write_text("not a gif at all")
    with pytest.raises(ReadError, match=re.escape(str(case.masks["heart"]))):
        read_truth(case)


def test_a_film_and_its_truth_lie_on_the_grid_as_block_means(tmp_path):
    """A film of 24 x 48 on a grid of 12 covers rows 3 to 8, a block of 4 x 4 a pixel."""
    noise = np.random.default_rng(5).integers(0, 128, (24, 48), np.uint8)
    film = noise + 5 * np.arange(24, dtype=np.uint8)[:, None]  # brighter below, as a chest is
    masks = random_masks(5, (24, 48))
    case = write_masks(tmp_path, masks)
    write_png(case.image, film)
    image, fractions = load_case(case, 12)
    assert image.dtype == np.float32
    assert fractions.dtype == np.uint8
    expected = np.zeros((12, 12))
    expected[3:9] = slow_normalise(block_mean(film, 4))
    np.testing.assert_allclose(image, expected, atol=1e-5)
    shares = np.zeros((12, 12, 4))
    shares[..., 0] = 1
    shares[3:9] = block_mean(np.eye(4)[slow_merge(masks)], 4)
    assert np.abs(fractions / 255 - shares).max() <= 0.5 / 255 + 1e-6


def test_a_dark_boned_export_is_turned_as_inference_turns_it(tmp_path):
    (case,) = write_cases(tmp_path / "plain", 1, 256)
    (dark,) = write_cases(tmp_path / "dark", 1, 256)
    write_png(dark.image, 255 - read(case.image).pixels)
    np.testing.assert_allclose(load_case(dark, 32)[0], load_case(case, 32)[0], atol=1e-5)
    np.testing.assert_array_equal(load_case(dark, 32)[0], Preprocessor(32)(read(dark.image)).grid)


def test_masks_coarser_than_the_film_cover_the_same_part_of_the_grid(tmp_path):
    masks = random_masks(6, (16, 16))
    case = write_masks(tmp_path, masks)
    film = np.random.default_rng(6).integers(0, 256, (32, 32), np.uint8)
    write_png(case.image, film)
    image, fractions = load_case(case, 8)
    np.testing.assert_allclose(image, slow_normalise(block_mean(film, 4)), atol=1e-5)
    shares = block_mean(np.eye(4)[slow_merge(masks)], 2)
    assert np.abs(fractions / 255 - shares).max() <= 0.5 / 255 + 1e-6


def test_arrays_are_the_cases_in_order_and_progress_is_told(tmp_path):
    cases = write_cases(tmp_path, 3)[::-1]
    told = []
    arrays = load_arrays(cases, 16, told.append)
    assert told == [1, 2, 3]
    assert arrays.images.shape == (3, 16, 16)
    assert arrays.fractions.shape == (3, 16, 16, 4)
    for case, image, fractions in zip(cases, arrays.images, arrays.fractions, strict=True):
        alone = load_case(case, 16)
        np.testing.assert_array_equal(image, alone[0])
        np.testing.assert_array_equal(fractions, alone[1])


def test_a_fingerprint_is_of_contents_and_not_of_places(tmp_path):
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


def named(nodules, others):
    names = [f"JPCLN{n:03d}" for n in range(nodules)] + [f"JPCNN{n:03d}" for n in range(others)]
    return [Case(name, Path(name), {}) for name in names]


def names_of(*parts):
    return [{case.name for case in part} for part in parts]


@settings(deadline=None)
@given(
    nodules=st.integers(10, 60),
    others=st.integers(10, 60),
    seed=st.integers(0, 5),
    mixer=st.randoms(use_true_random=False),
)
def test_a_split_is_complete_and_disjoint_and_the_same_in_any_order(nodules, others, seed, mixer):
    cases = named(nodules, others)
    split = split_cases(cases, seed, 0.2, 0.1)
    parts = names_of(split.train, split.validation, split.test)
    assert sum(map(len, parts)) == len(cases)
    assert set.union(*parts) == {case.name for case in cases}
    assert split.seed == seed
    mixer.shuffle(cases)
    again = split_cases(cases, seed, 0.2, 0.1)
    assert names_of(again.train, again.validation, again.test) == parts


def test_each_stratum_gives_its_share():
    split = split_cases(named(30, 20), 0, validation=0.1, test=0.2)
    for part, nodules, others in ((split.validation, 3, 2), (split.test, 6, 4)):
        strata = [case.stratum for case in part]
        assert (strata.count("JPCLN"), strata.count("JPCNN")) == (nodules, others)


@pytest.mark.parametrize(
    "names",
    [
        [f"MCUCXR_{n:04}_{n % 2}" for n in range(138)],
        [f"{n:08}_000" for n in range(138)],
        [hashlib.md5(bytes([n]), usedforsecurity=False).hexdigest() for n in range(138)],
    ],
)
def test_names_of_other_databases_give_a_share_as_well(names):
    split = split_cases([Case(name, Path(name), {}) for name in names], 0, 0.1, 0.1)
    for part in (split.validation, split.test):
        assert 12 <= len(part) <= 16


def test_another_seed_gives_another_split():
    chosen = {frozenset(*names_of(split_cases(named(50, 40), s).validation)) for s in range(8)}
    assert len(chosen) == 8


def test_the_split_of_a_few_cases_does_not_hang_on_their_order_either():
    cases = named(2, 2)
    assert names_of(split_cases(cases).validation) == names_of(split_cases(cases[::-1]).validation)


@pytest.mark.parametrize(("nodules", "others"), [(5, 0), (5, 5)])
def test_the_studys_split_of_a_few_cases_is_disjoint(nodules, others):
    for seed in range(20):
        split = split_cases(named(nodules, others), seed, *STUDY_SHARES)
        parts = names_of(split.train, split.validation, split.test)
        assert sum(map(len, parts)) == nodules + others


@settings(deadline=None)
@given(
    nodules=st.integers(0, 40),
    others=st.integers(12, 40),
    folds=st.integers(2, 12),
    seed=st.integers(0, 5),
)
def test_each_case_validates_in_one_of_the_folds_and_folds_are_even(nodules, others, folds, seed):
    cases = named(nodules, others)
    splits = [fold_cases(cases, fold, folds, seed) for fold in range(1, folds + 1)]
    validated = [case.name for split in splits for case in split.validation]
    assert sorted(validated) == sorted(case.name for case in cases)
    for split in splits:
        train, validation = names_of(split.train, split.validation)
        assert train | validation == {case.name for case in cases}
        assert not train & validation
    for stratum in ("", "JPCLN", "JPCNN"):
        sizes = [
            sum(case.name.startswith(stratum) for case in split.validation) for split in splits
        ]
        assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_cases_to_split_are_told(count):
    with pytest.raises(DatasetError, match=f"{count} cases are too few"):
        split_cases(named(count, 0))
    with pytest.raises(DatasetError, match=f"{count} cases are too few"):
        fold_cases(named(count, 0), 1, 2)


def test_the_222_real_cases_split_into_198_and_24_of_both_kinds(jsrt):
    cases = find_cases(jsrt / "images", jsrt / "scr")
    split = split_cases(cases)
    assert [len(part) for part in (cases, split.train, split.validation)] == [222, 198, 24]
    share = sum(case.stratum == "JPCLN" for case in cases) / 222
    nodules = sum(case.stratum == "JPCLN" for case in split.validation)
    assert abs(nodules - 24 * share) < 1


def test_a_real_film_has_its_right_lung_on_the_left_and_its_heart_between(jsrt):
    case = find_cases(jsrt / "images", jsrt / "scr")[0]
    truth = read_truth(case)
    assert truth.shape == (1024, 1024)
    share = [np.mean(truth == label) for label in range(4)]
    assert share[1] < share[2] < share[3] < share[0]
    image, fractions = load_case(case, 64)
    lung, heart = fractions[..., 3] == 255, fractions[..., 2] == 255
    assert image[lung].mean() < image[heart].mean()
    columns = [np.nonzero(mask)[1].mean() for mask in (lung[:, :32], heart)]
    assert columns[0] < columns[1] < np.nonzero(lung[:, 32:])[1].mean() + 32
