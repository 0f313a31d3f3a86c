"""Phantoms: reproducible, with the anatomy of a chest, written in the JSRT and SCR layouts."""

import numpy as np
import pytest

from helpers.tiny import slow_merge
from xray_seg.data.cases import find_cases, read_mask
from xray_seg.data.phantom import make_phantom, phantom_labels, to_jsrt, write_phantoms
from xray_seg.readers import read

SEEDS = range(12)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Two phantoms on disk: seeds 7 and 8."""
    folder = tmp_path_factory.mktemp("phantoms") / "made" / "here"
    progress = []
    names = write_phantoms(folder, 2, seed=7, on_progress=progress.append)
    assert names == ["PHANTOM001", "PHANTOM002"]
    assert progress == [1, 2]
    return folder


@pytest.fixture(scope="module")
def drawn():
    """The same phantoms, drawn again."""
    return {"PHANTOM001": make_phantom(7), "PHANTOM002": make_phantom(8)}


def same(one, other):
    return np.array_equal(one.radiograph, other.radiograph) and all(
        np.array_equal(one.masks[part], other.masks[part]) for part in one.masks
    )


def test_a_seed_gives_the_same_phantom_and_another_seed_another():
    assert same(make_phantom(3, 96), make_phantom(3, 96))
    assert not same(make_phantom(3, 96), make_phantom(4, 96))


def test_the_global_random_state_is_neither_used_nor_changed():
    np.random.seed(1)
    before = make_phantom(3, 64)
    number = np.random.random()
    np.random.seed(1)
    assert np.random.random() == number
    assert same(make_phantom(3, 64), before)


@pytest.mark.parametrize("size", [64, 97])
def test_a_phantom_has_the_requested_size_and_values_from_0_to_1(size):
    phantom = make_phantom(0, size)
    assert phantom.radiograph.shape == (size, size)
    assert phantom.radiograph.dtype == np.float32
    assert phantom.radiograph.min() >= 0
    assert phantom.radiograph.max() <= 1
    assert {mask.shape for mask in phantom.masks.values()} == {(size, size)}
    assert {mask.dtype for mask in phantom.masks.values()} == {np.dtype(bool)}


def test_a_canvas_too_small_for_anatomy_is_refused():
    with pytest.raises(ValueError, match="64 pixels a side, not 63"):
        make_phantom(0, 63)


def centre(mask):
    """(row, column) in shares of the side."""
    return np.argwhere(mask).mean(axis=0) / len(mask)


@pytest.mark.parametrize("seed", SEEDS)
def test_anatomy_is_where_a_frontal_radiograph_has_it(seed):
    masks = make_phantom(seed, 128).masks
    places = {part: centre(mask) for part, mask in masks.items()}
    for pair in ("lung", "clavicle"):  # the patient's right is on the image's left
        assert places[f"right {pair}"][1] < 0.5 < places[f"left {pair}"][1]
    midline = (places["right lung"][1] + places["left lung"][1]) / 2
    heart = np.argwhere(masks["heart"])[:, 1] / 128
    assert np.mean(heart > midline) > 0.5
    lowest_clavicle = np.argwhere(masks["left clavicle"] | masks["right clavicle"])[:, 0].max()
    assert lowest_clavicle < np.argwhere(masks["heart"])[:, 0].min()


@pytest.mark.parametrize("seed", SEEDS)
def test_organs_have_the_proportions_of_a_chest(seed):
    masks = make_phantom(seed, 128).masks
    lungs = masks["left lung"] | masks["right lung"]
    assert not (masks["left lung"] & masks["right lung"]).any()
    assert not (lungs & masks["heart"]).any()
    assert 0.12 < lungs.mean() < 0.45
    assert 0.02 < masks["heart"].mean() < masks["left lung"].mean() + masks["right lung"].mean()
    assert all(0.002 < masks[f"{side} clavicle"].mean() < 0.03 for side in ("left", "right"))


@pytest.mark.parametrize("seed", SEEDS)
def test_lungs_are_darker_than_the_heart_between_them(seed):
    phantom = make_phantom(seed, 128)
    lungs = phantom.masks["left lung"] | phantom.masks["right lung"]
    light = phantom.radiograph
    assert light[lungs].mean() < light[phantom.masks["heart"]].mean() - 0.05


def test_labels_are_the_masks_merged_by_priority():
    phantom = make_phantom(5, 96)
    np.testing.assert_array_equal(phantom_labels(phantom), slow_merge(phantom.masks))


def test_a_jsrt_file_has_12_bits_big_endian_with_high_values_dark():
    radiograph = to_jsrt(
        np.array([[1, 0], [0.5, 0.25]], np.float32).repeat(1024, 0).repeat(1024, 1)
    )
    assert radiograph.shape == (2048, 2048)
    assert radiograph.dtype == np.dtype(">u2")
    assert radiograph[0, 0] == 0
    assert radiograph[0, -1] == 4095
    assert radiograph[-1, -1] in (3071, 3072)  # 0.75 * 4095 = 3071.25
    assert radiograph[-1, 0] in (2047, 2048)
    assert radiograph[0, -1:].tobytes() == b"\x0f\xff"


def test_a_coarser_image_is_upsampled_to_the_size_of_jsrt():
    radiograph = to_jsrt(np.full((100, 100), 0.2, np.float32))
    assert radiograph.shape == (2048, 2048)
    assert (radiograph == 3276).all()  # 0.8 * 4095


def test_a_radiograph_on_disk_has_the_bytes_of_jsrt(written, drawn):
    path = written / "images" / "PHANTOM001.IMG"
    assert path.stat().st_size == 2048 * 2048 * 2
    radiograph = np.fromfile(path, ">u2").reshape(2048, 2048)
    assert radiograph.max() <= 4095
    assert radiograph.byteswap().max() > 4095
    masks = drawn["PHANTOM001"].masks
    lungs = (masks["left lung"] | masks["right lung"]).repeat(2, 0).repeat(2, 1)
    heart = masks["heart"].repeat(2, 0).repeat(2, 1)
    assert radiograph[lungs].mean() > radiograph[heart].mean()


def test_a_radiograph_on_disk_is_read_as_jsrt(written):
    radiograph = read(written / "images" / "PHANTOM001.IMG")
    assert radiograph.format == "JSRT raw"
    assert radiograph.inverted is True
    assert radiograph.spacing == (0.175, 0.175)


def test_the_radiographs_on_disk_are_those_of_the_seeds(written, drawn):
    for name, phantom in drawn.items():
        light = 1 - np.fromfile(written / "images" / f"{name}.IMG", ">u2") / 4095
        small = light.reshape(256, 8, 256, 8).mean(axis=(1, 3))
        expected = phantom.radiograph.reshape(256, 4, 256, 4).mean(axis=(1, 3))
        assert np.abs(small - expected).mean() < 0.002


def test_masks_on_disk_have_the_layout_of_scr_and_read_back_unchanged(written, drawn):
    cases = find_cases(written / "images", written / "scr")
    assert [case.name for case in cases] == ["PHANTOM001", "PHANTOM002"]
    for case, fold in zip(cases, ("fold1", "fold2"), strict=True):
        for part, path in case.masks.items():
            assert path == written / "scr" / fold / "masks" / part / f"{case.name}.gif"
            np.testing.assert_array_equal(read_mask(path), drawn[case.name].masks[part])


def test_the_same_seed_writes_the_same_bytes(written, tmp_path):
    write_phantoms(tmp_path, 1, seed=8)
    again, before = tmp_path / "images" / "PHANTOM001.IMG", written / "images" / "PHANTOM002.IMG"
    assert again.read_bytes() == before.read_bytes()
    mask = tmp_path / "scr" / "fold1" / "masks" / "heart" / "PHANTOM001.gif"
    other = written / "scr" / "fold2" / "masks" / "heart" / "PHANTOM002.gif"
    assert mask.read_bytes() == other.read_bytes()
